#include "transport/fuse/session.h"

#include <pthread.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <string>
#include <system_error>
#include <thread>

#include "disk/gate.h"
#include "disk/space_wait.h"
#include "transport/blocked_signals.h"
#include "transport/fuse/protocol.h"
#include "transport/fuse/requests.h"

namespace keyvol::fuse {

namespace {

// ENOENT: the request was taken back before we had it.
bool IsTransient(int error_number) {
  return error_number == EINTR || error_number == EAGAIN || error_number == ENOENT;
}

constexpr size_t kInterruptBytes = sizeof(fuse_in_header) + sizeof(fuse_interrupt_in);

bool ChangesDisk(uint32_t opcode) { return opcode == FUSE_WRITE || opcode == FUSE_FALLOCATE; }

}  // namespace

Status Session::Create(std::vector<UniqueFd> fds, std::shared_ptr<Tree> tree,
                       std::shared_ptr<Session>* session) {
  assert(!fds.empty());
  std::shared_ptr<Session> created(new Session(std::move(tree)));
  for (UniqueFd& fd : fds) RETURN_IF_ERROR(created->AddWorker(std::move(fd)));
  *session = std::move(created);
  return Status::Ok();
}

Status Session::Serve() {
  const BlockedSignals blocked;  // inherited by the threads
  const std::lock_guard lock(mutex_);
  for (const std::unique_ptr<Worker>& worker : workers_) {
    RETURN_IF_ERROR(
        StartThread([self = shared_from_this(), &worker = *worker] { self->ServeWorker(worker); }));
  }
  return Status::Ok();
}

Status Session::AskToResend() {
  const fuse_out_header header = {.len = sizeof header, .error = kNotifyResend, .unique = 0};
  if (write(workers_.front()->fd.get(), &header, sizeof header) >= 0) return Status::Ok();
  if (errno != EINVAL) return Status::FromErrno(errno, "ask for the requests of the former daemon");
  return Status::Error(Code::kUnsupported, "this kernel cannot send requests again");
}

Status Session::StartThread(std::function<void()> body) {
  try {
    std::thread(std::move(body)).detach();
  } catch (const std::system_error&) {
    return Status::Error(Code::kNoSpace, "no thread is left to serve FUSE");
  }
  ++running_;
  return Status::Ok();
}

Status Session::AddWorker(UniqueFd fd) {
  auto worker = std::make_unique<Worker>();
  worker->fd = std::move(fd);
  RETURN_IF_ERROR(IoBuffer::Allocate(kPageBytes + kMaxPayloadBytes, &worker->request));
  RETURN_IF_ERROR(IoBuffer::Allocate(kMaxPayloadBytes, &worker->reply));
  workers_.push_back(std::move(worker));
  return Status::Ok();
}

void Session::ServeWorker(Worker& worker) {
  pthread_setname_np(pthread_self(), "keyvol-fuse");
  const WaitingForSpace waiting_for_space;
  const std::span<std::byte> room = worker.request.bytes().subspan(kRequestStartBytes);
  while (true) {
    const ssize_t request_bytes = read(worker.fd.get(), room.data(), room.size());
    // The kernel sends no less than a header: what does is no connection of its.
    if (request_bytes >= static_cast<ssize_t>(sizeof(fuse_in_header))) {
      ServeOne(worker, static_cast<size_t>(request_bytes));
    } else if (request_bytes >= 0 || !IsTransient(errno)) {
      break;
    }
  }
  // They hold plaintext, and the session may be kept for long.
  worker.request = IoBuffer();
  worker.reply = IoBuffer();
  ThreadEnded();
}

void Session::ServeOne(Worker& worker, size_t request_bytes) {
  const std::lock_guard serving(worker.serving);
  StopIfParked();
  const std::span<std::byte> request =
      worker.request.bytes().subspan(kRequestStartBytes, request_bytes);
  const auto& header = *reinterpret_cast<const fuse_in_header*>(request.data());
  if (header.opcode == FUSE_INTERRUPT && request_bytes >= kInterruptBytes) {
    return Interrupt(reinterpret_cast<const fuse_interrupt_in*>(&header + 1)->unique);
  }
  {
    const NoWaiting no_waiting;
    if (Answer(worker.fd.get(), request, worker.reply.bytes())) return;
  }
  // Without memory or a thread for it, better late than never.
  if (!Postpone(worker.fd.get(), request).ok()) {
    Answer(worker.fd.get(), request, worker.reply.bytes());
  }
}

bool Session::Answer(int fd, std::span<std::byte> request, std::span<std::byte> reply_room) {
  const auto& header = *reinterpret_cast<const fuse_in_header*>(request.data());
  Reply reply(fd, header.unique, reply_room, parked_);
  Dispatch(*tree_, Request{header, request.subspan(sizeof header)}, reply);
  return !reply.would_wait();
}

Status Session::Postpone(int fd, std::span<const std::byte> request) {
  HeldRequest held = {.fd = fd, .bytes = {}};
  RETURN_IF_ERROR(IoBuffer::Allocate(request.size(), &held.bytes));
  memcpy(held.bytes.bytes().data(), request.data(), request.size());
  const auto& header = *reinterpret_cast<const fuse_in_header*>(request.data());
  const HeldKey key = {header.nodeid, ChangesDisk(header.opcode)};
  const std::lock_guard lock(mutex_);
  if (std::find(interrupts_.begin(), interrupts_.end(), header.unique) != interrupts_.end()) {
    AnswerInterrupted(fd, header.unique);
    return Status::Ok();
  }
  const auto known = held_.find(key);
  if (known != held_.end()) {
    known->second->requests.push_back(std::move(held));
    return Status::Ok();
  }
  const auto disk = std::make_shared<HeldDisk>();
  RETURN_IF_ERROR(IoBuffer::Allocate(kMaxPayloadBytes, &disk->reply));
  RETURN_IF_ERROR(
      StartThread([self = shared_from_this(), key, disk] { self->ServeHeld(key, *disk); }));
  disk->requests.push_back(std::move(held));
  held_.emplace(key, disk);
  return Status::Ok();
}

uint64_t Session::HeldRequest::unique() const {
  return reinterpret_cast<const fuse_in_header*>(bytes.bytes().data())->unique;
}

void Session::Interrupt(uint64_t unique) {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, disk] : held_) {
    if (disk->unique == unique) disk->interrupted = true;
    const auto is_meant = [unique](const HeldRequest& held) { return held.unique() == unique; };
    const auto found = std::find_if(disk->requests.begin(), disk->requests.end(), is_meant);
    if (found == disk->requests.end()) continue;
    AnswerInterrupted(found->fd, unique);
    disk->requests.erase(found);
  }
  // Not held, or not yet.
  interrupts_[next_interrupt_++ % interrupts_.size()] = unique;
}

void Session::AnswerInterrupted(int fd, uint64_t unique) {
  Reply(fd, unique, {}, parked_).Errno(EINTR);
}

void Session::ServeHeld(HeldKey key, HeldDisk& disk) {
  pthread_setname_np(pthread_self(), "keyvol-fuse");
  const Interruptible interruptible(disk.interrupted);
  const WaitingForSpace waiting_for_space;
  while (std::optional<HeldRequest> held = NextHeld(key, disk)) {
    const std::lock_guard serving(disk.serving);
    StopIfParked();
    Answer(held->fd, held->bytes.bytes(), disk.reply.bytes());
  }
  ThreadEnded();
}

std::optional<Session::HeldRequest> Session::NextHeld(HeldKey key, HeldDisk& disk) {
  const std::lock_guard lock(mutex_);
  if (disk.requests.empty()) {
    held_.erase(key);
    return std::nullopt;
  }
  HeldRequest next = std::move(disk.requests.front());
  disk.requests.pop_front();
  disk.unique = next.unique();
  disk.interrupted = parked_.load();
  return next;
}

void Session::ThreadEnded() {
  const std::lock_guard lock(mutex_);
  running_--;
  ended_.notify_all();
}

std::vector<int> Session::fds() const {
  std::vector<int> fds;
  for (const std::unique_ptr<Worker>& worker : workers_) fds.push_back(worker->fd.get());
  return fds;
}

bool Session::WaitForEnd(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, timeout, [this] { return running_ == 0; });
}

void Session::Park(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  if (parked_.exchange(true)) return;
  const std::lock_guard lock(mutex_);
  // Never unlocked: whoever waits for it waits until the process is gone.
  for (const std::unique_ptr<Worker>& worker : workers_) {
    static_cast<void>(worker->serving.try_lock_until(deadline));
  }
  for (const auto& [key, disk] : held_) disk->interrupted = true;
  for (const auto& [key, disk] : held_) {
    static_cast<void>(disk->serving.try_lock_until(deadline));
  }
}

// For threads whose request took longer than Park waited.
void Session::StopIfParked() const {
  while (parked_) pause();
}

Status Session::InvalidatePages(uint64_t node_id) {
  fuse_notify_inval_inode_out out = {.ino = node_id, .off = 0, .len = 0};
  fuse_out_header header = {
      .len = sizeof header + sizeof out, .error = FUSE_NOTIFY_INVAL_INODE, .unique = 0};
  const struct iovec parts[2] = {{&header, sizeof header}, {&out, sizeof out}};
  // ENOENT: the kernel does not know the file, so it holds no page of it.
  if (writev(workers_.front()->fd.get(), parts, 2) >= 0 || errno == ENOENT) return Status::Ok();
  return Status::FromErrno(errno, "drop mapped pages");
}

}  // namespace keyvol::fuse
