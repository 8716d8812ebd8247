// What a transport sees of a disk: bytes at offsets, no keys, no layers.
#ifndef KEYVOL_DISK_DISK_H_
#define KEYVOL_DISK_DISK_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "status.h"

namespace keyvol {

// All calls block, may be made from many threads at once, and take any byte offset and length
// inside the disk (kOutOfRange otherwise, nothing is done then). Two writers of one sector never
// tear it. A disk whose gate is closed answers kGateClosed; a poisoned one answers kPoisoned to
// writes and flushes.
class Disk {
 public:
  virtual ~Disk() = default;

  virtual uint64_t size_bytes() const = 0;
  virtual bool writable() const = 0;

  virtual Status Read(uint64_t offset_bytes, std::span<std::byte> out) = 0;
  // Encrypts in place: on success the contents of `data` are unspecified (never plaintext that
  // must be kept; the caller owns the memory). Where the thread waits for space (space_wait.h), a
  // full filesystem makes it wait; kWouldWait leaves `data` as it was.
  virtual Status Write(uint64_t offset_bytes, std::span<std::byte> data) = 0;
  // Everything acknowledged before the call is durable when it answers ok.
  virtual Status Flush() = 0;
  // Both read back as zeros. Discard may give space back; WriteZeroes likewise where it can.
  virtual Status Discard(uint64_t offset_bytes, uint64_t length_bytes) = 0;
  virtual Status WriteZeroes(uint64_t offset_bytes, uint64_t length_bytes) = 0;
  // lseek(2) SEEK_DATA / SEEK_HOLE: the first offset >= offset_bytes that is data (or hole) into
  // *result_bytes. Past the last data: kOutOfRange (the caller answers ENXIO). A hole ends at
  // size_bytes() at the latest.
  virtual Status SeekData(uint64_t offset_bytes, uint64_t* result_bytes) = 0;
  virtual Status SeekHole(uint64_t offset_bytes, uint64_t* result_bytes) = 0;
  // Host bytes that the disk's own top layer occupies, for st_blocks.
  virtual uint64_t allocated_bytes() const = 0;
};

}  // namespace keyvol

#endif  // KEYVOL_DISK_DISK_H_
