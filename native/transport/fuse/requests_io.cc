// Requests on open files: the data path.
#include <fcntl.h>
#include <linux/falloc.h>

#include <algorithm>
#include <cerrno>

#include "transport/fuse/requests.h"

namespace keyvol::fuse {

namespace {

// How much of [offset, offset + length) the disk has.
uint64_t Clamp(const Disk& disk, uint64_t offset_bytes, uint64_t length_bytes) {
  const uint64_t size_bytes = disk.size_bytes();
  return offset_bytes >= size_bytes ? 0 : std::min(length_bytes, size_bytes - offset_bytes);
}

}  // namespace

void HandleOpen(Tree& tree, const Request& request, Reply& reply) {
  const bool for_writing = (request.As<fuse_open_in>().flags & O_ACCMODE) != O_RDONLY;
  fuse_open_out out = {};
  // The pid of a request is that of the thread that made it.
  const int error_number = tree.Open(request.header.nodeid, for_writing, request.header.pid,
                                     request.header.unique, &out.fh);
  if (error_number != 0) return reply.Errno(error_number);
  // Nothing of a disk stays in the page cache of its file, where no gate could reach it, unless its
  // owner wants it so.
  out.open_flags = tree.IsCached(request.header.nodeid)
                       ? FOPEN_KEEP_CACHE
                       : FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES;
  reply.SendStruct(out);
}

void HandleRelease(Tree& tree, const Request& request, Reply& reply) {
  tree.Release(request.As<fuse_release_in>().fh);
  reply.Errno(0);
}

void HandleRead(Tree& tree, const Request& request, Reply& reply) {
  const auto& in = request.As<fuse_read_in>();
  const std::shared_ptr<Disk> disk = tree.DiskOfHandle(in.fh);
  if (!disk) return reply.Errno(EIO);
  const uint64_t length_bytes =
      Clamp(*disk, in.offset, std::min<uint64_t>(in.size, kMaxPayloadBytes));
  if (length_bytes == 0) return reply.Errno(0);
  const Status status = disk->Read(in.offset, reply.buffer().first(length_bytes));
  if (!status.ok()) return reply.Fail(status);
  reply.SendBuffer(length_bytes);
}

void HandleWrite(Tree& tree, const Request& request, Reply& reply) {
  const auto& in = request.As<fuse_write_in>();
  const std::span<std::byte> payload = request.body.subspan(sizeof in);
  if (payload.size() < in.size) return reply.Errno(EINVAL);
  const std::shared_ptr<Disk> disk = tree.DiskOfHandle(in.fh);
  if (!disk) return reply.Errno(EIO);
  const uint64_t length_bytes = Clamp(*disk, in.offset, in.size);
  // As a block device does: what fits is written, and at the end there is no space.
  if (length_bytes == 0) return reply.Errno(in.size == 0 ? 0 : ENOSPC);
  const Status status = disk->Write(in.offset, payload.first(length_bytes));
  if (!status.ok()) return reply.Fail(status);
  reply.SendStruct(fuse_write_out{.size = static_cast<uint32_t>(length_bytes)});
}

void HandleFsync(Tree& tree, const Request& request, Reply& reply) {
  const std::shared_ptr<Disk> disk = tree.DiskOfHandle(request.As<fuse_fsync_in>().fh);
  if (!disk) return reply.Errno(EIO);
  reply.Fail(disk->Flush());
}

// Discards (punch hole) and write-zeroes (zero range) of loop devices and programs. Plain
// allocation is refused, since no later write could be promised its space.
void HandleFallocate(Tree& tree, const Request& request, Reply& reply) {
  const auto& in = request.As<fuse_fallocate_in>();
  const std::shared_ptr<Disk> disk = tree.DiskOfHandle(in.fh);
  if (!disk) return reply.Errno(EIO);
  const bool punch_hole = in.mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
  const bool keep_size = (in.mode & FALLOC_FL_KEEP_SIZE) != 0;
  const bool zero_range = (in.mode & ~FALLOC_FL_KEEP_SIZE) == FALLOC_FL_ZERO_RANGE;
  if (!punch_hole && !zero_range) return reply.Errno(EOPNOTSUPP);
  const uint64_t length_bytes = Clamp(*disk, in.offset, in.length);
  if (!keep_size && length_bytes != in.length) return reply.Errno(ENOSPC);
  if (length_bytes == 0) return reply.Errno(0);
  const Status status = punch_hole ? disk->Discard(in.offset, length_bytes)
                                   : disk->WriteZeroes(in.offset, length_bytes);
  reply.Fail(status);
}

void HandleLseek(Tree& tree, const Request& request, Reply& reply) {
  const auto& in = request.As<fuse_lseek_in>();
  if (in.whence != SEEK_DATA && in.whence != SEEK_HOLE) return reply.Errno(EINVAL);
  const std::shared_ptr<Disk> disk = tree.DiskOfHandle(in.fh);
  if (!disk) return reply.Errno(EIO);
  if (in.offset >= disk->size_bytes()) return reply.Errno(ENXIO);
  fuse_lseek_out out = {};
  const Status status = in.whence == SEEK_DATA ? disk->SeekData(in.offset, &out.offset)
                                               : disk->SeekHole(in.offset, &out.offset);
  if (status.code() == Code::kOutOfRange) return reply.Errno(ENXIO);
  if (!status.ok()) return reply.Fail(status);
  reply.SendStruct(out);
}

}  // namespace keyvol::fuse
