// The kernel's FUSE protocol (linux/fuse.h, protocol 7.x), plus what newer kernels know and the
// header of Debian 12 (7.38) does not, and the sizes that we negotiate.
#ifndef KEYVOL_TRANSPORT_FUSE_PROTOCOL_H_
#define KEYVOL_TRANSPORT_FUSE_PROTOCOL_H_

#include <linux/fuse.h>

#include <cstddef>
#include <cstdint>

namespace keyvol::fuse {

// Protocol 7.39: shared mappings of files opened with FOPEN_DIRECT_IO.
constexpr uint64_t kDirectIoAllowMmap = 1ULL << 36;
// Protocol 7.40: requests that a dead server had taken are sent again to the next one.
constexpr uint64_t kHasResend = 1ULL << 39;
constexpr int kNotifyResend = 7;

// Older kernels lack max_pages in the INIT reply and so could not send 1 MiB requests.
constexpr uint32_t kOldestMinorVersion = 28;

constexpr size_t kPageBytes = 4096;
constexpr size_t kMaxPages = 256;
constexpr size_t kMaxPayloadBytes = kMaxPages * kPageBytes;
constexpr size_t kWriteHeaderBytes = sizeof(fuse_in_header) + sizeof(fuse_write_in);
constexpr size_t kMaxRequestBytes = kWriteHeaderBytes + kMaxPayloadBytes;
// A request is read in here so that the payload of a WRITE lies on a page boundary.
constexpr size_t kRequestStartBytes = kPageBytes - kWriteHeaderBytes;

static_assert(kWriteHeaderBytes < kPageBytes && kRequestStartBytes % alignof(fuse_in_header) == 0);

}  // namespace keyvol::fuse

#endif  // KEYVOL_TRANSPORT_FUSE_PROTOCOL_H_
