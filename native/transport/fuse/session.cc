#include "transport/fuse/session.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <cassert>
#include <cerrno>
#include <string>
#include <thread>

#include "transport/fuse/protocol.h"
#include "transport/fuse/requests.h"

namespace keyvol::fuse {

namespace {

// Signals are for Node's main thread; a handler that ran here would find no JavaScript.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

// ENOENT: the request was taken back before we had it.
bool IsTransient(int error_number) {
  return error_number == EINTR || error_number == EAGAIN || error_number == ENOENT;
}

}  // namespace

Status IoBuffer::Allocate(size_t length_bytes, IoBuffer* buffer) {
  void* memory =
      mmap(nullptr, length_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Status::Error(Code::kNoSpace, "no memory for request buffers");
  buffer->bytes_ = {static_cast<std::byte*>(memory), length_bytes};
  madvise(memory, length_bytes, MADV_DONTDUMP);
  madvise(memory, length_bytes, MADV_DONTFORK);
  mlock(memory, length_bytes);  // as far as RLIMIT_MEMLOCK goes; the touch below is what counts
  memset(memory, 0, length_bytes);
  return Status::Ok();
}

IoBuffer::~IoBuffer() {
  if (bytes_.empty()) return;
  explicit_bzero(bytes_.data(), bytes_.size());
  munmap(bytes_.data(), bytes_.size());
}

Status Session::Start(std::vector<UniqueFd> fds, std::shared_ptr<Tree> tree,
                      std::shared_ptr<Session>* session) {
  assert(!fds.empty());
  std::shared_ptr<Session> started(new Session(std::move(tree)));
  for (UniqueFd& fd : fds) RETURN_IF_ERROR(started->AddWorker(std::move(fd)));

  const BlockedSignals blocked;  // inherited by the threads
  started->running_ = started->workers_.size();
  for (const std::unique_ptr<Worker>& worker : started->workers_) {
    std::thread([started, &worker = *worker] { started->Serve(worker); }).detach();
  }
  *session = std::move(started);
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

void Session::Serve(Worker& worker) {
  pthread_setname_np(pthread_self(), "keyvol-fuse");
  const std::span<std::byte> room = worker.request.bytes().subspan(kRequestStartBytes);
  while (true) {
    const ssize_t request_bytes = read(worker.fd.get(), room.data(), room.size());
    if (request_bytes >= 0) {
      ServeOne(worker, static_cast<size_t>(request_bytes));
    } else if (!IsTransient(errno)) {
      break;
    }
  }
  ThreadEnded();
}

void Session::ServeOne(Worker& worker, size_t request_bytes) {
  const std::lock_guard serving(worker.serving);
  const std::span<std::byte> bytes =
      worker.request.bytes().subspan(kRequestStartBytes, request_bytes);
  const auto& header = *reinterpret_cast<const fuse_in_header*>(bytes.data());
  assert(request_bytes >= sizeof header && header.len == request_bytes);
  Reply reply(worker.fd.get(), header.unique, worker.reply.bytes());
  Dispatch(*tree_, Request{header, bytes.subspan(sizeof header)}, reply);
}

void Session::ThreadEnded() {
  const std::lock_guard lock(mutex_);
  running_--;
  ended_.notify_all();
}

bool Session::WaitForEnd(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  return ended_.wait_for(lock, timeout, [this] { return running_ == 0; });
}

void Session::Park(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (const std::unique_ptr<Worker>& worker : workers_) {
    // Never unlocked: whoever waits for it waits until the process is gone.
    static_cast<void>(worker->serving.try_lock_until(deadline));
  }
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
