// The unencrypted native pass-through: keyvol's own FUSE transport and threads over a plain file,
// without layers and cipher. `passthrough FILE DIRECTORY THREADS` serves FILE as
// DIRECTORY/volumes/disk until SIGTERM or SIGINT.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "disk/disk.h"
#include "file_io.h"
#include "host/fuse_mount.h"
#include "transport/fuse/ledger.h"
#include "transport/fuse/negotiation.h"
#include "transport/fuse/protocol.h"
#include "transport/fuse/session.h"
#include "transport/fuse/tree.h"

namespace {

using keyvol::Code;
using keyvol::Status;
using keyvol::UniqueFd;

constexpr std::chrono::seconds kEndTimeout(5);

class PlainDisk : public keyvol::Disk {
 public:
  PlainDisk(UniqueFd fd, uint64_t size_bytes) : fd_(std::move(fd)), size_bytes_(size_bytes) {}

  uint64_t size_bytes() const override { return size_bytes_; }
  bool writable() const override { return true; }

  Status Read(uint64_t offset_bytes, std::span<std::byte> out) override {
    return keyvol::ReadWhole(fd_.get(), offset_bytes, out, "read");
  }
  Status Write(uint64_t offset_bytes, std::span<std::byte> data) override {
    return keyvol::WriteWhole(fd_.get(), offset_bytes, data, "write");
  }
  Status Flush() override { return StatusOf(fdatasync(fd_.get()), "flush"); }
  Status Discard(uint64_t offset_bytes, uint64_t length_bytes) override {
    constexpr int kMode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return StatusOf(fallocate(fd_.get(), kMode, static_cast<off_t>(offset_bytes),
                              static_cast<off_t>(length_bytes)),
                    "discard");
  }
  Status WriteZeroes(uint64_t offset_bytes, uint64_t length_bytes) override {
    return Discard(offset_bytes, length_bytes);
  }
  Status SeekData(uint64_t offset_bytes, uint64_t* result_bytes) override {
    return Seek(offset_bytes, SEEK_DATA, result_bytes);
  }
  Status SeekHole(uint64_t offset_bytes, uint64_t* result_bytes) override {
    return Seek(offset_bytes, SEEK_HOLE, result_bytes);
  }
  uint64_t allocated_bytes() const override {
    struct stat status = {};
    return fstat(fd_.get(), &status) == 0 ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
  }

 private:
  static Status StatusOf(int result, const char* what) {
    return result == 0 ? Status::Ok() : Status::FromErrno(errno, what);
  }

  Status Seek(uint64_t offset_bytes, int whence, uint64_t* result_bytes) {
    const off_t found = lseek(fd_.get(), static_cast<off_t>(offset_bytes), whence);
    if (found < 0 && errno == ENXIO) return Status::Error(Code::kOutOfRange, "past the last data");
    if (found < 0) return Status::FromErrno(errno, "seek");
    *result_bytes = static_cast<uint64_t>(found);
    return Status::Ok();
  }

  const UniqueFd fd_;
  const uint64_t size_bytes_;
};

Status OpenDisk(const std::string& path, std::shared_ptr<keyvol::Disk>* disk) {
  UniqueFd fd;
  RETURN_IF_ERROR(keyvol::OpenRegularFile(path, O_RDWR, Code::kInvalidArgument, &fd));
  struct stat status = {};
  if (fstat(fd.get(), &status) != 0) return Status::FromErrno(errno, "stat " + path);
  *disk = std::make_shared<PlainDisk>(std::move(fd), static_cast<uint64_t>(status.st_size));
  return Status::Ok();
}

// As keyvol's own mount without a holder.
Status Mount(const std::string& directory, int threads, std::shared_ptr<keyvol::Disk> disk,
             std::shared_ptr<keyvol::fuse::Session>* session) {
  UniqueFd memory;
  std::shared_ptr<keyvol::fuse::Ledger> ledger;
  RETURN_IF_ERROR(keyvol::fuse::Ledger::Create(&memory));
  RETURN_IF_ERROR(keyvol::fuse::Ledger::Map(std::move(memory), &ledger));
  auto tree = std::make_shared<keyvol::fuse::Tree>(ledger);
  RETURN_IF_ERROR(tree->Add({.id = "disk",
                             .directory = keyvol::fuse::Directory::kVolumes,
                             .name = "disk",
                             .disk = std::move(disk),
                             .read_only = false,
                             .uid = getuid(),
                             .gid = getgid(),
                             .mode = 0600}));
  std::vector<UniqueFd> fds;
  RETURN_IF_ERROR(keyvol::MountFuse({.directory = directory,
                                     .descriptors = threads,
                                     .allow_other = false,
                                     .max_read_bytes = keyvol::fuse::kMaxPayloadBytes},
                                    &fds));
  RETURN_IF_ERROR(keyvol::fuse::AnswerInit(fds.front().get()));
  RETURN_IF_ERROR(keyvol::fuse::Session::Create(std::move(fds), tree, session));
  return (*session)->Serve();
}

// Blocked before any thread is made, so that none of them takes it.
sigset_t BlockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

Status Run(const std::string& path, const std::string& directory, int threads) {
  const sigset_t signals = BlockEndSignals();
  std::shared_ptr<keyvol::Disk> disk;
  RETURN_IF_ERROR(OpenDisk(path, &disk));
  std::shared_ptr<keyvol::fuse::Session> session;
  const Status mounted = Mount(directory, threads, disk, &session);
  int signal = 0;
  if (mounted.ok()) sigwait(&signals, &signal);
  const Status unmounted = keyvol::UnmountFuse(directory);
  if (mounted.ok()) session->WaitForEnd(kEndTimeout);
  return mounted.ok() ? unmounted : mounted;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: passthrough FILE DIRECTORY THREADS\n");
    return 2;
  }
  const Status status = Run(argv[1], argv[2], std::atoi(argv[3]));
  if (status.ok()) return 0;
  std::fprintf(stderr, "passthrough: error: %s\n", status.message().c_str());
  return 1;
}
