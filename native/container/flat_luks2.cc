#include "container/flat_luks2.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <vector>

#include "container/container.h"
#include "container/crypt_device.h"
#include "container/header_format.h"
#include "container/private_file.h"
#include "file_io.h"

namespace keyvol {

namespace {

// Fixed, for a benchmark of libcryptsetup takes seconds, and a gigabyte for Argon2id. PBKDF2: above
// the 600,000 that OWASP asks for with SHA-256. Argon2id: the second choice of RFC 9106, section 4.
crypt_pbkdf_type PassphraseParameters(Pbkdf pbkdf) {
  crypt_pbkdf_type parameters{};
  parameters.hash = "sha256";
  parameters.flags = CRYPT_PBKDF_NO_BENCHMARK;
  if (pbkdf == Pbkdf::kPbkdf2) {
    parameters.type = CRYPT_KDF_PBKDF2;
    parameters.iterations = 1000000;
    return parameters;
  }
  parameters.type = CRYPT_KDF_ARGON2ID;
  parameters.iterations = 4;
  parameters.max_memory_kb = 65536;
  parameters.parallel_threads = 4;
  return parameters;
}

// Whoever is asked for it by cryptsetup or GRUB types it.
Status CheckPassphrase(const Secret& passphrase) {
  const auto is_control = [](std::byte byte) {
    return byte < std::byte{0x20} || byte == std::byte{0x7f};
  };
  if (std::ranges::none_of(passphrase.bytes(), is_control)) return Status::Ok();
  return Status::Error(Code::kInvalidArgument,
                       "the passphrase has a control character, which nobody can type");
}

int AddKeyslot(CryptDevice& device, Pbkdf pbkdf, const Secret& data_key, const Secret& passphrase) {
  const crypt_pbkdf_type parameters = PassphraseParameters(pbkdf);
  if (const int result = crypt_set_pbkdf_type(device.get(), &parameters)) return result;
  return device.WhileOthersGoOn([&] {
    return crypt_keyslot_add_by_volume_key(
        device.get(), CRYPT_ANY_SLOT, reinterpret_cast<const char*>(data_key.bytes().data()),
        data_key.length_bytes(), reinterpret_cast<const char*>(passphrase.bytes().data()),
        passphrase.length_bytes());
  });
}

// All that stands before the data.
Status MakeHeader(const FlatLuks2Options& options, const Secret& data_key, const Secret& passphrase,
                  std::vector<std::byte>* header) {
  PrivateFile file;
  RETURN_IF_ERROR(PrivateFile::Create(kDataOffsetBytes + options.size_bytes, &file));
  std::unique_ptr<CryptDevice> device;
  RETURN_IF_ERROR(CryptDevice::Open(file, &device));
  const std::string what = "format " + options.path;
  if (const int result = FormatHeader(device->get(), nullptr, data_key); result < 0) {
    return Status::FromErrno(-result, what);
  }
  const int keyslot = AddKeyslot(*device, options.pbkdf, data_key, passphrase);
  if (keyslot < 0) return device->Failure(Code::kInternal, what, keyslot);
  header->resize(kDataOffsetBytes);
  return file.Read(0, *header);
}

Status FillFile(int fd, const FlatLuks2Options& options, const Secret& data_key,
                const Secret& passphrase) {
  // The size first: it is what fails most, and at once.
  if (ftruncate(fd, static_cast<off_t>(kDataOffsetBytes + options.size_bytes)) != 0) {
    return Status::FromErrno(errno, "give " + options.path + " its size");
  }
  std::vector<std::byte> header;
  RETURN_IF_ERROR(MakeHeader(options, data_key, passphrase, &header));
  return WriteWhole(fd, 0, header, "write the header of " + options.path);
}

}  // namespace

Status CreateFlatLuks2(const FlatLuks2Options& options, const Secret& data_key,
                       const Secret& passphrase) {
  assert(options.size_bytes > 0 && options.size_bytes % kContainerSectorBytes == 0);
  RETURN_IF_ERROR(CheckDataKey(data_key));
  RETURN_IF_ERROR(CheckPassphrase(passphrase));
  UniqueFd fd;
  RETURN_IF_ERROR(CreateNewFile(options.path, &fd));
  const Status filled = FillFile(fd.get(), options, data_key, passphrase);
  if (!filled.ok()) unlink(options.path.c_str());
  return filled;
}

}  // namespace keyvol
