// AES-256-XTS (IEEE 1619, NIST SP 800-38E) over runs of 4096-byte sectors, in place.
#ifndef KEYVOL_XTS_XTS_H_
#define KEYVOL_XTS_XTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "secret/secret.h"
#include "status.h"

namespace keyvol {

inline constexpr size_t kSectorBytes = 4096;
inline constexpr size_t kXtsKeyBytes = 64;

// One data key ready for use. Encrypt and Decrypt may be called from many threads at once. The
// tweak of a sector is its number × 8 (512-byte units, as dm-crypt and LUKS2 count).
class XtsCipher {
 public:
  // kInvalidArgument unless the key is 64 bytes with two different halves. Keeps a reference to
  // the secret, and cipher contexts made from it, until Destroy or destruction.
  static Status Create(std::shared_ptr<Secret> key, std::unique_ptr<XtsCipher>* cipher);
  virtual ~XtsCipher() = default;

  // `data` is a whole number of sectors; the first one has the number `first_sector`.
  virtual void Encrypt(uint64_t first_sector, std::span<std::byte> data) = 0;
  virtual void Decrypt(uint64_t first_sector, std::span<std::byte> data) = 0;
};

// One XTS data unit of any length from 16 bytes with any tweak, for the standards' test vectors.
Status XtsDataUnit(std::span<const std::byte> key, std::span<const std::byte, 16> tweak,
                   bool encrypt, std::span<std::byte> data);

}  // namespace keyvol

#endif  // KEYVOL_XTS_XTS_H_
