#include "secret/receive.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "unique_fd.h"

namespace keyvol {

namespace {

using Clock = std::chrono::steady_clock;

Status Refused(const std::string& reason, const std::string& path) {
  return Status::Error(Code::kInvalidArgument, reason + " from " + path);
}

Status Connect(const std::string& path, UniqueFd* socket_fd) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof address.sun_path) {
    return Status::Error(Code::kInvalidArgument, path + " is too long for a socket");
  }
  memcpy(address.sun_path, path.c_str(), path.size() + 1);
  UniqueFd connected(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!connected.valid()) return Status::FromErrno(errno, "make a socket");
  if (connect(connected.get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address) != 0) {
    const bool is_missing = errno == ENOENT || errno == EACCES || errno == EPERM;
    // ECONNREFUSED, for instance: a file of another kind, or nobody listens there any more.
    return is_missing ? Status::FromErrno(errno, "connect to " + path)
                      : Refused("nobody gives a secret", path);
  }
  *socket_fd = std::move(connected);
  return Status::Ok();
}

// Whether something can be read before the deadline.
bool WaitForBytes(int fd, Clock::time_point deadline) {
  struct pollfd waiting = {.fd = fd, .events = POLLIN, .revents = 0};
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    const int ready = poll(&waiting, 1, static_cast<int>(std::max<int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    return ready > 0;
  }
}

// *received_bytes is `out.size()` when there may be more.
Status ReadToEnd(int fd, const std::string& path, std::span<std::byte> out,
                 size_t* received_bytes) {
  const auto deadline = Clock::now() + std::chrono::milliseconds(kReceiveWithinMs);
  *received_bytes = 0;
  while (*received_bytes < out.size()) {
    if (!WaitForBytes(fd, deadline)) return Refused("no secret came in time", path);
    const auto room = out.subspan(*received_bytes);
    const ssize_t got = recv(fd, room.data(), room.size(), 0);
    if (got == 0) return Status::Ok();
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return Status::FromErrno(errno, "read a secret from " + path);
    *received_bytes += static_cast<size_t>(got);
  }
  return Status::Ok();
}

}  // namespace

Status ReceiveSecret(const std::string& path, std::shared_ptr<Secret>* secret) {
  UniqueFd socket_fd;
  RETURN_IF_ERROR(Connect(path, &socket_fd));
  std::shared_ptr<Secret> room, exact;
  RETURN_IF_ERROR(Secret::Allocate(kMostReceivedBytes + 1, &room));
  size_t received_bytes = 0;
  RETURN_IF_ERROR(ReadToEnd(socket_fd.get(), path, room->bytes(), &received_bytes));
  if (received_bytes == 0) return Refused("an empty secret came", path);
  if (received_bytes > kMostReceivedBytes) {
    return Refused("a secret of more than " + std::to_string(kMostReceivedBytes) + " bytes came",
                   path);
  }
  RETURN_IF_ERROR(Secret::Allocate(received_bytes, &exact));
  memcpy(exact->bytes().data(), room->bytes().data(), received_bytes);
  *secret = std::move(exact);
  return Status::Ok();
}

}  // namespace keyvol
