// What goes over the wire, as https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md
// has it. All numbers are big-endian, nothing is padded.
#ifndef KEYVOL_TRANSPORT_NBD_PROTOCOL_H_
#define KEYVOL_TRANSPORT_NBD_PROTOCOL_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace keyvol::nbd {

// A number as it lies in a message; of alignment one.
template <typename T>
class Big {
 public:
  Big() = default;
  Big(T value) {  // NOLINT: stands for the number itself
    if constexpr (std::endian::native == std::endian::little) value = Reversed(value);
    std::memcpy(bytes_.data(), &value, sizeof value);
  }
  operator T() const {  // NOLINT
    T value;
    std::memcpy(&value, bytes_.data(), sizeof value);
    return std::endian::native == std::endian::little ? Reversed(value) : value;
  }

 private:
  static T Reversed(T value) {
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(value);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(value);
    return __builtin_bswap16(value);
  }
  std::array<unsigned char, sizeof(T)> bytes_ = {};
};

using Big16 = Big<uint16_t>;
using Big32 = Big<uint32_t>;
using Big64 = Big<uint64_t>;

template <typename T>
std::span<const std::byte> BytesOf(const T& message) {
  return std::as_bytes(std::span(&message, 1));
}

// ---- handshake ----

constexpr uint64_t kServerMagic = 0x4e42444d41474943;  // "NBDMAGIC"
constexpr uint64_t kOptionMagic = 0x49484156454f5054;  // "IHAVEOPT"
constexpr uint64_t kOptionReplyMagic = 0x3e889045565a9;
constexpr uint16_t kFixedNewstyle = 1 << 0;
constexpr uint16_t kNoZeroes = 1 << 1;
constexpr uint32_t kKnownFlags = kFixedNewstyle | kNoZeroes;

struct Greeting {
  Big64 server_magic = kServerMagic;
  Big64 option_magic = kOptionMagic;
  Big16 flags = kFixedNewstyle | kNoZeroes;
};

enum Option : uint32_t {
  kExportName = 1,
  kAbort = 2,
  kList = 3,
  kStartTls = 5,
  kInfo = 6,
  kGo = 7,
  kStructuredReply = 8,
  kListMetaContext = 9,
  kSetMetaContext = 10,
};

struct OptionHeader {
  Big64 magic;
  Big32 option;
  Big32 length_bytes;
};

enum OptionReply : uint32_t {
  kAck = 1,
  kServer = 2,
  kInfoReply = 3,
  kMetaContext = 4,
  kErrUnsupported = (1u << 31) | 1,
  kErrInvalid = (1u << 31) | 3,
  kErrTlsRequired = (1u << 31) | 5,
  kErrUnknown = (1u << 31) | 6,
  kErrTooBig = (1u << 31) | 9,
};

// More than any option needs whose parts have sensible lengths.
constexpr uint32_t kMaxOptionBytes = 65536;

struct OptionReplyHeader {
  Big64 magic = kOptionReplyMagic;
  Big32 option;
  Big32 type;
  Big32 length_bytes;
};

enum Info : uint16_t { kInfoExport = 0, kInfoName = 1, kInfoBlockSize = 3 };

struct ExportInfo {
  Big16 type = kInfoExport;
  Big64 size_bytes;
  Big16 flags;
};

struct BlockSizeInfo {
  Big16 type = kInfoBlockSize;
  Big32 smallest_bytes;
  Big32 preferred_bytes;
  Big32 largest_bytes;
};

struct ExportNameReply {
  Big64 size_bytes;
  Big16 flags;
};
constexpr size_t kExportNameZeroes = 124;

// ---- transmission ----

enum ExportFlag : uint16_t {
  kHasFlags = 1 << 0,
  kReadOnly = 1 << 1,
  kSendFlush = 1 << 2,
  kSendFua = 1 << 3,
  kSendTrim = 1 << 5,
  kSendWriteZeroes = 1 << 6,
  kSendDf = 1 << 7,
  kCanMultiConn = 1 << 8,
  kSendCache = 1 << 10,
};

constexpr uint32_t kRequestMagic = 0x25609513;

enum Command : uint16_t {
  kRead = 0,
  kWrite = 1,
  kDisconnect = 2,
  kFlush = 3,
  kTrim = 4,
  kCache = 5,
  kWriteZeroes = 6,
  kBlockStatus = 7,
};

enum CommandFlag : uint16_t {
  kFua = 1 << 0,
  kNoHole = 1 << 1,
  kDontFragment = 1 << 2,
  kRequestOne = 1 << 3,
};

struct RequestHeader {
  Big32 magic;
  Big16 flags;
  Big16 command;
  Big64 cookie;
  Big64 offset_bytes;
  Big32 length_bytes;
};

struct SimpleReply {
  Big32 magic = 0x67446698;
  Big32 error;
  Big64 cookie;
};

enum ChunkType : uint16_t {
  kNoChunk = 0,
  kOffsetData = 1,
  kBlockStatusChunk = 5,
  kErrorChunk = (1 << 15) | 1,
};
constexpr uint16_t kDone = 1 << 0;

struct Chunk {
  Big32 magic = 0x668e33ef;
  Big16 flags;
  Big16 type;
  Big64 cookie;
  Big32 length_bytes;
};

struct ErrorPayload {
  Big32 error;
  Big16 message_bytes;
};

struct Extent {
  Big32 length_bytes;
  Big32 flags;
};
constexpr uint32_t kHole = 1 << 0;
constexpr uint32_t kZero = 1 << 1;

enum Error : uint32_t {
  kEperm = 1,
  kEio = 5,
  kEnomem = 12,
  kEinval = 22,
  kEnospc = 28,
  kEoverflow = 75,
  kEnotsup = 95,
};

// What a client may send that has not asked for block sizes, and what it is told if it does.
constexpr uint32_t kMaxPayloadBytes = 32 * 1024 * 1024;
constexpr uint32_t kPreferredBytes = 4096;

constexpr char kAllocationContext[] = "base:allocation";
constexpr uint32_t kAllocationContextId = 1;

}  // namespace keyvol::nbd

#endif  // KEYVOL_TRANSPORT_NBD_PROTOCOL_H_
