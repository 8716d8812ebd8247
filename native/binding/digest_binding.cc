// newSha256 of src/device/addon.ts.
#include <napi.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "binding/async.h"
#include "binding/checks.h"
#include "binding/registry.h"

namespace keyvol {

namespace {

struct ContextDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Context = std::shared_ptr<EVP_MD_CTX>;

Status Update(EVP_MD_CTX* context, std::span<const std::byte> data) {
  if (EVP_DigestUpdate(context, data.data(), data.size()) == 1) return Status::Ok();
  return Status::Error(Code::kInternal, "OpenSSL cannot hash");
}

Status UpdateZeros(EVP_MD_CTX* context, uint64_t length_bytes) {
  static constexpr std::array<std::byte, 65536> kZeros = {};
  while (length_bytes > 0) {
    const size_t piece_bytes = std::min<uint64_t>(length_bytes, kZeros.size());
    RETURN_IF_ERROR(Update(context, {kZeros.data(), piece_bytes}));
    length_bytes -= piece_bytes;
  }
  return Status::Ok();
}

// The caller makes one call after the other.
class Sha256Handle : public Napi::ObjectWrap<Sha256Handle> {
 public:
  static Napi::Function DefineIn(Napi::Env env) {
    return DefineClass(env, "Sha256",
                       {InstanceMethod<&Sha256Handle::UpdateBinding>("update"),
                        InstanceMethod<&Sha256Handle::UpdateZerosBinding>("updateZeros"),
                        InstanceMethod<&Sha256Handle::Digest>("digest")});
  }

  explicit Sha256Handle(const Napi::CallbackInfo& info)
      : ObjectWrap(info), context_(EVP_MD_CTX_new(), ContextDeleter()) {
    if (EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1) return;
    ThrowFault(info.Env(), Status::Error(Code::kInternal, "OpenSSL has no SHA-256"));
  }

 private:
  Napi::Value UpdateBinding(const Napi::CallbackInfo& info) {
    std::span<std::byte> data;
    REJECT_IF_ERROR(info.Env(), BufferArgument(info[0], "the data", &data));
    return RunAsync(info.Env(), [context = context_, data] { return Update(context.get(), data); },
                    nullptr, {info[0].As<Napi::Object>()});
  }

  Napi::Value UpdateZerosBinding(const Napi::CallbackInfo& info) {
    uint64_t length_bytes = 0;
    REJECT_IF_ERROR(info.Env(), IntegerArgument(info[0], "the length", &length_bytes));
    return RunAsync(info.Env(), [context = context_, length_bytes] {
      return UpdateZeros(context.get(), length_bytes);
    });
  }

  Napi::Value Digest(const Napi::CallbackInfo& info) {
    std::array<unsigned char, 32> digest;
    if (EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) != 1) {
      return ThrowFault(info.Env(), Status::Error(Code::kInternal, "OpenSSL cannot hash"));
    }
    return Napi::Buffer<unsigned char>::Copy(info.Env(), digest.data(), digest.size());
  }

  Context context_;
};

// Each JavaScript environment has a thread of its own.
thread_local Napi::FunctionReference handle_class;

Napi::Value NewSha256(const Napi::CallbackInfo&) { return handle_class.New({}); }

void InitDigestBinding(Napi::Env env, Napi::Object exports) {
  handle_class = Napi::Persistent(Sha256Handle::DefineIn(env));
  // At exit the environment is gone before this thread's variables are.
  handle_class.SuppressDestruct();
  exports.Set("newSha256", Napi::Function::New(env, NewSha256));
}

}  // namespace

KEYVOL_BINDING(InitDigestBinding);

}  // namespace keyvol
