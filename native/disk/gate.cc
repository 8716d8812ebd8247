#include "disk/gate.h"

namespace keyvol {

namespace {

thread_local bool does_not_wait = false;
thread_local const std::atomic<bool>* interrupted = nullptr;

}  // namespace

NoWaiting::NoWaiting() { does_not_wait = true; }
NoWaiting::~NoWaiting() { does_not_wait = false; }
bool NoWaiting::IsOn() { return does_not_wait; }

Interruptible::Interruptible(const std::atomic<bool>& flag) { interrupted = &flag; }
Interruptible::~Interruptible() { interrupted = nullptr; }
bool Interruptible::IsSet() { return interrupted != nullptr && *interrupted; }
Status Interruptible::Interrupted() {
  return Status::Error(Code::kInterrupted, "the request was interrupted while it waited");
}

Status GateClosedStatus() {
  return Status::Error(Code::kGateClosed,
                       "the disk's gate is closed; its master key is not usable now");
}

Status Gate::Enter(Access access) {
  for (;;) {
    const uint32_t before = word_.fetch_add(1);
    if ((before & kShutBits) == 0) return Status::Ok();
    Leave();
    std::unique_lock lock(mutex_);
    Verdict verdict = Judge(access);
    if (does_not_wait && verdict == Verdict::kWait) {
      return Status::Error(Code::kWouldWait, "the disk is held");
    }
    const auto decided = [&] { return (verdict = Judge(access)) != Verdict::kWait; };
    if (!Interruptible::Wait(changed_, lock, decided)) return Interruptible::Interrupted();
    if (verdict == Verdict::kRefuse) return GateClosedStatus();
  }
}

Gate::Verdict Gate::Judge(Access access) const {
  const uint32_t word = word_.load();
  if ((word & kClosedBit) == 0) {
    return (word & kHeldBit) == 0 ? Verdict::kPass : Verdict::kWait;
  }
  const bool waits = closing_ == Closing::kSuspend ||
                     (closing_ == Closing::kHoldWrites && access == Access::kWrite);
  return waits ? Verdict::kWait : Verdict::kRefuse;
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

void Gate::Close(Closing closing) {
  std::lock_guard lock(mutex_);
  closing_ = closing;
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

Closing Gate::closing() const {
  std::lock_guard lock(mutex_);
  return closing_;
}

}  // namespace keyvol
