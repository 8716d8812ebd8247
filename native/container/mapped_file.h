// A file's page cache, read where it lies: one copy less than read(2).
#ifndef KEYVOL_CONTAINER_MAPPED_FILE_H_
#define KEYVOL_CONTAINER_MAPPED_FILE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <shared_mutex>
#include <span>
#include <utility>

namespace keyvol {

// Bytes of a mapped file; mapped while this lives, but no longer than the file has them. Read them
// within ReadUnlessLost only, and not for long: who unmaps waits.
class CachedBytes {
 public:
  CachedBytes() = default;
  CachedBytes(std::shared_lock<std::shared_mutex> mapped, std::span<const std::byte> bytes)
      : mapped_(std::move(mapped)), bytes_(bytes) {}
  std::span<const std::byte> bytes() const { return bytes_; }  // empty: there are none

 private:
  std::shared_lock<std::shared_mutex> mapped_;
  std::span<const std::byte> bytes_;
};

// Maps the file when it is first asked. One of which more than kMostMappedBytes have been read is
// mapped afresh, so that the kernel's page tables, 2 MiB for each GiB, do not grow with what was
// read of it long ago. Calls may come from many threads at once.
class MappedFile {
 public:
  // At most so much can be asked for at once.
  static constexpr size_t kMaxBytes = 1048576;
  static constexpr uint64_t kMostMappedBytes = 4ull << 30;

  // Of the file's first length_bytes. The descriptor outlives this.
  MappedFile(int fd, uint64_t length_bytes) : fd_(fd), length_bytes_(length_bytes) {}
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Empty unless all of them are in the page cache now, and where nothing can be mapped. The range
  // lies within the length.
  CachedBytes Cached(uint64_t offset_bytes, size_t length_bytes);
  // From now on nothing is cached. Waits until all that Cached gave has ended.
  void Unmap();

 private:
  // Of what is mapped; empty when nothing is.
  std::shared_lock<std::shared_mutex> Map();
  void MapAfresh();
  void Release();

  const int fd_;
  const uint64_t length_bytes_;
  // Held shared by who reads what is mapped. Who finds it taken does not wait, but reads elsewhere.
  std::shared_mutex in_use_;
  std::atomic<const std::byte*> start_ = nullptr;
  std::atomic<bool> can_map_ = true;
  std::atomic<uint64_t> given_bytes_ = 0;  // since it was mapped
};

// Calls work(context), which reads `mapped`; false when the file lost some of it meanwhile
// (truncated, or an error of the medium: SIGBUS), and work was left in the middle: nothing that it
// owned was destroyed. What it had on the stack is wiped then.
bool ReadUnlessLost(std::span<const std::byte> mapped, void (*work)(void*), void* context);

template <typename Work>
bool ReadUnlessLost(std::span<const std::byte> mapped, Work work) {
  return ReadUnlessLost(
      mapped, [](void* context) { (*static_cast<Work*>(context))(); }, &work);
}

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_MAPPED_FILE_H_
