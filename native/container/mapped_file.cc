#include "container/mapped_file.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>

namespace keyvol {

namespace {

struct Reading {
  std::span<const std::byte> mapped;
  sigjmp_buf way_out;
};

// What this thread is reading now.
thread_local Reading* reading = nullptr;

struct sigaction others;  // who was told before

void OnBusError(int number, siginfo_t* info, void*) {
  Reading* const mine = reading;
  const auto* at = static_cast<const std::byte*>(info->si_addr);
  if (mine != nullptr && info->si_code > 0 && at >= mine->mapped.data() &&
      at < mine->mapped.data() + mine->mapped.size()) {
    siglongjmp(mine->way_out, 1);
  }
  // Not from here. It comes again at once: by itself, or, when someone sent it, by this.
  sigaction(SIGBUS, &others, nullptr);
  if (info->si_code <= 0) raise(number);
}

// Once in a process.
bool HandlesBusErrors() {
  static const bool done = [] {
    struct sigaction ours {};
    ours.sa_sigaction = OnBusError;
    ours.sa_flags = SA_SIGINFO;
    return sigaction(SIGBUS, &ours, &others) == 0;
  }();
  return done;
}

size_t PageBytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

MappedFile::MappedFile(int fd, uint64_t length_bytes) : length_bytes_(length_bytes) {
  if (!HandlesBusErrors()) return;
  void* const start = mmap(nullptr, length_bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (start == MAP_FAILED) return;
  // A process that is started from here would have to drop them all.
  madvise(start, length_bytes, MADV_DONTFORK);
  start_ = static_cast<const std::byte*>(start);
}

MappedFile::~MappedFile() { Unmap(); }

CachedBytes MappedFile::Cached(uint64_t offset_bytes, size_t length_bytes) {
  assert(length_bytes <= kMaxBytes && offset_bytes + length_bytes <= length_bytes_);
  if (start_.load(std::memory_order_relaxed) == nullptr) return {};
  std::shared_lock mapped(in_use_);
  const std::byte* const start = start_;
  if (start == nullptr) return {};
  const uint64_t page_offset = offset_bytes / PageBytes() * PageBytes();
  const size_t span_bytes = offset_bytes + length_bytes - page_offset;
  unsigned char is_here[kMaxBytes / 4096 + 1];
  void* const first_page = const_cast<std::byte*>(start + page_offset);
  if (mincore(first_page, span_bytes, is_here) != 0) return {};
  const size_t pages = (span_bytes + PageBytes() - 1) / PageBytes();
  if (!std::all_of(is_here, is_here + pages, [](unsigned char page) { return page & 1; })) {
    return {};
  }
  return {std::move(mapped), {start + offset_bytes, length_bytes}};
}

void MappedFile::Unmap() {
  const std::byte* const start = start_.exchange(nullptr);
  if (start == nullptr) return;
  const std::lock_guard nobody_reads(in_use_);
  munmap(const_cast<std::byte*>(start), length_bytes_);
}

bool ReadUnlessLost(std::span<const std::byte> mapped, void (*work)(void*), void* context) {
  Reading here;
  here.mapped = mapped;
  // With the signal mask: the handler that is left has blocked SIGBUS.
  if (sigsetjmp(here.way_out, 1) != 0) {
    reading = nullptr;
    return false;
  }
  reading = &here;
  std::atomic_signal_fence(std::memory_order_seq_cst);
  work(context);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  reading = nullptr;
  return true;
}

}  // namespace keyvol
