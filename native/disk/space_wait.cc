#include "disk/space_wait.h"

#include <cerrno>
#include <chrono>

namespace keyvol {

namespace {

constexpr std::chrono::milliseconds kRetryEvery{500};

thread_local bool waits_for_space = false;

uint64_t UnixMs() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

}  // namespace

WaitingForSpace::WaitingForSpace() { waits_for_space = true; }
WaitingForSpace::~WaitingForSpace() { waits_for_space = false; }
bool WaitingForSpace::IsOn() { return waits_for_space; }

bool SpaceWait::IsFull(const Status& status) {
  return status.code() == Code::kNoSpace &&
         (status.error_number() == ENOSPC || status.error_number() == EDQUOT);
}

SpaceWait::Waiter::Waiter(SpaceWait& wait) : wait_(wait) {
  const std::lock_guard lock(wait_.mutex_);
  if (wait_.waiters_++ == 0) wait_.since_ms_ = UnixMs();
}

SpaceWait::Waiter::~Waiter() {
  const std::lock_guard lock(wait_.mutex_);
  if (--wait_.waiters_ == 0) wait_.since_ms_ = 0;
}

void SpaceWait::WaitAWhile() {
  std::unique_lock lock(mutex_);
  woken_.wait_for(lock, kRetryEvery, [this, seen = wakes_] { return wakes_ != seen; });
}

void SpaceWait::Wake() {
  const std::lock_guard lock(mutex_);
  ++wakes_;
  woken_.notify_all();
}

uint64_t SpaceWait::since_ms() const {
  const std::lock_guard lock(mutex_);
  return since_ms_;
}

}  // namespace keyvol
