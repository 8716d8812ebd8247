// A whole container header through libcryptsetup and all rules. Checksums are made right, for
// behind a wrong one nothing is ever found. An input is short: flags, the first 512 bytes of the
// binary header (the rest of its 4096 are zeros) and the JSON; both copies are made of it.
#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <vector>

#include "container/container.h"
#include "container/header_copies.h"
#include "fuzz/harness.h"
#include "fuzz/json_mutator.h"

namespace {

using keyvol::Code;
using keyvol::ContainerHeader;
using keyvol::kDataOffsetBytes;
using keyvol::kHeaderCopyBytes;
using keyvol::Promise;
using keyvol::Secret;
using keyvol::Status;
using keyvol::fuzz::Input;

// What the first byte of an input asks for.
enum Flag : uint8_t {
  kFirstHasBadChecksum = 1,
  kSecondHasBadChecksum = 2,
  kFirstHasCutJson = 4,
  kSecondHasCutJson = 8,
  kSecondIsNewer = 16,
  kFileIsShort = 32,
  kFieldsAreKept = 64,  // magic, sizes and offsets as in the input, instead of right ones
  kFileIsLong = 128,
};

constexpr size_t kFieldBytes = 512;
constexpr size_t kBinaryHeaderBytes = 4096;
constexpr size_t kJsonBytes = kHeaderCopyBytes - kBinaryHeaderBytes;
constexpr size_t kChecksumOffset = 448;

using Copy = std::vector<uint8_t>;

void PutBigEndian(Copy& copy, size_t offset, size_t length, uint64_t number) {
  for (size_t i = length; i > 0; --i, number >>= 8) {
    copy[offset + i - 1] = static_cast<uint8_t>(number);
  }
}

void MendFields(Copy& copy, size_t index) {
  std::memcpy(copy.data(), index == 0 ? "LUKS\xba\xbe" : "SKUL\xba\xbe", 6);
  PutBigEndian(copy, 6, 2, 2);
  PutBigEndian(copy, 8, 8, kHeaderCopyBytes);
  std::memcpy(copy.data() + 72, "sha256", 7);
  PutBigEndian(copy, 256, 8, index * kHeaderCopyBytes);
}

void MendChecksum(Copy& copy) {
  std::fill_n(copy.begin() + kChecksumOffset, 64, 0);
  Promise(EVP_Digest(copy.data(), copy.size(), copy.data() + kChecksumOffset, nullptr, EVP_sha256(),
                     nullptr) == 1,
          "openssl digests");
}

Copy MakeCopy(size_t index, uint8_t flags, std::span<const uint8_t> fields,
              std::span<const uint8_t> json) {
  Copy copy(kHeaderCopyBytes);
  std::copy(fields.begin(), fields.end(), copy.begin());
  const bool is_cut = flags & (index == 0 ? kFirstHasCutJson : kSecondHasCutJson);
  json = json.first(std::min(json.size() - (is_cut && !json.empty()), kJsonBytes));
  std::copy(json.begin(), json.end(), copy.begin() + kBinaryHeaderBytes);
  if (index == 1 && (flags & kSecondIsNewer)) copy[23]++;  // the sequence number's last byte
  if (!(flags & kFieldsAreKept)) MendFields(copy, index);
  MendChecksum(copy);
  if (flags & (index == 0 ? kFirstHasBadChecksum : kSecondHasBadChecksum)) {
    copy[kChecksumOffset]++;
  }
  return copy;
}

// One file for all runs, in TMPDIR, which whoever starts this removes.
class ContainerFile {
 public:
  ContainerFile() {
    path_ = std::filesystem::temp_directory_path() / "container-XXXXXX";
    fd_ = mkstemp(path_.data());
    Promise(fd_ >= 0, "there is a temporary file");
  }
  const std::string& path() const { return path_; }

  void Put(const std::vector<Copy>& copies, uint64_t size_bytes) {
    Promise(ftruncate(fd_, 0) == 0 && ftruncate(fd_, static_cast<off_t>(size_bytes)) == 0,
            "the temporary file takes a size");
    for (size_t i = 0; i < copies.size(); ++i) {
      Promise(pwrite(fd_, copies[i].data(), copies[i].size(),
                     static_cast<off_t>(i * kHeaderCopyBytes)) == kHeaderCopyBytes,
              "the temporary file takes a header");
    }
  }

  bool Holds(const std::vector<Copy>& copies) const {
    for (size_t i = 0; i < copies.size(); ++i) {
      Copy now(kHeaderCopyBytes);
      if (pread(fd_, now.data(), now.size(), static_cast<off_t>(i * kHeaderCopyBytes)) !=
          kHeaderCopyBytes) {
        return false;
      }
      if (now != copies[i]) return false;
    }
    return true;
  }

 private:
  std::string path_;
  int fd_;
};

// Another key than any that a header of the corpus was made with.
const Secret& WrongKey() {
  static const std::shared_ptr<Secret> key = [] {
    std::shared_ptr<Secret> fresh;
    Promise(Secret::Random(64, &fresh).ok(), "there is memory for a secret");
    return fresh;
  }();
  return *key;
}

void CheckAccepted(const ContainerHeader& header, const ContainerFile& file, uint64_t file_bytes) {
  Promise(header.cipher == "aes-xts-plain64" && header.sector_bytes == 4096 &&
              header.data_offset_bytes == kDataOffsetBytes && header.file_bytes == file_bytes,
          "an accepted header is one of ours");
  const auto token = keyvol::fuzz::Json::parse(header.token_json);
  Promise(token["type"] == "keyvol" && token["context"]["layer"] == header.layer_id,
          "an accepted token is that of the layer");
  const uint64_t size_bytes = std::stoull(token["context"]["size_bytes"].get<std::string>());
  Promise(size_bytes <= file_bytes - kDataOffsetBytes, "the file has room for its disk");
  Promise(keyvol::VerifyContainerKey(file.path(), WrongKey()).code() == Code::kIntegrity,
          "a wrong key is refused");
#ifdef KEYVOL_PLANTED_BUG
  // Needs a header that was changed and is accepted all the same.
  const std::vector<uint8_t> generation(8);
  const auto& context = token["context"];
  if (context.contains("generation") && context["generation"] != "1") {
    std::fprintf(stderr, "%d", generation.data()[context["generation"].dump().size() + 8]);
  }
#endif
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ContainerFile file;
  Input input(data, size);
  const uint8_t flags = input.Byte();
  const std::span<const uint8_t> fields = input.Bytes(kFieldBytes);
  const std::span<const uint8_t> json = input.Rest();
  const std::vector<Copy> copies = {MakeCopy(0, flags, fields, json),
                                    MakeCopy(1, flags, fields, json)};
  const uint64_t file_bytes = kDataOffsetBytes + (flags & kFileIsShort  ? 4095
                                                  : flags & kFileIsLong ? 1ull << 42
                                                                        : 16ull << 20);
  file.Put(copies, file_bytes);
  ContainerHeader header;
  const Status status = keyvol::ReadContainerHeader(file.path(), &header);
  if (status.ok()) {
    CheckAccepted(header, file, file_bytes);
  } else {
    Promise(status.code() == Code::kHeaderInvalid, "a refusal has the code of an invalid header");
    Promise(status.message().starts_with(file.path()), "a refusal names the file");
  }
  Promise(file.Holds(copies), "reading never writes");
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  constexpr size_t kJsonAt = 1 + kFieldBytes;
  if (size <= kJsonAt || max_size <= kJsonAt || seed % 8 == 0) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  if (seed % 8 == 1) {
    LLVMFuzzerMutate(data, kJsonAt, kJsonAt);
    return size;
  }
  return kJsonAt +
         keyvol::fuzz::MutateJson(data + kJsonAt, size - kJsonAt, max_size - kJsonAt, seed / 8);
}
