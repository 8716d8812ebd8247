#include "container/loaded_header.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "container/header_copies.h"
#include "container/header_rules.h"
#include "file_io.h"

namespace keyvol {

namespace {

constexpr uint64_t kSmallestFileBytes = kDataOffsetBytes + 4096;

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

// A bad copy is blanked, so that what was written over it (a foreign filesystem's superblock, say)
// cannot make libcryptsetup doubt the good one.
void BlankBadCopy(const HeaderCopies& copies, std::span<std::byte> header) {
  if (copies.first != CopyState::kGood) std::fill_n(header.begin(), kHeaderCopyBytes, std::byte{0});
  if (copies.second != CopyState::kGood) {
    std::fill_n(header.begin() + kHeaderCopyBytes, kHeaderCopyBytes, std::byte{0});
  }
}

Status LoadPrivateCopy(const std::string& path, LoadedHeader* loaded) {
  RETURN_IF_ERROR(ReadHeaderBytes(path, &loaded->facts.file_bytes, &loaded->given));
  HeaderCopies copies;
  RETURN_IF_ERROR(InspectHeaderCopies(loaded->given, path, &copies));
  loaded->first = copies.first;
  loaded->second = copies.second;
  std::vector<std::byte> offered = loaded->given;
  BlankBadCopy(copies, offered);
  RETURN_IF_ERROR(
      PrivateFile::Create(std::max(loaded->facts.file_bytes, kSmallestFileBytes), &loaded->file));
  RETURN_IF_ERROR(loaded->file.Write(0, offered));
  RETURN_IF_ERROR(CryptDevice::Open(loaded->file, &loaded->device));
  const int result = crypt_load(loaded->device->get(), CRYPT_LUKS2, nullptr);
  if (result < 0)
    return loaded->device->Failure(Code::kHeaderInvalid, path + " has an invalid LUKS2 header",
                                   result);
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

// Where metadata is not locked only this writes a bad copy anew: one of HeaderCopies, or one whose
// checksum is right but that libcryptsetup finds damaged by rules of its own (on its JSON, say).
Status MendPrivateCopy(const std::string& path, LoadedHeader* loaded) {
  const int result = crypt_repair(loaded->device->get(), CRYPT_LUKS2, nullptr);
  if (result < 0) {
    return loaded->device->Failure(Code::kHeaderInvalid, path + " has an invalid LUKS2 header",
                                   result);
  }
  std::vector<std::byte> mended(2 * kHeaderCopyBytes);
  RETURN_IF_ERROR(loaded->file.Read(0, mended));
  const auto was_rewritten = [&](size_t start) {
    return !std::equal(mended.begin() + start, mended.begin() + start + kHeaderCopyBytes,
                       loaded->given.begin() + start);
  };
  if (loaded->first == CopyState::kGood && was_rewritten(0)) loaded->first = CopyState::kDamaged;
  if (loaded->second == CopyState::kGood && was_rewritten(kHeaderCopyBytes)) {
    loaded->second = CopyState::kDamaged;
  }
  const bool both_good = loaded->first == CopyState::kGood && loaded->second == CopyState::kGood;
  loaded->facts.damaged_copies = both_good ? 0 : 1;
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

}  // namespace

Status LoadHeader(const std::string& path, LoadedHeader* loaded) {
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
  RETURN_IF_ERROR(CheckFile(*loaded, token, path));
  return MendPrivateCopy(path, loaded);
}

}  // namespace keyvol
