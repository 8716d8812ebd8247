// AES-256-XTS through OpenSSL's EVP, whose symbols Node itself exports.
#ifndef KEYVOL_XTS_EVP_XTS_H_
#define KEYVOL_XTS_EVP_XTS_H_

#include <openssl/evp.h>

#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "xts/xts.h"

namespace keyvol {

// Frees, and thereby cleanses, a cipher context.
struct EvpContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using EvpContext = std::unique_ptr<EVP_CIPHER_CTX, EvpContextDeleter>;

// Contexts of one direction. A context serves one thread at a time; there are as many as threads
// ever worked at once, and one more that only serves as the pattern to copy. They are copied, not
// keyed again from the secret, so that a wiped secret can never become a key of zeros.
class EvpContextPool {
 public:
  // kInternal when OpenSSL refuses.
  Status Init(std::span<const std::byte> key, bool encrypt);
  EvpContext Take();
  void Return(EvpContext context);

 private:
  std::mutex mutex_;
  EvpContext pattern_;
  std::vector<EvpContext> idle_;
};

class EvpXtsCipher : public XtsCipher {
 public:
  explicit EvpXtsCipher(size_t sector_bytes) : sector_bytes_(sector_bytes) {}
  // Before anything else.
  Status Init(std::span<const std::byte, kXtsKeyBytes> key);
  void Encrypt(uint64_t first_sector, std::span<std::byte> data) override;
  void DecryptTo(uint64_t first_sector, std::span<const std::byte> from,
                 std::span<std::byte> to) override;
  // A context is out of its pool meanwhile.
  bool owns_nothing_at_work() const override { return false; }

 private:
  void Transform(EvpContextPool& pool, uint64_t first_sector, std::span<std::byte> data);

  const size_t sector_bytes_;
  EvpContextPool encrypting_;
  EvpContextPool decrypting_;
};

// One data unit in place. False when OpenSSL refuses its length.
bool EvpDataUnit(EVP_CIPHER_CTX* context, std::span<const std::byte, 16> tweak,
                 std::span<std::byte> data);

}  // namespace keyvol

#endif  // KEYVOL_XTS_EVP_XTS_H_
