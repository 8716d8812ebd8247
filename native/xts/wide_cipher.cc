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
  kernel_.encrypt(keys(), RunOf(first_sector, data, data));
}

void WideXtsCipher::DecryptTo(uint64_t first_sector, std::span<const std::byte> from,
                              std::span<std::byte> to) {
  kernel_.decrypt(keys(), RunOf(first_sector, from, to));
}

const RoundKeys& WideXtsCipher::keys() const {
  return *reinterpret_cast<const RoundKeys*>(secret_->bytes().data());
}

SectorRun WideXtsCipher::RunOf(uint64_t first_sector, std::span<const std::byte> from,
                               std::span<std::byte> to) const {
  assert(to.size() % sector_bytes_ == 0 && from.size() == to.size());
  return {first_sector, sector_bytes_, from.data(), to.data(), to.size() / sector_bytes_};
}

}  // namespace keyvol
