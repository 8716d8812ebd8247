#include "secret/slab.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "unique_fd.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

namespace keyvol {

namespace {

uint64_t MaskOf(size_t granules, size_t first) {
  const uint64_t ones = granules == 64 ? ~uint64_t{0} : (uint64_t{1} << granules) - 1;
  return ones << first;
}

// Memory that is not in the kernel's direct map: not even root reads it through /proc or a dump.
void* MapHidden(size_t length_bytes) {
  UniqueFd fd(static_cast<int>(syscall(SYS_memfd_secret, O_CLOEXEC)));
  if (!fd.valid() || ftruncate(fd.get(), static_cast<off_t>(length_bytes)) != 0) return nullptr;
  void* pages = mmap(nullptr, length_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (pages == MAP_FAILED) return nullptr;
  // A shared mapping cannot be wiped on fork, but it can be kept out of the child.
  if (madvise(pages, length_bytes, MADV_DONTDUMP) != 0 ||
      madvise(pages, length_bytes, MADV_DONTFORK) != 0) {
    munmap(pages, length_bytes);
    return nullptr;
  }
  return pages;
}

void* MapLocked(size_t length_bytes) {
  void* pages =
      mmap(nullptr, length_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  if (mlock(pages, length_bytes) != 0 || madvise(pages, length_bytes, MADV_DONTDUMP) != 0 ||
      madvise(pages, length_bytes, MADV_WIPEONFORK) != 0) {
    const int error_number = errno;
    munmap(pages, length_bytes);
    errno = error_number;
    return nullptr;
  }
  return pages;
}

}  // namespace

SecretSlab& SecretSlab::Instance() {
  static SecretSlab* slab = new SecretSlab();
  return *slab;
}

Status SecretSlab::AddPages() {
  constexpr size_t kMappedBytes = kMappedPages * kPageBytes;
  if (pages_.size() >= kMaxPages) {
    return Status::Error(Code::kNoSpace, "too many keys in use at once");
  }
  void* pages = MapHidden(kMappedBytes);
  const bool hidden = pages != nullptr;
  if (!hidden) pages = MapLocked(kMappedBytes);
  if (pages == nullptr) {
    return Status::Error(Code::kNoSpace,
                         "no memory can be locked for another key (see ulimit -l, LimitMEMLOCK)",
                         errno);
  }
  // One mapping outside hidden memory makes the answer of IsHidden false for good.
  hidden_ = hidden && (pages_.empty() || hidden_);
  for (size_t i = 0; i < kMappedPages; ++i) {
    pages_.push_back({static_cast<std::byte*>(pages) + i * kPageBytes, 0});
  }
  return Status::Ok();
}

Status SecretSlab::Take(size_t length_bytes, std::span<std::byte>* bytes) {
  if (length_bytes == 0 || length_bytes > kPageBytes) {
    return Status::Error(Code::kInvalidArgument, "a secret has 1 to 4096 bytes");
  }
  const size_t granules = (length_bytes + kGranuleBytes - 1) / kGranuleBytes;
  const std::lock_guard lock(mutex_);
  for (size_t index = 0;; ++index) {
    if (index == pages_.size()) RETURN_IF_ERROR(AddPages());
    Page& page = pages_[index];
    for (size_t first = 0; first + granules <= kPageGranules; ++first) {
      const uint64_t mask = MaskOf(granules, first);
      if ((page.used & mask) != 0) continue;
      page.used |= mask;
      *bytes = {page.start + first * kGranuleBytes, length_bytes};
      return Status::Ok();
    }
  }
}

void SecretSlab::Return(std::span<std::byte> bytes) {
  explicit_bzero(bytes.data(), bytes.size());
  const size_t granules = (bytes.size() + kGranuleBytes - 1) / kGranuleBytes;
  const std::lock_guard lock(mutex_);
  const auto page = std::find_if(pages_.begin(), pages_.end(), [&](const Page& candidate) {
    return bytes.data() >= candidate.start && bytes.data() < candidate.start + kPageBytes;
  });
  assert(page != pages_.end());
  const size_t first = static_cast<size_t>(bytes.data() - page->start) / kGranuleBytes;
  const uint64_t mask = MaskOf(granules, first);
  assert((page->used & mask) == mask);
  page->used &= ~mask;
}

bool SecretSlab::IsHidden() {
  const std::lock_guard lock(mutex_);
  if (pages_.empty() && !AddPages().ok()) return false;
  return hidden_;
}

}  // namespace keyvol
