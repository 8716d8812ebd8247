// A disk in memory that holds its transport to the contract of disk.h.
#ifndef KEYVOL_TEST_FUZZ_MEMORY_DISK_H_
#define KEYVOL_TEST_FUZZ_MEMORY_DISK_H_

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <vector>

#include "disk/disk.h"
#include "fuzz/harness.h"

namespace keyvol::fuzz {

// Keeps its first 8 KiB; what lies behind takes writes and reads as zeros, so that a disk may be
// of any size. While `answer` is another than kOk every call answers that and does nothing.
class MemoryDisk : public Disk {
 public:
  MemoryDisk(uint64_t size_bytes, bool writable, std::shared_ptr<std::atomic<Code>> answer)
      : size_bytes_(size_bytes), writable_(writable), answer_(std::move(answer)) {}

  uint64_t size_bytes() const override { return size_bytes_; }
  bool writable() const override { return writable_; }

  Status Read(uint64_t offset_bytes, std::span<std::byte> out) override {
    CheckRange(offset_bytes, out.size());
    if (*answer_ != Code::kOk) return Failure();
    std::fill(out.begin(), out.end(), std::byte{0});
    const auto kept = Kept(offset_bytes, out.size());
    std::copy(kept.begin(), kept.end(), out.begin());
    return Status::Ok();
  }

  Status Write(uint64_t offset_bytes, std::span<std::byte> data) override {
    CheckRange(offset_bytes, data.size());
    if (!writable_) return Status::Error(Code::kReadOnly, "the disk takes no writes");
    if (*answer_ != Code::kOk) return Failure();
    const auto kept = Kept(offset_bytes, data.size());
    std::copy_n(data.begin(), kept.size(), kept.begin());
    std::fill(data.begin(), data.end(), std::byte{0xee});
    return Status::Ok();
  }

  Status Flush() override { return *answer_ == Code::kOk ? Status::Ok() : Failure(); }
  Status Discard(uint64_t offset_bytes, uint64_t length_bytes) override {
    return WriteZeroes(offset_bytes, length_bytes);
  }
  Status WriteZeroes(uint64_t offset_bytes, uint64_t length_bytes) override {
    CheckRange(offset_bytes, length_bytes);
    if (!writable_) return Status::Error(Code::kReadOnly, "the disk takes no writes");
    if (*answer_ != Code::kOk) return Failure();
    const auto kept = Kept(offset_bytes, length_bytes);
    std::fill(kept.begin(), kept.end(), std::byte{0});
    return Status::Ok();
  }
  Status SeekData(uint64_t offset_bytes, uint64_t* result_bytes) override {
    return Seek(offset_bytes, result_bytes);
  }
  Status SeekHole(uint64_t offset_bytes, uint64_t* result_bytes) override {
    return Seek(offset_bytes, result_bytes);
  }
  uint64_t allocated_bytes() const override { return kKeptBytes; }

 private:
  static constexpr size_t kKeptBytes = 8192;

  void CheckRange(uint64_t offset_bytes, uint64_t length_bytes) const {
    Promise(length_bytes > 0 && offset_bytes < size_bytes_ &&
                length_bytes <= size_bytes_ - offset_bytes,
            "a disk is asked only for what it has");
  }
  Status Failure() const { return Status::Error(*answer_, "as the input says", EIO); }
  Status Seek(uint64_t offset_bytes, uint64_t* result_bytes) const {
    Promise(offset_bytes < size_bytes_, "a disk is asked only for what it has");
    if (*answer_ != Code::kOk) return Failure();
    *result_bytes = offset_bytes;
    return Status::Ok();
  }
  std::span<std::byte> Kept(uint64_t offset_bytes, uint64_t length_bytes) {
    if (offset_bytes >= kKeptBytes) return {};
    return std::span(kept_).subspan(offset_bytes,
                                    std::min<uint64_t>(length_bytes, kKeptBytes - offset_bytes));
  }

  const uint64_t size_bytes_;
  const bool writable_;
  const std::shared_ptr<std::atomic<Code>> answer_;
  std::vector<std::byte> kept_ = std::vector<std::byte>(kKeptBytes);
};

}  // namespace keyvol::fuzz

#endif  // KEYVOL_TEST_FUZZ_MEMORY_DISK_H_
