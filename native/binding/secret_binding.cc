#include <cstring>
#include <utility>

#include "binding/async.h"
#include "binding/checks.h"
#include "binding/registry.h"
#include "secret/receive.h"
#include "secret/secret.h"

namespace keyvol {

namespace {

// Tells our handles from every other JavaScript object.
constexpr napi_type_tag kSecretTag = {0x6b65792076656c6fULL, 0x7365637265742031ULL};

class SecretHandle : public Napi::ObjectWrap<SecretHandle> {
 public:
  static Napi::Function DefineIn(Napi::Env env) {
    return DefineClass(env, "Secret",
                       {InstanceAccessor<&SecretHandle::LengthBytes>("lengthBytes"),
                        InstanceAccessor<&SecretHandle::Released>("released"),
                        InstanceMethod<&SecretHandle::Release>("release")});
  }

  // Only NewSecretHandle passes a secret; a handle that JavaScript constructs holds none.
  explicit SecretHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    info.This().As<Napi::Object>().TypeTag(&kSecretTag);
    if (info.Length() == 0 || !info[0].IsExternal()) return;
    secret_ = *info[0].As<Napi::External<std::shared_ptr<Secret>>>().Data();
    length_bytes_ = secret_->length_bytes();
  }

  std::shared_ptr<Secret> secret() const { return secret_; }

 private:
  Napi::Value LengthBytes(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), static_cast<double>(length_bytes_));
  }
  Napi::Value Released(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), secret_ == nullptr);
  }
  Napi::Value Release(const Napi::CallbackInfo& info) {
    secret_.reset();
    return info.Env().Undefined();
  }

  std::shared_ptr<Secret> secret_;
  size_t length_bytes_ = 0;
};

// Each JavaScript environment has a thread of its own.
thread_local Napi::FunctionReference handle_class;

Napi::Value SecretMemoryIsHiddenBinding(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), SecretMemoryIsHidden());
}

Napi::Value RandomSecret(const Napi::CallbackInfo& info) {
  uint64_t length_bytes = 0;
  THROW_IF_ERROR(info.Env(), IntegerArgument(info[0], "the length", &length_bytes));
  std::shared_ptr<Secret> secret;
  THROW_IF_ERROR(info.Env(), Secret::Random(length_bytes, &secret));
  return NewSecretHandle(info.Env(), std::move(secret));
}

Napi::Value ReceiveSecretBinding(const Napi::CallbackInfo& info) {
  std::string path;
  THROW_IF_ERROR(info.Env(), PathArgument(info[0], "the socket", &path));
  auto secret = std::make_shared<std::shared_ptr<Secret>>();
  return RunOnThread(
      info.Env(), [path, secret] { return ReceiveSecret(path, secret.get()); },
      [secret](Napi::Env env) { return NewSecretHandle(env, std::move(*secret)); });
}

Napi::Value SecretFromTestKey(const Napi::CallbackInfo& info) {
  std::span<std::byte> bytes;
  THROW_IF_ERROR(info.Env(), BufferArgument(info[0], "the key", &bytes));
  std::shared_ptr<Secret> secret;
  THROW_IF_ERROR(info.Env(), Secret::Allocate(bytes.size(), &secret));
  std::memcpy(secret->bytes().data(), bytes.data(), bytes.size());
  return NewSecretHandle(info.Env(), std::move(secret));
}

void InitSecretBinding(Napi::Env env, Napi::Object exports) {
  handle_class = Napi::Persistent(SecretHandle::DefineIn(env));
  // At exit the environment is gone before this thread's variables are.
  handle_class.SuppressDestruct();
  exports.Set("secretMemoryIsHidden", Napi::Function::New(env, SecretMemoryIsHiddenBinding));
  exports.Set("randomSecret", Napi::Function::New(env, RandomSecret));
  exports.Set("receiveSecret", Napi::Function::New(env, ReceiveSecretBinding));
  exports.Set("secretFromTestKey", Napi::Function::New(env, SecretFromTestKey));
}

}  // namespace

std::shared_ptr<Secret> SecretOf(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kSecretTag)) return nullptr;
  return SecretHandle::Unwrap(value.As<Napi::Object>())->secret();
}

Napi::Value NewSecretHandle(Napi::Env env, std::shared_ptr<Secret> secret) {
  return handle_class.New({Napi::External<std::shared_ptr<Secret>>::New(env, &secret)});
}

KEYVOL_BINDING(InitSecretBinding);

}  // namespace keyvol
