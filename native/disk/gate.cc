#include "disk/gate.h"

namespace keyvol {

namespace {

thread_local bool does_not_wait = false;

}  // namespace

NoWaiting::NoWaiting() { does_not_wait = true; }
NoWaiting::~NoWaiting() { does_not_wait = false; }
bool NoWaiting::IsOn() { return does_not_wait; }

Status GateClosedStatus() {
  return Status::Error(Code::kGateClosed,
                       "the disk's gate is closed; its master key is not usable now");
}

Status Gate::Enter() {
  for (;;) {
    const uint32_t before = word_.fetch_add(1);
    if ((before & kShutBits) == 0) return Status::Ok();
    Leave();
    std::unique_lock lock(mutex_);
    const auto not_held = [this] { return (word_.load() & kShutBits) != kHeldBit; };
    if (does_not_wait && !not_held()) return Status::Error(Code::kWouldWait, "the disk is held");
    changed_.wait(lock, not_held);
    if ((word_.load() & kClosedBit) != 0) return GateClosedStatus();
  }
}

void Gate::Leave() {
  const uint32_t before = word_.fetch_sub(1);
  if ((before & kShutBits) == 0 || (before & ~kShutBits) != 1) return;
  // The lock orders this after a Drain that has just seen a count above zero.
  std::lock_guard lock(mutex_);
  changed_.notify_all();
}

bool Gate::Hold() {
  std::lock_guard lock(mutex_);
  if ((word_.load() & kShutBits) != 0) return false;
  word_.fetch_or(kHeldBit);
  return true;
}

void Gate::Resume() {
  std::lock_guard lock(mutex_);
  word_.fetch_and(~kHeldBit);
  changed_.notify_all();
}

void Gate::Close() {
  std::lock_guard lock(mutex_);
  word_.fetch_or(kClosedBit);
  word_.fetch_and(~kHeldBit);
  changed_.notify_all();
}

void Gate::Open() {
  std::lock_guard lock(mutex_);
  word_.fetch_and(~kShutBits);
  changed_.notify_all();
}

void Gate::Drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return (word_.load() & ~kShutBits) == 0; });
}

Gate::State Gate::state() const {
  const uint32_t word = word_.load();
  if ((word & kClosedBit) != 0) return State::kClosed;
  return (word & kHeldBit) != 0 ? State::kHeld : State::kOpen;
}

}  // namespace keyvol
