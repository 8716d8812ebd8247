// The bytes of a wrapped key, and of the context that is authenticated with it. Kept for ever.
#ifndef KEYVOL_WRAP_WRAPPED_BYTES_H_
#define KEYVOL_WRAP_WRAPPED_BYTES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "wrap/wrap.h"

namespace keyvol {

// "KV" ‖ format u8 ‖ purpose u8 ‖ key id (16) ‖ key version u32be: the clear prefix.
inline constexpr size_t kPrefixBytes = 24;
inline constexpr size_t kNonceBytes = 12;
inline constexpr size_t kTagBytes = 16;

void AppendPrefix(const WrapLabel& label, std::vector<uint8_t>* bytes);

// False unless `bytes` begins with a prefix of our format and a known purpose.
bool ParsePrefix(std::span<const uint8_t> bytes, WrapLabel* label);

// Each field, sorted by name, as u16be length ‖ name ‖ u16be length ‖ value. kInvalidArgument for
// a duplicate name or a field over 65535 bytes.
Status AppendContext(const WrapContext& context, std::vector<uint8_t>* bytes);

}  // namespace keyvol

#endif  // KEYVOL_WRAP_WRAPPED_BYTES_H_
