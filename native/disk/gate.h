// The switch that lets I/O through, makes it wait, or refuses it.
#ifndef KEYVOL_DISK_GATE_H_
#define KEYVOL_DISK_GATE_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "status.h"

namespace keyvol {

// What a request does to the disk, as far as a closed gate cares: seeking counts as reading,
// discarding as writing.
enum class Access { kRead, kWrite, kFlush };

// What becomes of requests while the gate is closed. kRefuse: all are refused. kHoldWrites: reads
// and flushes are refused, writes wait. kSuspend: all wait.
enum class Closing { kRefuse, kHoldWrites, kSuspend };

// Counts the requests inside. Passing an open gate costs one atomic operation on the way in and
// one on the way out. Closing wins over holding, and decides afresh about those who wait.
class Gate {
 public:
  enum class State { kOpen, kHeld, kClosed };

  // Ok: the caller is inside and must Leave(). kGateClosed when refused. Else waits, or answers
  // kWouldWait to a thread with NoWaiting, kInterrupted to one whose Interruptible says so.
  Status Enter(Access access);
  void Leave();

  // Open to held. False, and nothing changes, when it is held or closed already.
  bool Hold();
  // Held to open; nothing when closed.
  void Resume();
  // Of a closed gate: changes only how it is closed.
  void Close(Closing closing);
  // Closed or held to open.
  void Open();
  // Waits until nobody is inside. Only of use while held or closed.
  void Drain();
  State state() const;
  // Only of use while closed.
  Closing closing() const;

 private:
  enum class Verdict { kPass, kWait, kRefuse };

  // With mutex_ held.
  Verdict Judge(Access access) const;

  static constexpr uint32_t kHeldBit = 1u << 30;
  static constexpr uint32_t kClosedBit = 1u << 31;
  static constexpr uint32_t kShutBits = kHeldBit | kClosedBit;

  // The state in the two high bits, the number of requests inside in the others.
  std::atomic<uint32_t> word_{0};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Closing closing_ = Closing::kRefuse;
};

// While one lives, requests of its thread do not wait at a gate but answer kWouldWait, with
// nothing done and the caller's data as it was.
class NoWaiting {
 public:
  NoWaiting();
  ~NoWaiting();
  NoWaiting(const NoWaiting&) = delete;
  NoWaiting& operator=(const NoWaiting&) = delete;
  static bool IsOn();
};

// While one lives, waits of its thread end soon after the flag is set, with kInterrupted and the
// caller's data as it was.
class Interruptible {
 public:
  explicit Interruptible(const std::atomic<bool>& flag);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  static bool IsSet();

  // Waits for `is_so`, with `lock` held as condition variables want it. False when interrupted.
  template <typename Condition>
  static bool Wait(std::condition_variable& changed, std::unique_lock<std::mutex>& lock,
                   Condition is_so) {
    while (!changed.wait_for(lock, kLookEvery, is_so)) {
      if (IsSet()) return false;
    }
    return true;
  }
  static Status Interrupted();

 private:
  static constexpr std::chrono::milliseconds kLookEvery{50};
};

// One request's passage.
class GatePass {
 public:
  GatePass(Gate& gate, Access access) : gate_(gate), status_(gate.Enter(access)) {}
  ~GatePass() {
    if (status_.ok()) gate_.Leave();
  }
  GatePass(const GatePass&) = delete;
  GatePass& operator=(const GatePass&) = delete;

  const Status& status() const { return status_; }

 private:
  Gate& gate_;
  const Status status_;
};

Status GateClosedStatus();

}  // namespace keyvol

#endif  // KEYVOL_DISK_GATE_H_
