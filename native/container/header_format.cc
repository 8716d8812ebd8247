#include "container/header_format.h"

#include "container/container.h"
#include "container/header_copies.h"

namespace keyvol {

namespace {

// With 256 KiB `cryptsetup reencrypt --decrypt` fails at this data offset.
constexpr uint64_t kKeyslotsBytes = 524288;

// The key is random, so that the digest needs no stretching: cryptsetup's minimum.
crypt_pbkdf_type DigestParameters() {
  crypt_pbkdf_type parameters{};
  parameters.type = CRYPT_KDF_PBKDF2;
  parameters.hash = "sha256";
  parameters.iterations = 1000;
  parameters.flags = CRYPT_PBKDF_NO_BENCHMARK;
  return parameters;
}

}  // namespace

Status CheckDataKey(const Secret& data_key) {
  if (data_key.length_bytes() == 64 && HalvesDiffer(data_key.bytes())) return Status::Ok();
  return Status::Error(Code::kInvalidArgument, "a data key has 64 bytes with different halves");
}

int FormatHeader(crypt_device* device, const char* uuid, const Secret& data_key) {
  const crypt_pbkdf_type digest = DigestParameters();
  crypt_params_luks2 parameters{};
  parameters.sector_size = kContainerSectorBytes;
  if (const int result = crypt_set_metadata_size(device, kHeaderCopyBytes, kKeyslotsBytes)) {
    return result;
  }
  if (const int result = crypt_set_data_offset(device, kDataOffsetBytes / 512)) return result;
  if (const int result = crypt_set_pbkdf_type(device, &digest)) return result;
  return crypt_format(device, CRYPT_LUKS2, "aes", "xts-plain64", uuid,
                      reinterpret_cast<const char*>(data_key.bytes().data()),
                      data_key.length_bytes(), &parameters);
}

}  // namespace keyvol
