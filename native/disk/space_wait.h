// What becomes of a request that finds the filesystem of the containers full.
#ifndef KEYVOL_DISK_SPACE_WAIT_H_
#define KEYVOL_DISK_SPACE_WAIT_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "disk/gate.h"
#include "status.h"

namespace keyvol {

// While one lives, writes of its thread wait for space instead of failing. For threads that serve a
// kernel: an error there could end up in a filesystem's journal, which never recovers from it.
class WaitingForSpace {
 public:
  WaitingForSpace();
  ~WaitingForSpace();
  WaitingForSpace(const WaitingForSpace&) = delete;
  WaitingForSpace& operator=(const WaitingForSpace&) = delete;
  static bool IsOn();
};

// One disk's pause. Requests wait outside the gate and without locks, so that reads, a cut-off and
// a close never wait for them: what they are refused with then ends the wait. Syncs do not wait:
// one that finds no space has lost pages, and counts as failed for good.
class SpaceWait {
 public:
  // Calls attempt() until it ends with something else than a full filesystem: at once on threads
  // that do not wait for space, with kWouldWait on those with NoWaiting, and with kInterrupted on
  // those that were interrupted. A failed attempt leaves the caller's data as it was.
  template <typename Attempt>
  Status Retry(Attempt attempt) {
    Status status = attempt();
    if (!IsFull(status) || !WaitingForSpace::IsOn()) return status;
    if (NoWaiting::IsOn()) return Status::Error(Code::kWouldWait, status.message());
    const Waiter waiter(*this);
    while (IsFull(status)) {
      WaitAWhile();
      if (Interruptible::IsSet()) return Interruptible::Interrupted();
      status = attempt();
    }
    return status;
  }

  // Those who wait try again now.
  void Wake();
  // Since when requests have been waiting, in milliseconds of Unix time; 0 when none is.
  uint64_t since_ms() const;

  // ENOSPC or EDQUOT of a file; not EFBIG, which no waiting cures, nor the want of memory.
  static bool IsFull(const Status& status);

 private:
  class Waiter {
   public:
    explicit Waiter(SpaceWait& wait);
    ~Waiter();
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

   private:
    SpaceWait& wait_;
  };

  void WaitAWhile();

  mutable std::mutex mutex_;
  std::condition_variable woken_;
  uint64_t wakes_ = 0;
  uint64_t waiters_ = 0;
  uint64_t since_ms_ = 0;
};

}  // namespace keyvol

#endif  // KEYVOL_DISK_SPACE_WAIT_H_
