#include "container/block_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <utility>

#include "container/fault_rules.h"
#include "file_io.h"

namespace keyvol {

namespace {

// A system call for less costs no more than a page that is mapped for the first time.
constexpr uint64_t kLeastCachedBytes = 32768;

// ext4 makes folios of its page cache as large as the write that makes them, and goes through all
// blocks of a folio for each later write into it: 4 KiB into what was written 1 MiB at a time take
// three times as long as with this.
constexpr size_t kMostWrittenBytesOnExt4 = 262144;

size_t MostWrittenBytes(int fd) {
  struct statfs filesystem {};
  const bool is_ext4 = fstatfs(fd, &filesystem) == 0 && filesystem.f_type == EXT4_SUPER_MAGIC;
  return is_ext4 ? kMostWrittenBytesOnExt4 : std::numeric_limits<size_t>::max();
}

class PosixBlockFile : public BlockFile {
 public:
  PosixBlockFile(UniqueFd fd, std::string path, uint64_t least_bytes)
      : fd_(std::move(fd)),
        path_(std::move(path)),
        least_bytes_(least_bytes),
        most_written_bytes_(MostWrittenBytes(fd_.get())),
        mapped_(fd_.get(), least_bytes),
        reading_("read from " + path_),
        writing_("write to " + path_),
        syncing_("sync " + path_),
        punching_("punch a hole in " + path_),
        zeroing_("zero a range of " + path_),
        seeking_("seek in " + path_) {}

  Status Read(uint64_t offset_bytes, std::span<std::byte> out) override {
    RETURN_IF_ERROR(Faults(BlockOp::kRead, reading_));
    size_t read_bytes = 0;
    RETURN_IF_ERROR(ReadUpTo(fd_.get(), offset_bytes, out, reading_, &read_bytes));
    return read_bytes == out.size() ? Status::Ok() : Truncated();
  }

  CachedBytes Cached(uint64_t offset_bytes, uint64_t length_bytes) override {
    const bool pays = length_bytes >= kLeastCachedBytes && length_bytes <= MappedFile::kMaxBytes;
    // A file that became shorter still shows zeros behind its end, to the end of the page.
    if (!pays || block_faults_armed.load(std::memory_order_relaxed) || !CheckWhole().ok()) {
      return {};
    }
    return mapped_.Cached(offset_bytes, length_bytes);
  }

  Status Write(uint64_t offset_bytes, std::span<const std::byte> data) override {
    RETURN_IF_ERROR(Faults(BlockOp::kWrite, writing_));
    RETURN_IF_ERROR(CheckWhole());
    while (data.size() > most_written_bytes_) {
      const auto piece = data.first(most_written_bytes_);
      RETURN_IF_ERROR(WriteWhole(fd_.get(), offset_bytes, piece, writing_));
      offset_bytes += piece.size();
      data = data.subspan(piece.size());
    }
    return WriteWhole(fd_.get(), offset_bytes, data, writing_);
  }

  Status Sync() override {
    const Status injected = Faults(BlockOp::kSync, syncing_);
    if (!injected.ok()) mapped_.Unmap();
    RETURN_IF_ERROR(injected);
    // Not repeated on EINTR: a second call could report success for pages the first one lost.
    if (fdatasync(fd_.get()) == 0) return Status::Ok();
    const int error_number = errno;
    mapped_.Unmap();
    return Status::FromErrno(error_number, syncing_);
  }

  Status CheckInPlace() override {
    struct stat ours {};
    struct stat named {};
    if (fstat(fd_.get(), &ours) != 0) return Status::FromErrno(errno, "stat " + path_);
    const bool is_named = stat(path_.c_str(), &named) == 0;
    // Who cannot look does not know that it is gone.
    if (!is_named && errno != ENOENT && errno != ENOTDIR) return Status::Ok();
    if (is_named && named.st_dev == ours.st_dev && named.st_ino == ours.st_ino) {
      return Status::Ok();
    }
    return Status::Error(Code::kIo, path_ +
                                        " was removed or replaced while its disk uses it; put it "
                                        "back before the disk is detached");
  }

  Status PunchHole(uint64_t offset_bytes, uint64_t length_bytes) override {
    const Status injected = Faults(BlockOp::kPunchHole, punching_);
    if (!injected.ok()) return NotAllocated(injected.error_number(), punching_);
    RETURN_IF_ERROR(CheckWhole());
    return Allocate(FALLOC_FL_PUNCH_HOLE, offset_bytes, length_bytes, punching_);
  }

  Status ZeroRange(uint64_t offset_bytes, uint64_t length_bytes) override {
    const Status injected = Faults(BlockOp::kZeroRange, zeroing_);
    if (!injected.ok()) return NotAllocated(injected.error_number(), zeroing_);
    RETURN_IF_ERROR(CheckWhole());
    return Allocate(FALLOC_FL_ZERO_RANGE, offset_bytes, length_bytes, zeroing_);
  }

  Status SeekData(uint64_t offset_bytes, uint64_t* result_bytes) override {
    return Seek(offset_bytes, SEEK_DATA, result_bytes);
  }

  Status SeekHole(uint64_t offset_bytes, uint64_t* result_bytes) override {
    return Seek(offset_bytes, SEEK_HOLE, result_bytes);
  }

  uint64_t allocated_bytes() const override {
    struct stat attributes {};
    if (fstat(fd_.get(), &attributes) != 0) return 0;
    return static_cast<uint64_t>(attributes.st_blocks) * 512;
  }

  // kIo, without an errno, when the file is too short.
  Status CheckWhole() {
    struct stat attributes {};
    if (fstat(fd_.get(), &attributes) != 0) return Status::FromErrno(errno, "stat " + path_);
    return static_cast<uint64_t>(attributes.st_size) >= least_bytes_ ? Status::Ok() : Truncated();
  }

  void DropCache() override { posix_fadvise(fd_.get(), 0, 0, POSIX_FADV_DONTNEED); }

 private:
  Status Faults(BlockOp op, const std::string& what) {
    if (!block_faults_armed.load(std::memory_order_relaxed)) return Status::Ok();
    return ApplyBlockFaults(op, path_, what);
  }

  Status Truncated() {
    return Status::Error(Code::kIo, path_ + " is truncated: it must have " +
                                        std::to_string(least_bytes_) +
                                        " bytes; restore it from a backup");
  }

  Status Allocate(int mode, uint64_t offset_bytes, uint64_t length_bytes, const std::string& what) {
    for (;;) {
      if (fallocate(fd_.get(), mode | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset_bytes),
                    static_cast<off_t>(length_bytes)) == 0) {
        return Status::Ok();
      }
      if (errno != EINTR) return NotAllocated(errno, what);
    }
  }

  static Status NotAllocated(int error_number, const std::string& what) {
    if (error_number != EOPNOTSUPP && error_number != ENOSYS) {
      return Status::FromErrno(error_number, what);
    }
    return Status::Error(Code::kUnsupported, "the filesystem cannot " + what, error_number);
  }

  // The descriptor's own position moves, which nothing here reads.
  Status Seek(uint64_t offset_bytes, int whence, uint64_t* result_bytes) {
    const off_t found = lseek(fd_.get(), static_cast<off_t>(offset_bytes), whence);
    if (found < 0 && errno == ENXIO) {
      RETURN_IF_ERROR(CheckWhole());
      return Status::Error(Code::kOutOfRange, "no more data in " + path_, ENXIO);
    }
    if (found < 0) return Status::FromErrno(errno, seeking_);
    *result_bytes = static_cast<uint64_t>(found);
    return Status::Ok();
  }

  const UniqueFd fd_;
  const std::string path_;
  const uint64_t least_bytes_;
  const size_t most_written_bytes_;
  MappedFile mapped_;
  // Made once, so that a request allocates nothing to be able to say what failed.
  const std::string reading_;
  const std::string writing_;
  const std::string syncing_;
  const std::string punching_;
  const std::string zeroing_;
  const std::string seeking_;
};

}  // namespace

Status BlockFile::Open(const std::string& path, bool writable, uint64_t least_bytes,
                       std::unique_ptr<BlockFile>* file) {
  UniqueFd fd;
  RETURN_IF_ERROR(OpenRegularFile(path, writable ? O_RDWR : O_RDONLY, Code::kInvalidArgument, &fd));
  auto opened = std::make_unique<PosixBlockFile>(std::move(fd), path, least_bytes);
  const Status whole = opened->CheckWhole();
  if (whole.code() == Code::kIo && whole.error_number() == 0) {
    return Status::Error(Code::kHeaderInvalid, whole.message());
  }
  RETURN_IF_ERROR(whole);
  *file = std::move(opened);
  return Status::Ok();
}

}  // namespace keyvol
