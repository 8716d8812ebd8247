// Wrapped keys. Random bytes never get past the tag, so the harness seals what the input says with
// the key that the unwrapping has: everything behind the tag is reached, too.
#include <openssl/evp.h>

#include <set>

#include "fuzz/harness.h"
#include "wrap/gcm.h"
#include "wrap/wrap.h"
#include "wrap/wrapped_bytes.h"

namespace {

using keyvol::Code;
using keyvol::Promise;
using keyvol::Secret;
using keyvol::Status;
using keyvol::WrapContext;
using keyvol::WrapLabel;
using keyvol::WrapPurpose;
using keyvol::fuzz::Input;

std::shared_ptr<Secret> SecretOf(std::span<const uint8_t> bytes) {
  std::shared_ptr<Secret> secret;
  Promise(Secret::Allocate(bytes.size(), &secret).ok(), "there is memory for a secret");
  std::copy(bytes.begin(), bytes.end(), reinterpret_cast<uint8_t*>(secret->bytes().data()));
  return secret;
}

const Secret& WrappingKey() {
  static const std::shared_ptr<Secret> key = SecretOf(std::vector<uint8_t>(32, 7));
  return *key;
}

WrapContext ContextOf(Input& input) {
  WrapContext context(input.Byte() % 6);
  for (auto& [name, value] : context) {
    name = input.Text(input.Byte() % 16);
    value = input.Text(input.Byte() % 64);
    // The length of a field has 16 bits.
    if (value == "long") value.assign(65535 + name.size() % 2, 'x');
  }
  return context;
}

bool IsRefusedContext(const WrapContext& context) {
  std::set<std::string> names;
  for (const auto& [name, value] : context) {
    if (value.size() > 65535 || !names.insert(name).second) return true;
  }
  return false;
}

// `prefix` ‖ nonce ‖ ciphertext ‖ tag, authentic whatever the prefix and the plaintext are.
std::vector<uint8_t> Seal(std::span<const uint8_t> prefix, const WrapContext& context,
                          std::span<const uint8_t> plaintext) {
  std::vector<uint8_t> bytes(prefix.begin(), prefix.end());
  std::vector<uint8_t> additional_data = bytes;
  if (!keyvol::AppendContext(context, &additional_data).ok()) return bytes;
  const size_t nonce_at = bytes.size();
  bytes.resize(bytes.size() + keyvol::kNonceBytes + plaintext.size() + keyvol::kTagBytes);
  const std::span<uint8_t> sealed = std::span(bytes).subspan(nonce_at);
  Promise(keyvol::GcmSeal({WrappingKey(), sealed.first(keyvol::kNonceBytes), additional_data},
                          std::as_bytes(plaintext),
                          sealed.subspan(keyvol::kNonceBytes, plaintext.size()),
                          sealed.last(keyvol::kTagBytes)),
          "openssl seals");
  return bytes;
}

bool IsGoodKey(std::span<const uint8_t> key, WrapPurpose purpose) {
  if (purpose == WrapPurpose::kMasterKey) return key.size() == 32;
  return key.size() == 64 && !std::equal(key.begin(), key.begin() + 32, key.begin() + 32);
}

void CheckRefusal(const Status& status) {
  Promise(status.code() == Code::kIntegrity &&
              status.message() == "the wrapped key does not match its key or its context",
          "all refusals to unwrap are alike");
}

// Any bytes at all, which nobody has sealed.
void UnwrapRaw(std::span<const uint8_t> bytes, WrapPurpose purpose) {
  // A copy of just this length, so that a byte too many is seen.
  const std::vector<uint8_t> wrapped(bytes.begin(), bytes.end());
  WrapLabel label;
  (void)keyvol::ReadWrapLabel(wrapped, &label).ok();
  std::shared_ptr<Secret> key;
  CheckRefusal(keyvol::UnwrapKey(WrappingKey(), wrapped, purpose, {}, &key));
  Promise(key == nullptr, "what does not unwrap gives no key");
}

void UnwrapSealed(Input& input, WrapPurpose purpose) {
  const std::span<const uint8_t> prefix = input.Bytes(input.Byte() % 32);
  const uint16_t flipped_bit = input.Word();
  const WrapContext context = ContextOf(input);
  const std::span<const uint8_t> plaintext = input.Rest();
  std::vector<uint8_t> wrapped = Seal(prefix, context, plaintext);
  WrapLabel label;
  const bool has_label = keyvol::ReadWrapLabel(wrapped, &label).ok();
  const bool is_whole = has_label && prefix.size() == keyvol::kPrefixBytes &&
                        label.purpose == purpose && IsGoodKey(plaintext, purpose);

  std::shared_ptr<Secret> key;
  const Status status = keyvol::UnwrapKey(WrappingKey(), wrapped, purpose, context, &key);
  if (status.ok()) {
    Promise(is_whole, "only whole keys unwrap");
    Promise(std::equal(plaintext.begin(), plaintext.end(),
                       reinterpret_cast<const uint8_t*>(key->bytes().data())),
            "what was wrapped unwraps");
  } else {
    Promise(!is_whole || IsRefusedContext(context), "a whole key unwraps");
  }
  if (IsRefusedContext(context) || wrapped.empty()) return;

  wrapped[flipped_bit / 8 % wrapped.size()] ^= static_cast<uint8_t>(1 << flipped_bit % 8);
  CheckRefusal(keyvol::UnwrapKey(WrappingKey(), wrapped, purpose, context, &key));
}

void WrapAndUnwrap(Input& input, WrapPurpose purpose) {
  WrapLabel label = {.purpose = purpose, .key_id = {}, .key_version = input.Word()};
  const WrapContext context = ContextOf(input);
  const std::span<const uint8_t> plaintext = input.Rest();
  if (plaintext.empty() || plaintext.size() > 4096) return;
  std::vector<uint8_t> wrapped;
  const std::shared_ptr<Secret> key = SecretOf(plaintext);
  const Status status = keyvol::WrapKey(WrappingKey(), *key, label, context, &wrapped);
  Promise(status.ok() == (IsGoodKey(plaintext, purpose) && !IsRefusedContext(context)),
          "good keys with good contexts are wrapped, and no others");
  if (!status.ok()) return;
  std::shared_ptr<Secret> again;
  Promise(keyvol::UnwrapKey(WrappingKey(), wrapped, purpose, context, &again).ok(),
          "what was wrapped unwraps");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const uint8_t mode = input.Byte();
  const WrapPurpose purpose = mode & 1 ? WrapPurpose::kDataKey : WrapPurpose::kMasterKey;
  switch (mode >> 1 & 3) {
    case 0:
      UnwrapRaw(input.Rest(), purpose);
      break;
    case 1:
      WrapAndUnwrap(input, purpose);
      break;
    default:
      UnwrapSealed(input, purpose);
  }
  return 0;
}
