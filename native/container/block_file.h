// The one door to pread, pwrite, fdatasync and fallocate of a container's data area, so that
// faults and power cuts can be simulated.
#ifndef KEYVOL_CONTAINER_BLOCK_FILE_H_
#define KEYVOL_CONTAINER_BLOCK_FILE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "container/mapped_file.h"
#include "status.h"

namespace keyvol {

// Offsets count from the start of the file. Reads and writes are whole or fail: short transfers
// and EINTR are retried inside. Once the file is shorter than it was promised to be, reads of what
// is gone and all changes are kIo: its lost sectors are not zeros, and a write must not make it
// long again over a gap. Calls may come from many threads at once.
class BlockFile {
 public:
  virtual ~BlockFile() = default;

  virtual Status Read(uint64_t offset_bytes, std::span<std::byte> out) = 0;
  // The bytes where they lie in the page cache, if they all do and are so many that it pays to read
  // them there; empty otherwise, and for good after a failed sync: what is mapped no DropCache can
  // drop.
  virtual CachedBytes Cached(uint64_t offset_bytes, uint64_t length_bytes) = 0;
  virtual Status Write(uint64_t offset_bytes, std::span<const std::byte> data) = 0;
  virtual Status Sync() = 0;  // fdatasync
  // kIo when the file's path no longer names it: what is synced would be gone once it is closed.
  virtual Status CheckInPlace() = 0;
  // Deallocates; reads give zeros after. kUnsupported where the filesystem cannot.
  virtual Status PunchHole(uint64_t offset_bytes, uint64_t length_bytes) = 0;
  // Zeros that stay allocated (FALLOC_FL_ZERO_RANGE). kUnsupported where the filesystem cannot.
  virtual Status ZeroRange(uint64_t offset_bytes, uint64_t length_bytes) = 0;
  // lseek SEEK_DATA / SEEK_HOLE. kOutOfRange past the last data.
  virtual Status SeekData(uint64_t offset_bytes, uint64_t* result_bytes) = 0;
  virtual Status SeekHole(uint64_t offset_bytes, uint64_t* result_bytes) = 0;
  virtual uint64_t allocated_bytes() const = 0;
  // Drops the file's clean page cache (POSIX_FADV_DONTNEED after a failed sync).
  virtual void DropCache() = 0;

  // Opens an existing regular file (O_NOFOLLOW | O_CLOEXEC), read-only or read-write;
  // kHeaderInvalid when it is shorter than least_bytes.
  static Status Open(const std::string& path, bool writable, uint64_t least_bytes,
                     std::unique_ptr<BlockFile>* file);
};

// Faults that tests switch on, process-wide, per operation: the Nth call of an operation from
// now fails with an errno, once or for good. Off by default and free then.
enum class BlockOp { kRead, kWrite, kSync, kPunchHole, kZeroRange };
struct BlockFault {
  uint64_t after_calls = 0;  // 0 = the next call
  int error_number = 5;
  bool sticky = false;
  uint32_t delay_ms = 0;      // waits this long first; with error_number 0 it only delays
  std::string path_contains;  // empty = every file
};
void InjectBlockFault(BlockOp op, const BlockFault& fault);
void ClearBlockFaults();

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_BLOCK_FILE_H_
