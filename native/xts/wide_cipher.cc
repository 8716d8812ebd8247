#include "xts/wide_cipher.h"

#include <cassert>

namespace keyvol {

Status WideXtsCipher::Create(std::span<const std::byte, kXtsKeyBytes> key, const WideKernel& kernel,
                             size_t sector_bytes, std::unique_ptr<XtsCipher>* cipher) {
  std::shared_ptr<Secret> secret;
  RETURN_IF_ERROR(ExpandKey(key, &secret));
  cipher->reset(new WideXtsCipher(kernel, sector_bytes, std::move(secret)));
  return Status::Ok();
}

void WideXtsCipher::Encrypt(uint64_t first_sector, std::span<std::byte> data) {
  kernel_.encrypt(keys(), RunOf(first_sector, data));
}

void WideXtsCipher::Decrypt(uint64_t first_sector, std::span<std::byte> data) {
  kernel_.decrypt(keys(), RunOf(first_sector, data));
}

const RoundKeys& WideXtsCipher::keys() const {
  return *reinterpret_cast<const RoundKeys*>(secret_->bytes().data());
}

SectorRun WideXtsCipher::RunOf(uint64_t first_sector, std::span<std::byte> data) const {
  assert(data.size() % sector_bytes_ == 0);
  return {first_sector, sector_bytes_, data.data(), data.size() / sector_bytes_};
}

}  // namespace keyvol
