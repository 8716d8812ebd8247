// The switch that lets I/O through, makes it wait, or refuses it.
#ifndef KEYVOL_DISK_GATE_H_
#define KEYVOL_DISK_GATE_H_

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "status.h"

namespace keyvol {

// Counts the requests inside. Passing an open gate costs one atomic operation on the way in and
// one on the way out. Closing wins over holding, and wakes those who wait.
class Gate {
 public:
  enum class State { kOpen, kHeld, kClosed };

  // Ok: the caller is inside and must Leave(). Waits while held, or answers kWouldWait to a thread
  // with NoWaiting; kGateClosed when closed.
  Status Enter();
  void Leave();

  // Open to held. False, and nothing changes, when it is held or closed already.
  bool Hold();
  // Held to open; nothing when closed.
  void Resume();
  void Close();
  // Closed or held to open.
  void Open();
  // Waits until nobody is inside. Only of use while held or closed.
  void Drain();
  State state() const;

 private:
  static constexpr uint32_t kHeldBit = 1u << 30;
  static constexpr uint32_t kClosedBit = 1u << 31;
  static constexpr uint32_t kShutBits = kHeldBit | kClosedBit;

  // The state in the two high bits, the number of requests inside in the others.
  std::atomic<uint32_t> word_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
};

// While one lives, requests of its thread do not wait at a held gate but answer kWouldWait, with
// nothing done and the caller's data as it was.
class NoWaiting {
 public:
  NoWaiting();
  ~NoWaiting();
  NoWaiting(const NoWaiting&) = delete;
  NoWaiting& operator=(const NoWaiting&) = delete;
  static bool IsOn();
};

// One request's passage.
class GatePass {
 public:
  explicit GatePass(Gate& gate) : gate_(gate), status_(gate.Enter()) {}
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
