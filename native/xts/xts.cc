#include "xts/xts.h"

#include <utility>

#include "xts/evp_xts.h"

namespace keyvol {

namespace {

// IEEE 1619-2018: at most 2^20 blocks of 16 bytes.
constexpr size_t kMaxDataUnitBytes = 16 << 20;

Status CheckKey(std::span<const std::byte> key) {
  if (key.size() != kXtsKeyBytes) {
    return Status::Error(Code::kInvalidArgument, "an aes-256-xts key has 64 bytes");
  }
  // OpenSSL refuses this for encryption only, and not in constant time.
  if (!HalvesDiffer(key)) {
    return Status::Error(Code::kInvalidArgument, "the two halves of an xts key must differ");
  }
  return Status::Ok();
}

}  // namespace

Status XtsCipher::Create(std::shared_ptr<Secret> key, std::unique_ptr<XtsCipher>* cipher) {
  RETURN_IF_ERROR(CheckKey(key->bytes()));
  auto evp = std::make_unique<EvpXtsCipher>();
  RETURN_IF_ERROR(evp->Init(std::move(key)));
  *cipher = std::move(evp);
  return Status::Ok();
}

Status XtsDataUnit(std::span<const std::byte> key, std::span<const std::byte, 16> tweak,
                   bool encrypt, std::span<std::byte> data) {
  RETURN_IF_ERROR(CheckKey(key));
  if (data.size() < 16 || data.size() > kMaxDataUnitBytes) {
    return Status::Error(Code::kInvalidArgument, "an xts data unit has 16 bytes to 16 MiB");
  }
  EvpContextPool pool;
  RETURN_IF_ERROR(pool.Init(key, encrypt));
  const EvpContext context = pool.Take();
  if (!EvpDataUnit(context.get(), tweak, data)) {
    return Status::Error(Code::kInternal, "openssl refused an xts data unit");
  }
  return Status::Ok();
}

}  // namespace keyvol
