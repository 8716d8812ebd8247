// AES-256-XTS (IEEE 1619, NIST SP 800-38E) over runs of sectors, in place.
#ifndef KEYVOL_XTS_XTS_H_
#define KEYVOL_XTS_XTS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "secret/secret.h"
#include "status.h"

namespace keyvol {

inline constexpr size_t kSectorBytes = 4096;
inline constexpr size_t kXtsKeyBytes = 64;

// What does the work: "openssl" anywhere, "aesni", "vaes256" and "vaes512" on x86-64 processors
// that have the instructions. All give the same bytes.
struct XtsKernels {
  std::string chosen;
  std::vector<std::string> usable;  // the fastest first
  // What this processor should be able to do, but does not do as OpenSSL does: never used.
  std::vector<std::string> failed;
};

// Chosen once in a process: the fastest that passes a comparison with OpenSSL, or the one that the
// environment variable KEYVOL_XTS names. kInvalidArgument when that is no kernel, kUnsupported
// when it does not work here.
Status FindXtsKernels(XtsKernels* kernels);

struct XtsOptions {
  size_t sector_bytes = kSectorBytes;  // 512 or 4096
  std::string kernel = {};             // empty: the chosen one
};

// One data key ready for use. Encrypt and Decrypt may be called from many threads at once. The
// tweak of a sector is its place in 512-byte units, as dm-crypt and LUKS2 count: a 4096-byte
// sector's number times 8.
class XtsCipher {
 public:
  // kInvalidArgument unless the key is 64 bytes with two different halves; else as FindXtsKernels.
  // What it needs of the key it keeps in memory of its own until destruction: round keys in secret
  // memory, or contexts of OpenSSL in ordinary memory.
  static Status Create(const Secret& key, const XtsOptions& options,
                       std::unique_ptr<XtsCipher>* cipher);
  static Status Create(const Secret& key, std::unique_ptr<XtsCipher>* cipher) {
    return Create(key, {}, cipher);
  }
  virtual ~XtsCipher() = default;

  // `data` is a whole number of sectors; the first one has the number `first_sector`.
  virtual void Encrypt(uint64_t first_sector, std::span<std::byte> data) = 0;
  void Decrypt(uint64_t first_sector, std::span<std::byte> data) {
    DecryptTo(first_sector, data, data);
  }
  // `to` is as long as `from`, and the same or apart from it.
  virtual void DecryptTo(uint64_t first_sector, std::span<const std::byte> from,
                         std::span<std::byte> to) = 0;
  // True when DecryptTo may be left in the middle without its destructors.
  virtual bool owns_nothing_at_work() const = 0;
};

// One XTS data unit of any length from 16 bytes with any tweak, by OpenSSL, for the standards' test
// vectors.
Status XtsDataUnit(std::span<const std::byte> key, std::span<const std::byte, 16> tweak,
                   bool encrypt, std::span<std::byte> data);

}  // namespace keyvol

#endif  // KEYVOL_XTS_XTS_H_
