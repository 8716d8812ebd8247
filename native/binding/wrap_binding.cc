#include <cstdio>
#include <utility>

#include "binding/checks.h"
#include "binding/registry.h"
#include "wrap/wrap.h"

namespace keyvol {

namespace {

constexpr const char* kDataKeyName = "data-key";
constexpr const char* kMasterKeyName = "master-key";

Status PurposeArgument(const Napi::Value& value, WrapPurpose* purpose) {
  std::string name;
  RETURN_IF_ERROR(StringArgument(value, "the purpose", &name));
  if (name != kDataKeyName && name != kMasterKeyName) return BadArgument("unknown purpose " + name);
  *purpose = name == kDataKeyName ? WrapPurpose::kDataKey : WrapPurpose::kMasterKey;
  return Status::Ok();
}

int HexDigit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

// A lower-case UUID: 8-4-4-4-12 hexadecimal digits.
Status UuidArgument(const Napi::Value& value, std::array<uint8_t, 16>* uuid) {
  std::string text;
  RETURN_IF_ERROR(StringArgument(value, "the key id", &text));
  const Status bad = BadArgument("the key id is not a lower-case uuid");
  if (text.size() != 36) return bad;
  size_t digits = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_dash_place = i == 8 || i == 13 || i == 18 || i == 23;
    const int digit = HexDigit(text[i]);
    if (is_dash_place ? text[i] != '-' : digit < 0) return bad;
    if (is_dash_place) continue;
    uint8_t& byte = (*uuid)[digits++ / 2];
    byte = static_cast<uint8_t>(byte << 4 | digit);
  }
  return Status::Ok();
}

std::string UuidText(const std::array<uint8_t, 16>& uuid) {
  std::string text;
  for (size_t i = 0; i < uuid.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", uuid[i]);
    text += digits;
  }
  return text;
}

Status LabelArgument(const Napi::Value& value, WrapLabel* label) {
  if (!value.IsObject()) return BadArgument("the label is not an object");
  const auto object = value.As<Napi::Object>();
  RETURN_IF_ERROR(PurposeArgument(object.Get("purpose"), &label->purpose));
  RETURN_IF_ERROR(UuidArgument(object.Get("keyId"), &label->key_id));
  uint64_t version = 0;
  RETURN_IF_ERROR(IntegerArgument(object.Get("keyVersion"), "the key version", &version));
  if (version > UINT32_MAX) return BadArgument("the key version is over 32 bits");
  label->key_version = static_cast<uint32_t>(version);
  return Status::Ok();
}

Status ContextArgument(const Napi::Value& value, WrapContext* context) {
  if (!value.IsObject()) return BadArgument("the context is not an object");
  const auto object = value.As<Napi::Object>();
  const Napi::Array names = object.GetPropertyNames();
  for (uint32_t i = 0; i < names.Length(); ++i) {
    const Napi::Value name = names[i];
    std::pair<std::string, std::string> field;
    RETURN_IF_ERROR(StringArgument(name, "a context name", &field.first));
    RETURN_IF_ERROR(StringArgument(object.Get(name), "a context value", &field.second));
    context->push_back(std::move(field));
  }
  return Status::Ok();
}

Status WrappedArgument(const Napi::Value& value, std::span<const uint8_t>* wrapped) {
  std::span<std::byte> bytes;
  RETURN_IF_ERROR(BufferArgument(value, "the wrapped key", &bytes));
  *wrapped = {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
  return Status::Ok();
}

Napi::Value GenerateDataKeyBinding(const Napi::CallbackInfo& info) {
  std::shared_ptr<Secret> key;
  THROW_IF_ERROR(info.Env(), GenerateDataKey(&key));
  return NewSecretHandle(info.Env(), std::move(key));
}

Napi::Value WrapKeyBinding(const Napi::CallbackInfo& info) {
  std::shared_ptr<Secret> wrapping_key, key;
  WrapLabel label;
  WrapContext context;
  THROW_IF_ERROR(info.Env(), SecretArgument(info[0], "the wrapping key", &wrapping_key));
  THROW_IF_ERROR(info.Env(), SecretArgument(info[1], "the key to wrap", &key));
  THROW_IF_ERROR(info.Env(), LabelArgument(info[2], &label));
  THROW_IF_ERROR(info.Env(), ContextArgument(info[3], &context));
  std::vector<uint8_t> wrapped;
  THROW_IF_ERROR(info.Env(), WrapKey(*wrapping_key, *key, label, context, &wrapped));
  return Napi::Buffer<uint8_t>::Copy(info.Env(), wrapped.data(), wrapped.size());
}

Napi::Value UnwrapKeyBinding(const Napi::CallbackInfo& info) {
  std::shared_ptr<Secret> wrapping_key;
  std::span<const uint8_t> wrapped;
  WrapPurpose purpose;
  WrapContext context;
  THROW_IF_ERROR(info.Env(), SecretArgument(info[0], "the wrapping key", &wrapping_key));
  THROW_IF_ERROR(info.Env(), WrappedArgument(info[1], &wrapped));
  THROW_IF_ERROR(info.Env(), PurposeArgument(info[2], &purpose));
  THROW_IF_ERROR(info.Env(), ContextArgument(info[3], &context));
  std::shared_ptr<Secret> key;
  THROW_IF_ERROR(info.Env(), UnwrapKey(*wrapping_key, wrapped, purpose, context, &key));
  return NewSecretHandle(info.Env(), std::move(key));
}

Napi::Value ReadWrapLabelBinding(const Napi::CallbackInfo& info) {
  std::span<const uint8_t> wrapped;
  WrapLabel label;
  THROW_IF_ERROR(info.Env(), WrappedArgument(info[0], &wrapped));
  THROW_IF_ERROR(info.Env(), ReadWrapLabel(wrapped, &label));
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("keyId", UuidText(label.key_id));
  result.Set("keyVersion", label.key_version);
  result.Set("purpose", label.purpose == WrapPurpose::kDataKey ? kDataKeyName : kMasterKeyName);
  return result;
}

Napi::Value CreateKeyFileBinding(const Napi::CallbackInfo& info) {
  std::string path;
  std::shared_ptr<Secret> key;
  THROW_IF_ERROR(info.Env(), PathArgument(info[0], "the key file", &path));
  THROW_IF_ERROR(info.Env(), CreateKeyFile(path, &key));
  return NewSecretHandle(info.Env(), std::move(key));
}

Napi::Value LoadKeyFileBinding(const Napi::CallbackInfo& info) {
  std::string path;
  std::shared_ptr<Secret> key;
  THROW_IF_ERROR(info.Env(), PathArgument(info[0], "the key file", &path));
  THROW_IF_ERROR(info.Env(), LoadKeyFile(path, &key));
  return NewSecretHandle(info.Env(), std::move(key));
}

Napi::Value ExportKeyFileBinding(const Napi::CallbackInfo& info) {
  std::shared_ptr<Secret> key;
  std::string path;
  THROW_IF_ERROR(info.Env(), SecretArgument(info[0], "the key", &key));
  THROW_IF_ERROR(info.Env(), PathArgument(info[1], "the key file", &path));
  THROW_IF_ERROR(info.Env(), ExportKeyFile(*key, path));
  return info.Env().Undefined();
}

void InitWrapBinding(Napi::Env env, Napi::Object exports) {
  exports.Set("generateDataKey", Napi::Function::New(env, GenerateDataKeyBinding));
  exports.Set("wrapKey", Napi::Function::New(env, WrapKeyBinding));
  exports.Set("unwrapKey", Napi::Function::New(env, UnwrapKeyBinding));
  exports.Set("readWrapLabel", Napi::Function::New(env, ReadWrapLabelBinding));
  exports.Set("createKeyFile", Napi::Function::New(env, CreateKeyFileBinding));
  exports.Set("loadKeyFile", Napi::Function::New(env, LoadKeyFileBinding));
  exports.Set("exportKeyFile", Napi::Function::New(env, ExportKeyFileBinding));
}

}  // namespace

KEYVOL_BINDING(InitWrapBinding);

}  // namespace keyvol
