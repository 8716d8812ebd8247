// Wrapped keys: AES-256-GCM (NIST SP 800-38D) in the bytes of DESIGN §3, kept for ever.
#ifndef KEYVOL_WRAP_WRAP_H_
#define KEYVOL_WRAP_WRAP_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "secret/secret.h"
#include "status.h"

namespace keyvol {

enum class WrapPurpose : uint8_t { kDataKey = 1, kMasterKey = 2 };

struct WrapLabel {
  WrapPurpose purpose = WrapPurpose::kDataKey;
  std::array<uint8_t, 16> key_id{};  // of the wrapping key
  uint32_t key_version = 0;
};

using WrapContext = std::vector<std::pair<std::string, std::string>>;  // sorted inside

// "KV" ‖ 1 ‖ purpose ‖ key id ‖ key version u32be ‖ nonce ‖ ciphertext ‖ tag. The additional data
// is the 24 bytes before the nonce, then the context; the nonce itself is covered by GCM. A data
// key has 64 bytes with different halves, a master key 32: kInvalidArgument otherwise, and for a
// wrapping key that is not 32 bytes, a duplicate context name, or a field over 65535 bytes.
Status WrapKey(const Secret& wrapping_key, const Secret& key, const WrapLabel& label,
               const WrapContext& context, std::vector<uint8_t>* wrapped);

// kIntegrity, always with the same message, when anything does not match. A data key whose
// halves are equal is refused the same way.
Status UnwrapKey(const Secret& wrapping_key, std::span<const uint8_t> wrapped, WrapPurpose purpose,
                 const WrapContext& context, std::shared_ptr<Secret>* key);

// The clear prefix, unauthenticated until UnwrapKey. kIntegrity when it is not one.
Status ReadWrapLabel(std::span<const uint8_t> wrapped, WrapLabel* label);

// 64 random bytes whose halves differ.
Status GenerateDataKey(std::shared_ptr<Secret>* key);

// A 32-byte root key file: created with O_EXCL and mode 0600 and fsynced, or loaded. Loading
// gives kKeyFileInvalid unless it is a regular file of 32 bytes, owned by us, with no access for
// group and others. The bytes go straight into secret memory.
Status CreateKeyFile(const std::string& path, std::shared_ptr<Secret>* key);
Status LoadKeyFile(const std::string& path, std::shared_ptr<Secret>* key);
// Writes a key's raw bytes to a new 0600 file (`volume export-key`).
Status ExportKeyFile(const Secret& key, const std::string& path);

}  // namespace keyvol

#endif  // KEYVOL_WRAP_WRAP_H_
