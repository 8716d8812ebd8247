#include "transport/fuse/negotiation.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "transport/fuse/protocol.h"

namespace keyvol::fuse {

namespace {

// Requests the kernel keeps under way at once for asynchronous I/O. Many, for those of a disk
// whose writes wait must not keep other disks' back.
constexpr uint16_t kMaxBackground = 4096;

uint64_t SupportedFlags() {
  return FUSE_ASYNC_READ | FUSE_BIG_WRITES | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |
         FUSE_MAX_PAGES | FUSE_INIT_EXT | kDirectIoAllowMmap | kHasResend;
}

uint64_t OfferedFlags(const fuse_init_in& in, size_t body_bytes) {
  const bool extended = (in.flags & FUSE_INIT_EXT) != 0 && body_bytes >= sizeof in;
  return in.flags | (extended ? static_cast<uint64_t>(in.flags2) << 32 : 0);
}

fuse_init_out AnswerTo(const fuse_init_in& in, size_t body_bytes) {
  const uint64_t flags = OfferedFlags(in, body_bytes) & SupportedFlags();
  fuse_init_out out = {};
  out.major = FUSE_KERNEL_VERSION;
  out.minor = FUSE_KERNEL_MINOR_VERSION;
  out.flags = static_cast<uint32_t>(flags);
  out.flags2 = static_cast<uint32_t>(flags >> 32);
  out.max_readahead = in.max_readahead;
  out.max_background = kMaxBackground;
  out.congestion_threshold = kMaxBackground * 3 / 4;
  out.max_write = kMaxPayloadBytes;
  out.max_pages = kMaxPages;
  out.time_gran = 1;
  return out;
}

Status Send(int fd, uint64_t unique, int error_number, const fuse_init_out& out) {
  const size_t body_bytes = error_number == 0 ? sizeof out : 0;
  fuse_out_header header = {.len = static_cast<uint32_t>(sizeof header + body_bytes),
                            .error = -error_number,
                            .unique = unique};
  const struct iovec parts[2] = {{&header, sizeof header},
                                 {const_cast<fuse_init_out*>(&out), body_bytes}};
  if (writev(fd, parts, body_bytes == 0 ? 1 : 2) >= 0) return Status::Ok();
  return Status::FromErrno(errno, "answer the kernel's FUSE handshake");
}

}  // namespace

Status AnswerInit(int fd) {
  alignas(fuse_in_header) char request[FUSE_MIN_READ_BUFFER];
  while (true) {
    const ssize_t length = read(fd, request, sizeof request);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return Status::FromErrno(errno, "read the kernel's FUSE handshake");
    const auto* header = reinterpret_cast<const fuse_in_header*>(request);
    const size_t body_bytes = static_cast<size_t>(length) - sizeof *header;
    fuse_init_in in = {};
    memcpy(&in, header + 1, std::min(body_bytes, sizeof in));
    if (header->opcode != FUSE_INIT || in.major < FUSE_KERNEL_VERSION ||
        (in.major == FUSE_KERNEL_VERSION && in.minor < kOldestMinorVersion)) {
      static_cast<void>(Send(fd, header->unique, EPROTO, {}));
      return Status::Error(Code::kUnsupported, "this kernel's FUSE protocol is too old");
    }
    RETURN_IF_ERROR(Send(fd, header->unique, 0, AnswerTo(in, body_bytes)));
    // A kernel with a newer major version asks again with ours.
    if (in.major == FUSE_KERNEL_VERSION) return Status::Ok();
  }
}

}  // namespace keyvol::fuse
