// One LUKS2 container file (DESIGN: 16 KiB metadata, 512 KiB keyslots area, data at 1 MiB,
// aes-xts-plain64, 512-bit volume key, 4096-byte sectors, one token of type "keyvol").
#ifndef KEYVOL_CONTAINER_CONTAINER_H_
#define KEYVOL_CONTAINER_CONTAINER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "secret/secret.h"
#include "status.h"

namespace keyvol {

inline constexpr uint64_t kDataOffsetBytes = 1048576;

struct ContainerOptions {
  std::string path;      // must not exist: created with O_EXCL, mode 0600
  std::string layer_id;  // lower-case UUID, becomes the LUKS2 UUID
  uint64_t size_bytes =
      0;  // the layer's disk size; the file becomes kDataOffsetBytes + size_bytes long
  std::string token_json;  // the whole token object, {"type":"keyvol",…}
  bool preallocate = false;
};

struct ContainerHeader {
  std::string layer_id;
  std::string cipher;  // always "aes-xts-plain64" when the open succeeded
  uint64_t data_offset_bytes = 0;
  uint32_t sector_bytes = 0;
  std::string token_json;
  uint64_t file_bytes = 0;
  int damaged_copies = 0;  // 1: one of the two header copies is bad; only `check --repair` mends it
};

// One of the two copies of a header. Good: of our layout, with a right checksum, what libcryptsetup
// takes, and not older than the other copy. Outdated: older, as a crash between two writes leaves
// it.
enum class CopyState { kGood, kDamaged, kOutdated };

// What opening does not care about, but a check tells.
struct HeaderCheck {
  ContainerHeader header;
  CopyState first = CopyState::kGood;
  CopyState second = CopyState::kGood;
  bool copies_differ = false;                  // both are good, but say different things
  std::optional<uint64_t> stray_offset_bytes;  // of the first byte that is not zero in unused space
};

// Makes the file, fsyncs it and its directory. On any failure nothing is left behind.
// kInvalidArgument for a key that is no data key, or a token whose context names another layer or
// size than the options.
Status CreateContainer(const ContainerOptions& options, const Secret& data_key);

// Reads and validates a header without ever writing to the file (a private copy is loaded).
// kHeaderInvalid, with the reason in the message, for anything but a header as CreateContainer
// makes it: wrong magic, both copies bad, other or null cipher, other key size, sector size, data
// offset, more than one segment, requirements, keyslots, no or several tokens, the token of another
// layer, truncated.
Status ReadContainerHeader(const std::string& path, ContainerHeader* header);

// kIntegrity when the key is not the volume key of the header's digest. Never writes to the file.
Status VerifyContainerKey(const std::string& path, const Secret& data_key);

// As ReadContainerHeader.
Status CheckContainerHeader(const std::string& path, HeaderCheck* check);

// Writes anew the copy that is not good, as libcryptsetup makes it from the good one, which is not
// touched, and makes it durable. Does nothing where both are good. As ReadContainerHeader where
// none is; kBusy when the header changes meanwhile; kIo when it is not mended afterwards.
Status RepairContainerHeader(const std::string& path);

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_CONTAINER_H_
