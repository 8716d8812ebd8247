#include "disk/operation_stats.h"

#include <algorithm>

namespace keyvol {

void OperationStats::Count(std::chrono::nanoseconds took, bool ok) {
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), took);
  buckets_[static_cast<size_t>(bound - kBounds.begin())].fetch_add(1, std::memory_order_relaxed);
  total_ns_.fetch_add(took.count(), std::memory_order_relaxed);
  if (!ok) errors_.fetch_add(1, std::memory_order_relaxed);
}

OperationStats::Snapshot OperationStats::Read() const {
  Snapshot snapshot = {
      .buckets = {}, .errors = errors_, .total = std::chrono::nanoseconds(total_ns_.load())};
  std::transform(buckets_.begin(), buckets_.end(), snapshot.buckets.begin(),
                 [](const std::atomic<uint64_t>& bucket) { return bucket.load(); });
  return snapshot;
}

}  // namespace keyvol
