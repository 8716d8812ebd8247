// How often, how long and how well: one for each kind of request of a disk.
#ifndef KEYVOL_DISK_OPERATION_STATS_H_
#define KEYVOL_DISK_OPERATION_STATS_H_

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "status.h"

namespace keyvol {

// Counters that any thread may raise: two atomic additions a request. Numbers read while requests
// end may miss the newest of them.
class OperationStats {
 public:
  // Upper bounds of the latency buckets, included; one more bucket takes what is slower.
  static constexpr std::array<std::chrono::microseconds, 13> kBounds = {
      std::chrono::microseconds(25),      std::chrono::microseconds(50),
      std::chrono::microseconds(100),     std::chrono::microseconds(250),
      std::chrono::microseconds(500),     std::chrono::microseconds(1000),
      std::chrono::microseconds(2500),    std::chrono::microseconds(10000),
      std::chrono::microseconds(50000),   std::chrono::microseconds(250000),
      std::chrono::microseconds(1000000), std::chrono::microseconds(5000000),
      std::chrono::microseconds(30000000)};

  struct Snapshot {
    std::array<uint64_t, kBounds.size() + 1> buckets;  // each counts its own bucket only
    uint64_t errors;                                   // of those counted in the buckets
    std::chrono::nanoseconds total;
  };

  // Runs one request and counts it, unless it only found that it would wait: that one comes again.
  template <typename Request>
  Status Measure(Request request) {
    const auto started = std::chrono::steady_clock::now();
    const Status status = request();
    if (status.code() != Code::kWouldWait) {
      Count(std::chrono::steady_clock::now() - started, status.ok());
    }
    return status;
  }
  Snapshot Read() const;

 private:
  void Count(std::chrono::nanoseconds took, bool ok);

  std::array<std::atomic<uint64_t>, kBounds.size() + 1> buckets_{};
  std::atomic<uint64_t> errors_{0};
  std::atomic<int64_t> total_ns_{0};
};

}  // namespace keyvol

#endif  // KEYVOL_DISK_OPERATION_STATS_H_
