#include "wrap/wrap.h"

#include <openssl/rand.h>

#include "wrap/gcm.h"
#include "wrap/wrapped_bytes.h"

namespace keyvol {

namespace {

constexpr size_t kWrappingKeyBytes = 32;
constexpr size_t kDataKeyBytes = 64;
constexpr size_t kMasterKeyBytes = 32;

size_t LengthOf(WrapPurpose purpose) {
  return purpose == WrapPurpose::kDataKey ? kDataKeyBytes : kMasterKeyBytes;
}

// One message for every reason, so that the answer tells an attacker nothing.
Status DoesNotUnwrap() {
  return Status::Error(Code::kIntegrity, "the wrapped key does not match its key or its context");
}

Status CheckWrappingKey(const Secret& wrapping_key) {
  if (wrapping_key.length_bytes() == kWrappingKeyBytes) return Status::Ok();
  return Status::Error(Code::kInvalidArgument, "a wrapping key has 32 bytes");
}

Status CheckKey(const Secret& key, WrapPurpose purpose) {
  if (key.length_bytes() != LengthOf(purpose)) {
    return Status::Error(Code::kInvalidArgument, purpose == WrapPurpose::kDataKey
                                                     ? "a data key has 64 bytes"
                                                     : "a master key has 32 bytes");
  }
  if (purpose == WrapPurpose::kDataKey && !HalvesDiffer(key.bytes())) {
    return Status::Error(Code::kInvalidArgument, "the two halves of a data key must differ");
  }
  return Status::Ok();
}

}  // namespace

Status WrapKey(const Secret& wrapping_key, const Secret& key, const WrapLabel& label,
               const WrapContext& context, std::vector<uint8_t>* wrapped) {
  RETURN_IF_ERROR(CheckWrappingKey(wrapping_key));
  RETURN_IF_ERROR(CheckKey(key, label.purpose));
  std::vector<uint8_t> bytes;
  AppendPrefix(label, &bytes);
  std::vector<uint8_t> additional_data = bytes;
  RETURN_IF_ERROR(AppendContext(context, &additional_data));
  bytes.resize(kPrefixBytes + kNonceBytes + key.length_bytes() + kTagBytes);
  const std::span<uint8_t> all(bytes);
  const std::span<uint8_t> nonce = all.subspan(kPrefixBytes, kNonceBytes);
  if (RAND_bytes(nonce.data(), static_cast<int>(nonce.size())) != 1 ||
      !GcmSeal({wrapping_key, nonce, additional_data}, key.bytes(),
               all.subspan(kPrefixBytes + kNonceBytes, key.length_bytes()), all.last(kTagBytes))) {
    return Status::Error(Code::kInternal, "openssl could not wrap a key");
  }
  *wrapped = std::move(bytes);
  return Status::Ok();
}

Status UnwrapKey(const Secret& wrapping_key, std::span<const uint8_t> wrapped, WrapPurpose purpose,
                 const WrapContext& context, std::shared_ptr<Secret>* key) {
  RETURN_IF_ERROR(CheckWrappingKey(wrapping_key));
  WrapLabel label;
  const size_t key_bytes = LengthOf(purpose);
  if (!ParsePrefix(wrapped, &label) || label.purpose != purpose ||
      wrapped.size() != kPrefixBytes + kNonceBytes + key_bytes + kTagBytes) {
    return DoesNotUnwrap();
  }
  std::vector<uint8_t> additional_data(wrapped.begin(), wrapped.begin() + kPrefixBytes);
  RETURN_IF_ERROR(AppendContext(context, &additional_data));
  std::shared_ptr<Secret> plain;
  RETURN_IF_ERROR(Secret::Allocate(key_bytes, &plain));
  if (!GcmOpen({wrapping_key, wrapped.subspan(kPrefixBytes, kNonceBytes), additional_data},
               wrapped.subspan(kPrefixBytes + kNonceBytes, key_bytes), wrapped.last(kTagBytes),
               plain->bytes()) ||
      !CheckKey(*plain, purpose).ok()) {
    return DoesNotUnwrap();
  }
  *key = std::move(plain);
  return Status::Ok();
}

Status ReadWrapLabel(std::span<const uint8_t> wrapped, WrapLabel* label) {
  WrapLabel parsed;
  if (!ParsePrefix(wrapped, &parsed)) {
    return Status::Error(Code::kIntegrity, "not a wrapped key of a known format");
  }
  *label = parsed;
  return Status::Ok();
}

Status GenerateDataKey(std::shared_ptr<Secret>* key) {
  std::shared_ptr<Secret> fresh;
  RETURN_IF_ERROR(Secret::Random(kDataKeyBytes, &fresh));
  if (!HalvesDiffer(fresh->bytes())) {
    return Status::Error(Code::kInternal, "the random generator repeats itself");
  }
  *key = std::move(fresh);
  return Status::Ok();
}

}  // namespace keyvol
