// An XtsCipher over a kernel that works from round keys.
#ifndef KEYVOL_XTS_WIDE_CIPHER_H_
#define KEYVOL_XTS_WIDE_CIPHER_H_

#include <memory>
#include <span>
#include <utility>

#include "xts/kernels.h"

namespace keyvol {

class WideXtsCipher : public XtsCipher {
 public:
  static Status Create(std::span<const std::byte, kXtsKeyBytes> key, const WideKernel& kernel,
                       size_t sector_bytes, std::unique_ptr<XtsCipher>* cipher);

  void Encrypt(uint64_t first_sector, std::span<std::byte> data) override;
  void DecryptTo(uint64_t first_sector, std::span<const std::byte> from,
                 std::span<std::byte> to) override;
  bool owns_nothing_at_work() const override { return true; }

 private:
  WideXtsCipher(const WideKernel& kernel, size_t sector_bytes, std::shared_ptr<Secret> secret)
      : kernel_(kernel), sector_bytes_(sector_bytes), secret_(std::move(secret)) {}

  const RoundKeys& keys() const;
  SectorRun RunOf(uint64_t first_sector, std::span<const std::byte> from,
                  std::span<std::byte> to) const;

  const WideKernel& kernel_;
  const size_t sector_bytes_;
  const std::shared_ptr<Secret> secret_;
};

}  // namespace keyvol

#endif  // KEYVOL_XTS_WIDE_CIPHER_H_
