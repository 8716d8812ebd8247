#include <algorithm>
#include <utility>

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

Napi::Value XtsSectors(const Napi::CallbackInfo& info) {
  std::shared_ptr<Secret> key;
  std::span<std::byte> data;
  THROW_IF_ERROR(info.Env(), SecretArgument(info[0], "the key", &key));
  if (!info[1].IsBigInt()) return ThrowFault(info.Env(), BadArgument("the sector is no bigint"));
  THROW_IF_ERROR(info.Env(), BufferArgument(info[3], "the data", &data));
  if (data.size() % kSectorBytes != 0) {
    return ThrowFault(info.Env(), BadArgument("the data is not whole 4096-byte sectors"));
  }
  bool lossless = false;
  const uint64_t first_sector = info[1].As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless) return ThrowFault(info.Env(), BadArgument("the sector is not 64 bits"));
  std::unique_ptr<XtsCipher> cipher;
  THROW_IF_ERROR(info.Env(), XtsCipher::Create(std::move(key), &cipher));
  Napi::Buffer<uint8_t> result = CopyOf(info.Env(), data);
  if (info[2].ToBoolean()) {
    cipher->Encrypt(first_sector, BytesOf(result));
  } else {
    cipher->Decrypt(first_sector, BytesOf(result));
  }
  return result;
}

void InitXtsBinding(Napi::Env env, Napi::Object exports) {
  exports.Set("xtsDataUnit", Napi::Function::New(env, XtsDataUnitBinding));
  exports.Set("xtsSectors", Napi::Function::New(env, XtsSectors));
}

}  // namespace

KEYVOL_BINDING(InitXtsBinding);

}  // namespace keyvol
