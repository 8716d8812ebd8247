#include "wrap/gcm.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <cassert>
#include <memory>

#include "wrap/wrapped_bytes.h"

namespace keyvol {

namespace {

// Freeing a context cleanses the key schedule in it.
struct ContextDeleter {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, ContextDeleter>;

unsigned char* Bytes(std::span<std::byte> bytes) {
  return reinterpret_cast<unsigned char*>(bytes.data());
}
const unsigned char* Bytes(std::span<const std::byte> bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// A context that has taken key, nonce and additional data; null when OpenSSL fails.
Context Start(const GcmInput& input, bool encrypt) {
  assert(input.key.length_bytes() == 32 && input.nonce.size() == kNonceBytes);
  Context context(EVP_CIPHER_CTX_new());
  int done_bytes = 0;
  const bool started =
      context &&
      EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, Bytes(input.key.bytes()),
                        input.nonce.data(), encrypt ? 1 : 0) == 1 &&
      EVP_CipherUpdate(context.get(), nullptr, &done_bytes, input.additional_data.data(),
                       static_cast<int>(input.additional_data.size())) == 1;
  return started ? std::move(context) : nullptr;
}

}  // namespace

bool GcmSeal(const GcmInput& input, std::span<const std::byte> plaintext,
             std::span<uint8_t> ciphertext, std::span<uint8_t> tag) {
  assert(plaintext.size() == ciphertext.size() && tag.size() == kTagBytes);
  const Context context = Start(input, true);
  int done_bytes = 0;
  return context &&
         EVP_CipherUpdate(context.get(), ciphertext.data(), &done_bytes, Bytes(plaintext),
                          static_cast<int>(plaintext.size())) == 1 &&
         EVP_CipherFinal_ex(context.get(), ciphertext.data() + done_bytes, &done_bytes) == 1 &&
         EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTagBytes, tag.data()) == 1;
}

bool GcmOpen(const GcmInput& input, std::span<const uint8_t> ciphertext,
             std::span<const uint8_t> tag, std::span<std::byte> plaintext) {
  assert(plaintext.size() == ciphertext.size() && tag.size() == kTagBytes);
  const Context context = Start(input, false);
  // OpenSSL's parameter is not const, but setting a tag only reads it.
  void* expected_tag = const_cast<uint8_t*>(tag.data());
  int done_bytes = 0;
  const bool opened =
      context &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTagBytes, expected_tag) == 1 &&
      EVP_CipherUpdate(context.get(), Bytes(plaintext), &done_bytes, ciphertext.data(),
                       static_cast<int>(ciphertext.size())) == 1 &&
      EVP_CipherFinal_ex(context.get(), Bytes(plaintext) + done_bytes, &done_bytes) == 1;
  if (!opened) OPENSSL_cleanse(plaintext.data(), plaintext.size());
  return opened;
}

}  // namespace keyvol
