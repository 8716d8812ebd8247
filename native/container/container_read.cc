#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "container/container.h"
#include "container/crypt_device.h"
#include "container/header_copies.h"
#include "container/header_rules.h"
#include "container/private_file.h"
#include "file_io.h"

namespace keyvol {

namespace {

constexpr uint64_t kSmallestFileBytes = kDataOffsetBytes + 4096;

// A header loaded by libcryptsetup from a private copy, checked against every rule.
struct LoadedHeader {
  PrivateFile file;  // outlives the device that reads it
  std::unique_ptr<CryptDevice> device;
  ContainerHeader facts;
};

Status ReadHeaderBytes(const std::string& path, uint64_t* file_bytes,
                       std::vector<std::byte>* header) {
  UniqueFd fd;
  RETURN_IF_ERROR(OpenRegularFile(path, O_RDONLY, Code::kHeaderInvalid, &fd));
  struct stat attributes {};
  if (fstat(fd.get(), &attributes) != 0) return Status::FromErrno(errno, "stat " + path);
  *file_bytes = static_cast<uint64_t>(attributes.st_size);
  header->resize(kDataOffsetBytes);
  return ReadWhole(fd.get(), 0, *header, "read the header of " + path);
}

// A damaged copy is blanked, so that what was written over it (a foreign filesystem's superblock,
// say) cannot make libcryptsetup doubt the good one.
void BlankDamagedCopy(const HeaderCopies& copies, std::span<std::byte> header) {
  if (!copies.first_good) std::fill_n(header.begin(), kHeaderCopyBytes, std::byte{0});
  if (!copies.second_good) {
    std::fill_n(header.begin() + kHeaderCopyBytes, kHeaderCopyBytes, std::byte{0});
  }
}

// libcryptsetup rewrites a copy that it finds damaged by rules that InspectHeaderCopies lacks (its
// JSON, say).
Status WasRewritten(const PrivateFile& file, std::span<const std::byte> given, bool* rewritten) {
  std::vector<std::byte> now(2 * kHeaderCopyBytes);
  RETURN_IF_ERROR(file.Read(0, now));
  *rewritten = !std::equal(now.begin(), now.end(), given.begin());
  return Status::Ok();
}

Status LoadPrivateCopy(const std::string& path, LoadedHeader* loaded) {
  std::vector<std::byte> header;
  RETURN_IF_ERROR(ReadHeaderBytes(path, &loaded->facts.file_bytes, &header));
  HeaderCopies copies;
  RETURN_IF_ERROR(InspectHeaderCopies(header, path, &copies));
  BlankDamagedCopy(copies, header);
  RETURN_IF_ERROR(
      PrivateFile::Create(std::max(loaded->facts.file_bytes, kSmallestFileBytes), &loaded->file));
  RETURN_IF_ERROR(loaded->file.Write(0, header));
  RETURN_IF_ERROR(CryptDevice::Open(loaded->file, &loaded->device));
  const int result = crypt_load(loaded->device->get(), CRYPT_LUKS2, nullptr);
  if (result < 0)
    return loaded->device->Failure(Code::kHeaderInvalid, path + " has an invalid LUKS2 header",
                                   result);
  bool rewritten = false;
  RETURN_IF_ERROR(WasRewritten(loaded->file, header, &rewritten));
  const bool both_good = copies.first_good && copies.second_good && !rewritten;
  loaded->facts.damaged_copies = both_good ? 0 : 1;
  return Status::Ok();
}

// What libcryptsetup itself makes of the header, beside the rules on its JSON. The size of the key
// is nowhere in a header without keyslots: its digest and the wrapped key prove that.
Status CheckDevice(crypt_device* device, const std::string& path) {
  uint64_t metadata_bytes = 0;
  uint64_t keyslots_bytes = 0;
  if (crypt_get_metadata_size(device, &metadata_bytes, &keyslots_bytes) != 0 ||
      metadata_bytes != kHeaderCopyBytes ||
      crypt_get_data_offset(device) != kDataOffsetBytes / 512) {
    return Status::Error(Code::kHeaderInvalid, path + " has another layout than keyvol's");
  }
  return Status::Ok();
}

Status CheckFile(const LoadedHeader& loaded, const TokenFacts& token, const std::string& path) {
  if (token.layer_id != loaded.facts.layer_id) {
    return Status::Error(Code::kHeaderInvalid, path + " has the token of another layer");
  }
  if (loaded.facts.file_bytes < kDataOffsetBytes ||
      loaded.facts.file_bytes - kDataOffsetBytes < token.size_bytes) {
    return Status::Error(Code::kHeaderInvalid,
                         path + " is truncated: it has " + std::to_string(loaded.facts.file_bytes) +
                             " bytes, its disk " + std::to_string(token.size_bytes));
  }
  return Status::Ok();
}

Status Load(const std::string& path, LoadedHeader* loaded) {
  RETURN_IF_ERROR(LoadPrivateCopy(path, loaded));
  crypt_device* device = loaded->device->get();
  const char* metadata_json = nullptr;
  if (const int result = crypt_dump_json(device, &metadata_json, 0); result < 0) {
    return loaded->device->Failure(Code::kHeaderInvalid, path, result);
  }
  TokenFacts token;
  RETURN_IF_ERROR(CheckMetadata(metadata_json, path, &token));
  RETURN_IF_ERROR(CheckDevice(device, path));
  ContainerHeader& facts = loaded->facts;
  facts.layer_id = crypt_get_uuid(device);
  facts.cipher = std::string(crypt_get_cipher(device)) + "-" + crypt_get_cipher_mode(device);
  facts.data_offset_bytes = crypt_get_data_offset(device) * 512;
  facts.sector_bytes = static_cast<uint32_t>(crypt_get_sector_size(device));
  facts.token_json = token.json;
  return CheckFile(*loaded, token, path);
}

}  // namespace

Status ReadContainerHeader(const std::string& path, ContainerHeader* header) {
  LoadedHeader loaded;
  RETURN_IF_ERROR(Load(path, &loaded));
  *header = loaded.facts;
  return Status::Ok();
}

Status VerifyContainerKey(const std::string& path, const Secret& data_key) {
  LoadedHeader loaded;
  RETURN_IF_ERROR(Load(path, &loaded));
  const int result = crypt_volume_key_verify(loaded.device->get(),
                                             reinterpret_cast<const char*>(data_key.bytes().data()),
                                             data_key.length_bytes());
  if (result < 0) {
    return Status::Error(Code::kIntegrity, "the data key is not the one of container " + path);
  }
  return Status::Ok();
}

}  // namespace keyvol
