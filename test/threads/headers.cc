// Containers are made and read while the key derivation of exported files goes on: each header is
// whole, and opens with its own key only.
#include "container/container.h"
#include "container/flat_luks2.h"
#include "threads/threads.h"

namespace {

using keyvol::Code;
using keyvol::ContainerHeader;
using keyvol::ContainerOptions;
using keyvol::FlatLuks2Options;
using keyvol::Pbkdf;
using keyvol::Promise;
using keyvol::Secret;
using keyvol::threads::MustBeOk;
using keyvol::threads::Rounds;

constexpr uint64_t kSizeBytes = 1048576;

std::shared_ptr<Secret> RandomSecret(size_t length_bytes) {
  std::shared_ptr<Secret> secret;
  MustBeOk(Secret::Random(length_bytes, &secret));
  return secret;
}

std::shared_ptr<Secret> Passphrase() {
  std::shared_ptr<Secret> passphrase = RandomSecret(20);
  for (std::byte& byte : passphrase->bytes()) byte = (byte & std::byte{0x1f}) | std::byte{0x40};
  return passphrase;
}

std::string TokenOf(const std::string& layer_id) {
  return R"({"type":"keyvol","keyslots":[],"format":1,"wrapped":"S1Y=","context":{"layer":")" +
         layer_id + R"(","size_bytes":")" + std::to_string(kSizeBytes) + "\"}}";
}

void MakeAndRead(const std::string& directory, unsigned thread) {
  const std::string layer_id = "0f9b2c1d-7e64-4a8f-b3c5-d2e1f0a9b8c" + std::to_string(thread);
  for (int round = Rounds(8); round > 0; --round) {
    const std::string path =
        directory + "/container-" + std::to_string(thread) + "-" + std::to_string(round);
    const std::shared_ptr<Secret> key = RandomSecret(64);
    MustBeOk(CreateContainer({path, layer_id, kSizeBytes, TokenOf(layer_id), false}, *key));
    ContainerHeader header;
    MustBeOk(ReadContainerHeader(path, &header));
    Promise(header.layer_id == layer_id && header.damaged_copies == 0, "a header is its own");
    MustBeOk(VerifyContainerKey(path, *key));
    const keyvol::Status other = VerifyContainerKey(path, *RandomSecret(64));
    Promise(other.code() == Code::kIntegrity, "another key is refused");
  }
}

void MakeFlat(const std::string& directory, unsigned thread) {
  for (int round = Rounds(4); round > 0; --round) {
    const std::string path =
        directory + "/flat-" + std::to_string(thread) + "-" + std::to_string(round);
    const Pbkdf pbkdf = round % 2 == 0 ? Pbkdf::kPbkdf2 : Pbkdf::kArgon2id;
    MustBeOk(CreateFlatLuks2({path, kSizeBytes, pbkdf}, *RandomSecret(64), *Passphrase()));
  }
}

}  // namespace

int main() {
  keyvol::threads::TempDirectory directory;
  const std::string path = directory.path();
  std::vector<std::function<void()>> works;
  for (unsigned i = 0; i < 2; ++i) {
    works.push_back([&path, i] { MakeAndRead(path, i); });
    works.push_back([&path, i] { MakeFlat(path, i); });
  }
  keyvol::threads::RunTogether(works);
}
