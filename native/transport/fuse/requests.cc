#include "transport/fuse/requests.h"

#include <sys/uio.h>

#include <cerrno>
#include <cstring>

namespace keyvol::fuse {

namespace {

void HandleSuccess(Tree&, const Request&, Reply& reply) { reply.Errno(0); }
void HandleNoAnswer(Tree&, const Request&, Reply&) {}

// Names are made and taken away by keyvol alone, whoever asks.
template <int error_number>
void HandleRefused(Tree&, const Request&, Reply& reply) {
  reply.Errno(error_number);
}

struct Operation {
  uint32_t opcode;
  size_t body_bytes;  // at least
  Handler handler;
};

// What is not here is answered ENOSYS; for FLUSH, ACCESS, GETXATTR, LISTXATTR, FSYNCDIR and
// READDIRPLUS that tells the kernel to do without and not to ask again.
constexpr Operation kOperations[] = {
    {FUSE_READ, sizeof(fuse_read_in), HandleRead},
    {FUSE_WRITE, sizeof(fuse_write_in), HandleWrite},
    {FUSE_FSYNC, sizeof(fuse_fsync_in), HandleFsync},
    {FUSE_FALLOCATE, sizeof(fuse_fallocate_in), HandleFallocate},
    {FUSE_LSEEK, sizeof(fuse_lseek_in), HandleLseek},
    {FUSE_OPEN, sizeof(fuse_open_in), HandleOpen},
    {FUSE_RELEASE, sizeof(fuse_release_in), HandleRelease},
    {FUSE_LOOKUP, 1, HandleLookup},
    {FUSE_GETATTR, sizeof(fuse_getattr_in), HandleGetattr},
    {FUSE_SETATTR, sizeof(fuse_setattr_in), HandleSetattr},
    {FUSE_STATFS, 0, HandleStatfs},
    {FUSE_OPENDIR, sizeof(fuse_open_in), HandleOpendir},
    {FUSE_READDIR, sizeof(fuse_read_in), HandleReaddir},
    {FUSE_RELEASEDIR, 0, HandleSuccess},
    {FUSE_DESTROY, 0, HandleSuccess},
    {FUSE_FORGET, 0, HandleNoAnswer},
    {FUSE_BATCH_FORGET, 0, HandleNoAnswer},
    {FUSE_INTERRUPT, 0, HandleNoAnswer},
    {FUSE_CREATE, 0, HandleRefused<EPERM>},
    {FUSE_MKNOD, 0, HandleRefused<EPERM>},
    {FUSE_MKDIR, 0, HandleRefused<EPERM>},
    {FUSE_SYMLINK, 0, HandleRefused<EPERM>},
    {FUSE_LINK, 0, HandleRefused<EPERM>},
    {FUSE_UNLINK, 0, HandleRefused<EPERM>},
    {FUSE_RMDIR, 0, HandleRefused<EPERM>},
    {FUSE_RENAME, 0, HandleRefused<EPERM>},
    {FUSE_RENAME2, 0, HandleRefused<EPERM>},
    {FUSE_SETXATTR, 0, HandleRefused<EOPNOTSUPP>},
    {FUSE_REMOVEXATTR, 0, HandleRefused<EOPNOTSUPP>},
    {FUSE_IOCTL, 0, HandleRefused<ENOTTY>},
};

}  // namespace

std::string Request::Name() const {
  const char* text = reinterpret_cast<const char*>(body.data());
  return std::string(text, strnlen(text, body.size()));
}

void Reply::Send(int error_number, const void* data, size_t length_bytes) {
  if (muted_) return;
  fuse_out_header header = {.len = static_cast<uint32_t>(sizeof header + length_bytes),
                            .error = -error_number,
                            .unique = unique_};
  const struct iovec parts[2] = {{&header, sizeof header}, {const_cast<void*>(data), length_bytes}};
  if (writev(fd_, parts, length_bytes == 0 ? 1 : 2) >= 0 || length_bytes == 0) return;
  // ENOENT: the kernel no longer waits for this reply. Anything else leaves it waiting.
  if (errno != ENOENT) Send(EIO, nullptr, 0);
}

void Reply::Fail(const Status& status) {
  would_wait_ = status.code() == Code::kWouldWait;
  if (!would_wait_) Errno(status.ToErrno());
}

void Dispatch(Tree& tree, const Request& request, Reply& reply) {
  if (request.header.len != sizeof request.header + request.body.size()) return reply.Errno(EINVAL);
  for (const Operation& operation : kOperations) {
    if (operation.opcode != request.header.opcode) continue;
    if (request.body.size() < operation.body_bytes) return reply.Errno(EINVAL);
    return operation.handler(tree, request, reply);
  }
  reply.Errno(ENOSYS);
}

}  // namespace keyvol::fuse
