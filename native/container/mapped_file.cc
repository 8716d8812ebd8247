#include "container/mapped_file.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <mutex>

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

// The kernel allows a process 65,530 mappings (vm.max_map_count), and who else of it needs one must
// get it.
constexpr int kMostMappedFiles = 8192;
std::atomic<int> mapped_files = 0;

const std::byte* MapWhole(int fd, uint64_t length_bytes) {
  if (!HandlesBusErrors() || mapped_files >= kMostMappedFiles) return nullptr;
  void* const start = mmap(nullptr, length_bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (start == MAP_FAILED) return nullptr;
  ++mapped_files;
  // A process that is started from here would have to drop them all.
  madvise(start, length_bytes, MADV_DONTFORK);
  return static_cast<const std::byte*>(start);
}

// Below the caller's frame lay what was left in the middle, and the signal's frame with the
// registers: round keys and plaintext.
[[gnu::noinline]] void WipeStackBelow() {
  std::byte below[32768];
  explicit_bzero(below, sizeof below);
}

size_t PageBytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

}  // namespace

MappedFile::~MappedFile() { Unmap(); }

CachedBytes MappedFile::Cached(uint64_t offset_bytes, size_t length_bytes) {
  assert(length_bytes <= kMaxBytes && offset_bytes + length_bytes <= length_bytes_);
  std::shared_lock mapped = Map();
  if (!mapped) return {};
  const uint64_t page_offset = offset_bytes / PageBytes() * PageBytes();
  const size_t span_bytes = offset_bytes + length_bytes - page_offset;
  unsigned char is_here[kMaxBytes / 4096 + 1];
  void* const first_page = const_cast<std::byte*>(start_ + page_offset);
  if (mincore(first_page, span_bytes, is_here) != 0) return {};
  const size_t pages = (span_bytes + PageBytes() - 1) / PageBytes();
  if (!std::all_of(is_here, is_here + pages, [](unsigned char page) { return page & 1; })) {
    return {};
  }
  given_bytes_ += length_bytes;
  return {std::move(mapped), {start_ + offset_bytes, length_bytes}};
}

std::shared_lock<std::shared_mutex> MappedFile::Map() {
  const bool is_stale = length_bytes_ > kMostMappedBytes && given_bytes_ > kMostMappedBytes;
  if (can_map_ && (is_stale || start_ == nullptr)) MapAfresh();
  std::shared_lock mapped(in_use_, std::try_to_lock);
  return mapped && start_ != nullptr ? std::move(mapped) : std::shared_lock<std::shared_mutex>();
}

void MappedFile::MapAfresh() {
  const std::unique_lock alone(in_use_, std::try_to_lock);
  if (!alone || !can_map_) return;
  Release();
  given_bytes_ = 0;
  start_ = MapWhole(fd_, length_bytes_);
  if (start_ == nullptr) can_map_ = false;
}

void MappedFile::Unmap() {
  can_map_ = false;
  const std::lock_guard nobody_reads(in_use_);
  Release();
}

void MappedFile::Release() {
  if (start_ == nullptr) return;
  munmap(const_cast<std::byte*>(start_.load()), length_bytes_);
  start_ = nullptr;
  --mapped_files;
}

bool ReadUnlessLost(std::span<const std::byte> mapped, void (*work)(void*), void* context) {
  Reading here;
  here.mapped = mapped;
  // With the signal mask: the handler that is left has blocked SIGBUS.
  if (sigsetjmp(here.way_out, 1) != 0) {
    reading = nullptr;
    WipeStackBelow();
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
