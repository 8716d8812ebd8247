#include <algorithm>
#include <utility>

#include "binding/arguments.h"
#include "binding/checks.h"
#include "binding/registry.h"
#include "xts/xts.h"

namespace keyvol {

namespace {

Napi::Buffer<uint8_t> CopyOf(Napi::Env env, std::span<const std::byte> bytes) {
  return Napi::Buffer<uint8_t>::Copy(env, reinterpret_cast<const uint8_t*>(bytes.data()),
                                     bytes.size());
}

std::span<std::byte> BytesOf(Napi::Buffer<uint8_t>& buffer) {
  return {reinterpret_cast<std::byte*>(buffer.Data()), buffer.Length()};
}

Napi::Value XtsDataUnitBinding(const Napi::CallbackInfo& info) {
  std::span<std::byte> key, tweak, data;
  THROW_IF_ERROR(info.Env(), BufferArgument(info[0], "the key", &key));
  THROW_IF_ERROR(info.Env(), BufferArgument(info[1], "the tweak", &tweak));
  THROW_IF_ERROR(info.Env(), BufferArgument(info[3], "the data", &data));
  if (tweak.size() != 16) return ThrowFault(info.Env(), BadArgument("a tweak has 16 bytes"));
  const bool encrypt = info[2].ToBoolean();
  Napi::Buffer<uint8_t> result = CopyOf(info.Env(), data);
  THROW_IF_ERROR(info.Env(),
                 XtsDataUnit(key, std::span<const std::byte, 16>(tweak), encrypt, BytesOf(result)));
  return result;
}

// A run of sectors, as JavaScript describes it.
struct RunArguments {
  XtsOptions options;
  uint64_t first_sector = 0;
  bool encrypts = false;
};

Status ReadRun(const Napi::Value& value, RunArguments* run) {
  if (!value.IsObject()) return BadArgument("the run is not an object");
  const auto object = value.As<Napi::Object>();
  const Napi::Value first = object.Get("firstSector");
  bool lossless = false;
  if (first.IsBigInt()) run->first_sector = first.As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) return BadArgument("the first sector is no bigint of 64 bits");
  run->encrypts = BoolOf(object.Get("encrypts"));
  if (const Napi::Value kernel = object.Get("kernel"); !kernel.IsUndefined()) {
    RETURN_IF_ERROR(StringArgument(kernel, "the kernel", &run->options.kernel));
  }
  if (const Napi::Value bytes = object.Get("sectorBytes"); !bytes.IsUndefined()) {
    RETURN_IF_ERROR(IntegerArgument(bytes, "the sector size", &run->options.sector_bytes));
  }
  return Status::Ok();
}

Napi::Value XtsSectors(const Napi::CallbackInfo& info) {
  std::shared_ptr<Secret> key;
  RunArguments run;
  std::span<std::byte> data;
  THROW_IF_ERROR(info.Env(), SecretArgument(info[0], "the key", &key));
  THROW_IF_ERROR(info.Env(), ReadRun(info[1], &run));
  THROW_IF_ERROR(info.Env(), BufferArgument(info[2], "the data", &data));
  std::unique_ptr<XtsCipher> cipher;
  THROW_IF_ERROR(info.Env(), XtsCipher::Create(*key, run.options, &cipher));
  if (data.size() % run.options.sector_bytes != 0) {
    return ThrowFault(info.Env(), BadArgument("the data is not whole sectors"));
  }
  run.encrypts ? cipher->Encrypt(run.first_sector, data) : cipher->Decrypt(run.first_sector, data);
  return info.Env().Undefined();
}

Napi::Array ArrayOf(Napi::Env env, const std::vector<std::string>& texts) {
  Napi::Array array = Napi::Array::New(env, texts.size());
  for (uint32_t i = 0; i < texts.size(); ++i) array.Set(i, texts[i]);
  return array;
}

Napi::Value XtsKernelsBinding(const Napi::CallbackInfo& info) {
  XtsKernels kernels;
  THROW_IF_ERROR(info.Env(), FindXtsKernels(&kernels));
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("chosen", kernels.chosen);
  result.Set("usable", ArrayOf(info.Env(), kernels.usable));
  result.Set("failed", ArrayOf(info.Env(), kernels.failed));
  return result;
}

void InitXtsBinding(Napi::Env env, Napi::Object exports) {
  exports.Set("xtsDataUnit", Napi::Function::New(env, XtsDataUnitBinding));
  exports.Set("xtsKernels", Napi::Function::New(env, XtsKernelsBinding));
  exports.Set("xtsSectors", Napi::Function::New(env, XtsSectors));
}

}  // namespace

KEYVOL_BINDING(InitXtsBinding);

}  // namespace keyvol
