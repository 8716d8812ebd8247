// Hands out parts of locked pages: one 4096-byte page holds many keys.
#ifndef KEYVOL_SECRET_SLAB_H_
#define KEYVOL_SECRET_SLAB_H_

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "status.h"

namespace keyvol {

// Safe to use from many threads at once. Pages are never given back: what is free in them is
// zeros.
class SecretSlab {
 public:
  static constexpr size_t kPageBytes = 4096;

  // The one slab of the process. Never destroyed, for secrets may outlive static objects.
  static SecretSlab& Instance();

  // Zeroed bytes. kInvalidArgument for 0 or more than a page, kNoSpace when no more can be
  // locked.
  Status Take(size_t length_bytes, std::span<std::byte>* bytes);
  // Wipes what Take gave and makes it free.
  void Return(std::span<std::byte> bytes);
  // True when pages come from memfd_secret(2). Maps the first page if there is none yet.
  bool IsHidden();

 private:
  static constexpr size_t kGranuleBytes = 64;
  static constexpr size_t kPageGranules = kPageBytes / kGranuleBytes;
  static_assert(kPageGranules == 64, "a page's granules are the bits of one uint64_t");

  struct Page {
    std::byte* start;
    uint64_t used;  // one bit a granule
  };

  // Pages are mapped 16 at a time: a process has a limited number of mappings, and V8 needs some.
  static constexpr size_t kMappedPages = 16;
  // 16 MiB, a quarter of a million data keys. Hidden memory is memory that nothing else can use.
  static constexpr size_t kMaxPages = 4096;

  Status AddPages();

  std::mutex mutex_;
  std::vector<Page> pages_;
  bool hidden_ = false;
};

}  // namespace keyvol

#endif  // KEYVOL_SECRET_SLAB_H_
