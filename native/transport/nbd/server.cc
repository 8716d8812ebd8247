#include "transport/nbd/server.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
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

bool Watch(const UniqueFd& events, int fd, uint32_t what, uint64_t key) {
  struct epoll_event event = {.events = what, .data = {.u64 = key}};
  return epoll_ctl(events.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

}  // namespace

Status Server::Start(UniqueFd listener, Filter is_welcome, std::shared_ptr<Server>* server) {
  std::shared_ptr<Server> started(new Server(std::move(listener), std::move(is_welcome)));
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
  const bool is_open = events_.valid() && stop_.valid() &&
                       Watch(events_, listener_.get(), EPOLLIN, kListenerKey) &&
                       Watch(events_, stop_.get(), EPOLLIN, kStopKey);
  return is_open ? Status::Ok() : Status::FromErrno(errno, "watch for NBD clients");
}

void Server::Listen() {
  pthread_setname_np(pthread_self(), "keyvol-nbd");
  bool goes_on = true;
  while (goes_on) {
    std::array<struct epoll_event, 16> happened;
    const int count = epoll_wait(events_.get(), happened.data(), happened.size(), -1);
    for (int i = 0; i < count; ++i) {
      const uint64_t key = happened[i].data.u64;
      if (key == kListenerKey) Accept();
      if (key == kStopKey) goes_on = false;
      if (key > kStopKey) HangUp(key);
    }
  }
  // Who is about to be accepted learns that nobody will.
  listener_.Reset();
  const std::lock_guard lock(mutex_);
  is_listening_ = false;
  ended_.notify_all();
}

void Server::Accept() {
  UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!fd.valid()) {
    const bool is_shortage = errno == EMFILE || errno == ENFILE || errno == ENOBUFS;
    if (is_shortage) std::this_thread::sleep_for(kPauseAfterFailure);
    return;
  }
  if (is_welcome_(fd)) Add(std::move(fd));
}

void Server::Add(UniqueFd fd) {
  const auto connection = std::make_shared<Connection>(std::move(fd));
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
  return ended_.wait_for(lock, timeout, [this] { return connections_.empty() && !is_listening_; });
}

}  // namespace keyvol::nbd
