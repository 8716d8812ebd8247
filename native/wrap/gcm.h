// AES-256-GCM with a 12-byte nonce and a 16-byte tag, straight between key memory and bytes.
#ifndef KEYVOL_WRAP_GCM_H_
#define KEYVOL_WRAP_GCM_H_

#include <cstdint>
#include <span>

#include "secret/secret.h"

namespace keyvol {

struct GcmInput {
  const Secret& key;  // 32 bytes
  std::span<const uint8_t> nonce;
  std::span<const uint8_t> additional_data;
};

// `ciphertext` is as long as the plaintext. False when OpenSSL fails.
bool GcmSeal(const GcmInput& input, std::span<const std::byte> plaintext,
             std::span<uint8_t> ciphertext, std::span<uint8_t> tag);

// False, with `plaintext` wiped, when the tag does not match.
bool GcmOpen(const GcmInput& input, std::span<const uint8_t> ciphertext,
             std::span<const uint8_t> tag, std::span<std::byte> plaintext);

}  // namespace keyvol

#endif  // KEYVOL_WRAP_GCM_H_
