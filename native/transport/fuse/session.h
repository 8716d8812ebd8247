// The threads that serve one FUSE connection.
#ifndef KEYVOL_TRANSPORT_FUSE_SESSION_H_
#define KEYVOL_TRANSPORT_FUSE_SESSION_H_

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "transport/fuse/tree.h"
#include "transport/io_buffer.h"
#include "unique_fd.h"

namespace keyvol::fuse {

// One thread for each descriptor it was given: /dev/fuse already mounted, and clones of it. They
// never wait for a held disk: what would wait goes to a thread that this disk gets for as long as
// such requests are left, so that all other disks go on. What changes the disk has a thread of its
// own, for it may have to wait while the rest no longer does. A program that is killed while its
// request waits need not wait for the disk. The threads end when the connection does (unmount or
// abort); they own the session together, so it may be dropped at any time.
class Session : public std::enable_shared_from_this<Session> {
 public:
  static Status Create(std::vector<UniqueFd> fds, std::shared_ptr<Tree> tree,
                       std::shared_ptr<Session>* session);

  // Asks the kernel to send those requests again that a dead server had taken and not answered.
  // Before serving, for what we have taken would be sent again, too. kUnsupported before Linux 6.9.
  Status AskToResend();
  Status Serve();

  // Of the mount; borrowed.
  std::vector<int> fds() const;

  // False when threads still run at the end of the time.
  bool WaitForEnd(std::chrono::milliseconds timeout);

  // Stops serving without ending the connection, for a process that is about to exit while
  // mounted: waits for requests under way, at most `timeout`, answers none of them, and begins no
  // other ever again. Safe to repeat.
  void Park(std::chrono::milliseconds timeout);

  // Drops the pages of a file that programs have mapped, dirty ones written first. Waits for
  // requests on the file, so never call it from a thread of the session.
  Status InvalidatePages(uint64_t node_id);

 private:
  struct Worker {
    UniqueFd fd;
    IoBuffer request;
    IoBuffer reply;
    std::timed_mutex serving;
  };

  // A copy of a request to a held disk, and the descriptor that its reply belongs to.
  struct HeldRequest {
    int fd;
    IoBuffer bytes;
    uint64_t unique() const;
  };
  // Those of one disk that change it, or those that do not, oldest first, and what their thread
  // needs.
  struct HeldDisk {
    std::deque<HeldRequest> requests;
    IoBuffer reply;
    std::timed_mutex serving;
    uint64_t unique = 0;  // of the one being served
    std::atomic<bool> interrupted{false};
  };
  // Interrupts that came before their requests were held, the latest ones.
  using Interrupts = std::array<uint64_t, 64>;
  // By node number, and whether they change the disk.
  using HeldKey = std::pair<uint64_t, bool>;

  explicit Session(std::shared_ptr<Tree> tree) : tree_(std::move(tree)) {}
  Status AddWorker(UniqueFd fd);
  // With mutex_ held.
  Status StartThread(std::function<void()> body);
  void ServeWorker(Worker& worker);
  void ServeOne(Worker& worker, size_t request_bytes);
  // False when it would wait, and NoWaiting forbids that.
  bool Answer(int fd, std::span<std::byte> request, std::span<std::byte> reply_room);
  Status Postpone(int fd, std::span<const std::byte> request);
  // Who made the request wants to end: it stops waiting, if it does.
  void Interrupt(uint64_t unique);
  void AnswerInterrupted(int fd, uint64_t unique);
  void ServeHeld(HeldKey key, HeldDisk& disk);
  std::optional<HeldRequest> NextHeld(HeldKey key, HeldDisk& disk);
  void StopIfParked() const;
  void ThreadEnded();

  const std::shared_ptr<Tree> tree_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::atomic<bool> parked_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  size_t running_ = 0;
  std::map<HeldKey, std::shared_ptr<HeldDisk>> held_;
  Interrupts interrupts_ = {};
  size_t next_interrupt_ = 0;
};

}  // namespace keyvol::fuse

#endif  // KEYVOL_TRANSPORT_FUSE_SESSION_H_
