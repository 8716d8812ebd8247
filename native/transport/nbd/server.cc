#include "transport/nbd/server.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "transport/blocked_signals.h"

namespace keyvol::nbd {

namespace {

// Where no connection can be taken for want of descriptors, asking again at once helps nobody.
constexpr std::chrono::milliseconds kPauseAfterFailure(100);
constexpr std::chrono::seconds kDepartureTimeout(30);
constexpr std::chrono::seconds kTlsTimeout(10);

bool Watch(const UniqueFd& events, int fd, uint32_t what, uint64_t key) {
  struct epoll_event event = {.events = what, .data = {.u64 = key}};
  return epoll_ctl(events.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

Status Server::Start(std::vector<Listener> listeners, std::shared_ptr<Server>* server) {
  assert(listeners.size() < kStopKey);
  std::shared_ptr<Server> started(new Server(std::move(listeners)));
  RETURN_IF_ERROR(started->Open());
  const BlockedSignals blocked;  // inherited by the threads, and by those that they start
  started->is_listening_ = true;
  try {
    std::thread([started] { started->Listen(); }).detach();
  } catch (const std::system_error&) {
    return Status::Error(Code::kNoSpace, "no thread is left to serve NBD");
  }
  *server = std::move(started);
  return Status::Ok();
}

Status Server::Open() {
  events_ = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  stop_ = UniqueFd(eventfd(0, EFD_CLOEXEC));
  const bool is_open =
      events_.valid() && stop_.valid() && Watch(events_, stop_.get(), EPOLLIN, kStopKey);
  return is_open ? Status::Ok() : Status::FromErrno(errno, "watch for NBD clients");
}

Status Server::Serve() {
  for (size_t i = 0; i < listeners_.size(); ++i) {
    if (Watch(events_, listeners_[i].fd.get(), EPOLLIN, i)) continue;
    return Status::FromErrno(errno, "watch for NBD clients");
  }
  return Status::Ok();
}

void Server::Listen() {
  pthread_setname_np(pthread_self(), "keyvol-nbd");
  bool goes_on = true;
  while (goes_on) {
    std::array<struct epoll_event, 16> happened;
    const int count = epoll_wait(events_.get(), happened.data(), happened.size(), -1);
    for (int i = 0; i < count; ++i) {
      const uint64_t key = happened[i].data.u64;
      if (key < kStopKey) Accept(listeners_[key]);
      if (key == kStopKey) goes_on = false;
      if (key > kStopKey) HangUp(key);
    }
  }
  // Who is about to be accepted learns that nobody will.
  listeners_.clear();
  const std::lock_guard lock(mutex_);
  is_listening_ = false;
  ended_.notify_all();
}

void Server::Accept(const Listener& listener) {
  UniqueFd fd(accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd.valid()) {
    const bool is_shortage =
        errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
    if (is_shortage) std::this_thread::sleep_for(kPauseAfterFailure);
    return;
  }
  const std::optional<std::string> peer = listener.greet(fd);
  if (!peer) return;
  if (listener.credentials == nullptr) return Add(std::move(fd), std::nullopt);
  BeginTls(listener, std::move(fd), *peer);
}

void Server::BeginTls(const Listener& listener, UniqueFd fd, const std::string& peer) {
  const std::lock_guard lock(mutex_);
  if (!MayBegin(peer)) return;
  const uint64_t number = next_number_++;
  fronts_.emplace(number, Front{.fd = fd.get(), .peer = peer});
  try {
    std::thread([self = shared_from_this(), number, fd = std::move(fd),
                 credentials = listener.credentials]() mutable {
      self->ServeTls(number, std::move(fd), std::move(credentials));
    }).detach();
  } catch (const std::system_error&) {
    fronts_.erase(number);
  }
}

bool Server::MayBegin(const std::string& peer) const {
  size_t unknown = 0;
  size_t unknown_of_peer = 0;
  for (const auto& [number, front] : fronts_) {
    if (front.is_known) continue;
    ++unknown;
    if (front.peer == peer) ++unknown_of_peer;
  }
  return !is_stopping_ && fronts_.size() - unknown < kMaxTls && unknown < kMaxUnknown &&
         unknown_of_peer < kMaxUnknownOfPeer;
}

void Server::ServeTls(uint64_t number, UniqueFd fd,
                      std::shared_ptr<const tls::Credentials> credentials) {
  pthread_setname_np(pthread_self(), "keyvol-nbd-tls");
  TlsFront front(std::move(fd));
  uint32_t flags = 0;
  const auto deadline = std::chrono::steady_clock::now() + kTlsTimeout;
  const bool is_known = front.Run(std::move(credentials), deadline, &flags);
  int pair[2];
  if (is_known && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
    UniqueFd inner(pair[1]);
    {
      const std::lock_guard lock(mutex_);
      fronts_[number].is_known = true;
    }
    Add(UniqueFd(pair[0]), flags);
    front.Carry(std::move(inner));
  }
  const std::lock_guard lock(mutex_);
  fronts_.erase(number);
  ended_.notify_all();
}

void Server::Add(UniqueFd fd, std::optional<uint32_t> greeted) {
  const auto connection = std::make_shared<Connection>(std::move(fd), greeted);
  const std::lock_guard lock(mutex_);
  if (is_stopping_ || connections_.size() >= kMaxConnections) return;
  const uint64_t number = next_number_++;
  // Without events of interest: hanging up is always told.
  if (!Watch(events_, connection->fd(), 0, number)) return;
  connections_.emplace(number, connection);
  const auto self = shared_from_this();
  const Connection::Events events = {
      .may_begin = [self](const std::string& id) { return self->AwaitDeparted(id); },
      .at_end = [self, number] { self->Forget(number); }};
  if (!connection->Start(exports_, events).ok()) connections_.erase(number);
}

void Server::Forget(uint64_t number) {
  const std::lock_guard lock(mutex_);
  connections_.erase(number);
  ended_.notify_all();
}

void Server::HangUp(uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto known = connections_.find(number);
  if (known == connections_.end()) return;
  static_cast<void>(epoll_ctl(events_.get(), EPOLL_CTL_DEL, known->second->fd(), nullptr));
  known->second->End();
}

bool Server::AwaitDeparted(const std::string& id) {
  std::unique_lock lock(mutex_);
  const auto have_departed = [this, &id] {
    bool have = true;
    for (const auto& [number, connection] : connections_) {
      if (connection->export_id() != id || !connection->IsOver()) continue;
      connection->End();
      have = false;
    }
    return have;
  };
  return ended_.wait_for(lock, kDepartureTimeout, have_departed);
}

void Server::Remove(const std::string& id) {
  exports_->Remove(id);
  Disconnect(id);
}

void Server::Disconnect(const std::string& id) {
  const std::lock_guard lock(mutex_);
  for (const auto& [number, connection] : connections_) {
    if (connection->export_id() == id) connection->End();
  }
}

size_t Server::ConnectionsTo(const std::string& id) const {
  const std::lock_guard lock(mutex_);
  size_t count = 0;
  for (const auto& [number, connection] : connections_) {
    if (connection->export_id() == id) ++count;
  }
  return count;
}

bool Server::Stop(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  is_stopping_ = true;
  const uint64_t one = 1;
  static_cast<void>(!write(stop_.get(), &one, sizeof one));
  for (const auto& [number, connection] : connections_) connection->End();
  for (const auto& [number, front] : fronts_) {
    if (!front.is_known) shutdown(front.fd, SHUT_RDWR);
  }
  return ended_.wait_for(
      lock, timeout, [this] { return connections_.empty() && fronts_.empty() && !is_listening_; });
}

}  // namespace keyvol::nbd
