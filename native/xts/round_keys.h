// The expanded keys that kernels with AES instructions work from.
#ifndef KEYVOL_XTS_ROUND_KEYS_H_
#define KEYVOL_XTS_ROUND_KEYS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "secret/secret.h"
#include "status.h"

namespace keyvol {

// FIPS 197 round keys, in the order in which the rounds use them. Decryption has those of the
// equivalent inverse cipher (section 5.3.5). Tweaks are only ever encrypted.
struct RoundKeys {
  static constexpr size_t kRounds = 14;
  using Schedule = uint8_t[kRounds + 1][16];

  alignas(16) Schedule encrypt;
  alignas(16) Schedule decrypt;
  alignas(16) Schedule tweak;
};

// The round keys of one XTS key (64 bytes: data, then tweak), in secret memory; needs the AES
// instructions. kNoSpace when no memory can be locked.
Status ExpandKey(std::span<const std::byte, 64> key, std::shared_ptr<Secret>* round_keys);

}  // namespace keyvol

#endif  // KEYVOL_XTS_ROUND_KEYS_H_
