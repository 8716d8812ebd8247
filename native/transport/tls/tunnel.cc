#include "transport/tls/tunnel.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace keyvol::tls {

namespace {

void StopBlocking(int fd) { fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK); }

// What the server has answered last may still reach the client, if that wants it.
constexpr std::chrono::seconds kLinger(2);

int MillisecondsTo(Tunnel::Deadline deadline) {
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  return static_cast<int>(std::max<int64_t>(0, left.count()));
}

bool IsPast(const std::optional<Tunnel::Deadline>& deadline) {
  return deadline && std::chrono::steady_clock::now() >= *deadline;
}

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

}  // namespace

Tunnel::Tunnel(UniqueFd outer, std::shared_ptr<const Credentials> credentials)
    : outer_(std::move(outer)),
      credentials_(std::move(credentials)),
      ssl_(credentials_->NewServer()) {
  StopBlocking(outer_.get());
}

Tunnel::~Tunnel() {
  SSL_free(ssl_);
  explicit_bzero(inwards_.room.data(), inwards_.room.size());
  explicit_bzero(outwards_.room.data(), outwards_.room.size());
}

bool Tunnel::Handshake(Deadline deadline) {
  if (ssl_ == nullptr || SSL_set_fd(ssl_, outer_.get()) != 1) return false;
  while (true) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_);
    if (result == 1) return true;
    wants_ = 0;
    if (Wants(result) == Moved::kEnd || !AwaitOuter(deadline)) return false;
  }
}

bool Tunnel::AwaitOuter(Deadline deadline) {
  struct pollfd outer = {.fd = outer_.get(), .events = wants_, .revents = 0};
  return !IsPast(deadline) && poll(&outer, 1, MillisecondsTo(deadline)) > 0;
}

Tunnel::Moved Tunnel::Wants(int result) {
  switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
      wants_ |= POLLIN;
      return Moved::kNone;
    case SSL_ERROR_WANT_WRITE:
      wants_ |= POLLOUT;
      return Moved::kNone;
    default:
      return Moved::kEnd;
  }
}

void Tunnel::Carry(UniqueFd inner) {
  StopBlocking(inner.get());
  std::optional<Deadline> linger;
  bool goes_on = true;
  while (goes_on) {
    wants_ = 0;
    const Moved in = Inwards(inner.get());
    const Moved out = in == Moved::kEnd ? Moved::kEnd : Outwards(inner.get());
    if (in == Moved::kEnd || out == Moved::kEnd) break;
    const bool is_idle = in == Moved::kNone && out == Moved::kNone;
    goes_on = is_idle ? AwaitEither(inner.get(), &linger) : !IsPast(linger);
  }
  // Tells the client that this is the end and not a cut; it need not answer.
  ERR_clear_error();
  SSL_shutdown(ssl_);
}

bool Tunnel::AwaitEither(int inner, std::optional<Deadline>* linger) {
  struct pollfd both[2] = {{.fd = outer_.get(), .events = wants_, .revents = 0},
                           {.fd = inner, .events = 0, .revents = 0}};
  if (outwards_.left.empty()) both[1].events |= POLLIN;
  if (!inwards_.left.empty()) {
    both[1].events |= POLLOUT;
    // Nothing is read of the client meanwhile, and it must still be seen to go: what it has given
    // up would else be done after what it asks on its next connection.
    both[0].events |= POLLRDHUP;
  }
  // A side that has ended is ready for ever.
  if (*linger) both[1].fd = -1;
  if (poll(both, 2, *linger ? MillisecondsTo(**linger) : -1) < 0 && errno != EINTR) return false;
  if ((both[0].revents & (POLLHUP | POLLERR | POLLRDHUP)) != 0) return false;
  if ((both[1].revents & (POLLHUP | POLLERR)) != 0) {
    *linger = std::chrono::steady_clock::now() + kLinger;
  }
  return !IsPast(*linger);
}

Tunnel::Moved Tunnel::Inwards(int inner) {
  if (inwards_.left.empty()) {
    ERR_clear_error();
    const int taken = SSL_read(ssl_, inwards_.room.data(), static_cast<int>(inwards_.room.size()));
    if (taken <= 0) return Wants(taken);
    inwards_.left = std::span(inwards_.room).first(static_cast<size_t>(taken));
  }
  const ssize_t sent =
      send(inner, inwards_.left.data(), inwards_.left.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) return WouldBlock() ? Moved::kNone : Moved::kEnd;
  inwards_.left = inwards_.left.subspan(static_cast<size_t>(sent));
  return Moved::kSome;
}

Tunnel::Moved Tunnel::Outwards(int inner) {
  if (outwards_.left.empty()) {
    const ssize_t taken = recv(inner, outwards_.room.data(), outwards_.room.size(), MSG_DONTWAIT);
    if (taken == 0) return Moved::kEnd;
    if (taken < 0) return WouldBlock() ? Moved::kNone : Moved::kEnd;
    outwards_.left = std::span(outwards_.room).first(static_cast<size_t>(taken));
  }
  ERR_clear_error();
  const int sent = SSL_write(ssl_, outwards_.left.data(), static_cast<int>(outwards_.left.size()));
  if (sent <= 0) return Wants(sent);
  outwards_.left = outwards_.left.subspan(static_cast<size_t>(sent));
  return Moved::kSome;
}

}  // namespace keyvol::tls
