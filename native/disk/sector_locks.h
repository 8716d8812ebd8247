// Reader and writer locks over groups of sectors, so that nobody sees a torn sector.
#ifndef KEYVOL_DISK_SECTOR_LOCKS_H_
#define KEYVOL_DISK_SECTOR_LOCKS_H_

#include <pthread.h>

#include <array>
#include <cassert>
#include <cstdint>

namespace keyvol {

// pthread_rwlock_t that lets a waiting writer go before new readers: std::shared_mutex would let
// a busy reader starve it.
class RwLock {
 public:
  RwLock() {
    pthread_rwlockattr_t attributes;
    pthread_rwlockattr_init(&attributes);
    pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&lock_, &attributes);
    pthread_rwlockattr_destroy(&attributes);
  }
  ~RwLock() { pthread_rwlock_destroy(&lock_); }
  RwLock(const RwLock&) = delete;
  RwLock& operator=(const RwLock&) = delete;

  void Lock(bool exclusive) {
    const int error = exclusive ? pthread_rwlock_wrlock(&lock_) : pthread_rwlock_rdlock(&lock_);
    assert(error == 0);
    (void)error;
  }
  void Unlock() { pthread_rwlock_unlock(&lock_); }

 private:
  pthread_rwlock_t lock_;
};

enum class LockMode { kShared, kExclusive };

// Group g belongs to stripe g mod 256.
class SectorLocks {
 public:
  // Holds the stripes of the groups first_group..last_group. All are taken in ascending order of
  // stripe, which rules out a deadlock between two holders.
  class Guard {
   public:
    Guard(SectorLocks& locks, uint64_t first_group, uint64_t last_group, LockMode mode)
        : locks_(locks) {
      assert(first_group <= last_group);
      const bool all = last_group - first_group + 1 >= kStripes;
      low_ = all ? 0 : first_group % kStripes;
      high_ = all ? kStripes - 1 : last_group % kStripes;
      ForEachStripe([this, mode](RwLock& lock) { lock.Lock(mode == LockMode::kExclusive); });
    }
    ~Guard() {
      ForEachStripe([](RwLock& lock) { lock.Unlock(); });
    }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    // A range of groups that wraps around covers the stripes 0..high_ and low_..last.
    template <typename Visit>
    void ForEachStripe(Visit visit) {
      const bool wraps = high_ < low_;
      if (wraps) {
        for (uint64_t i = 0; i <= high_; ++i) visit(locks_.stripes_[i]);
      }
      for (uint64_t i = low_; i <= (wraps ? kStripes - 1 : high_); ++i) visit(locks_.stripes_[i]);
    }

    SectorLocks& locks_;
    uint64_t low_;
    uint64_t high_;
  };

 private:
  static constexpr uint64_t kStripes = 256;
  std::array<RwLock, kStripes> stripes_;
};

}  // namespace keyvol

#endif  // KEYVOL_DISK_SECTOR_LOCKS_H_
