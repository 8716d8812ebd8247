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
// within ReadUnlessLost only.
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

// Calls may come from many threads at once.
class MappedFile {
 public:
  // At most so much can be asked for at once.
  static constexpr size_t kMaxBytes = 1048576;

  // Maps the first length_bytes of the file. Where that is not possible, nothing is ever cached.
  MappedFile(int fd, uint64_t length_bytes);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  // Empty unless all of them are in the page cache now. The range lies within what was mapped.
  CachedBytes Cached(uint64_t offset_bytes, size_t length_bytes);
  // From now on nothing is cached. Waits until all that Cached gave has ended.
  void Unmap();

 private:
  std::atomic<const std::byte*> start_ = nullptr;
  const uint64_t length_bytes_;
  std::shared_mutex in_use_;
};

// Calls work(context), which reads `mapped`; false when the file lost some of it meanwhile
// (truncated, or an error of the medium: SIGBUS), and work was left in the middle: nothing that it
// owned was destroyed.
bool ReadUnlessLost(std::span<const std::byte> mapped, void (*work)(void*), void* context);

template <typename Work>
bool ReadUnlessLost(std::span<const std::byte> mapped, Work work) {
  return ReadUnlessLost(
      mapped, [](void* context) { (*static_cast<Work*>(context))(); }, &work);
}

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_MAPPED_FILE_H_
