#include "xts/evp_xts.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cstdlib>

namespace keyvol {

namespace {

const unsigned char* Bytes(const std::byte* bytes) {
  return reinterpret_cast<const unsigned char*>(bytes);
}

// What OpenSSL cannot refuse. Going on would hand out plaintext as ciphertext.
void Require(bool condition) {
  if (!condition) std::abort();
}

std::array<std::byte, 16> TweakOf(uint64_t sector, size_t sector_bytes) {
  // 128 bits, since sector × 8 passes 2^64 from sector 2^61 on.
  unsigned __int128 unit = static_cast<unsigned __int128>(sector) * (sector_bytes / 512);
  std::array<std::byte, 16> tweak;
  for (std::byte& byte : tweak) {
    byte = static_cast<std::byte>(unit & 0xff);
    unit >>= 8;
  }
  return tweak;
}

}  // namespace

bool EvpDataUnit(EVP_CIPHER_CTX* context, std::span<const std::byte, 16> tweak,
                 std::span<std::byte> data) {
  // Without a cipher and a key only the tweak is set: the key schedule stays.
  if (EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, Bytes(tweak.data()), -1) != 1) {
    return false;
  }
  unsigned char* bytes = reinterpret_cast<unsigned char*>(data.data());
  int done_bytes = 0;
  return EVP_CipherUpdate(context, bytes, &done_bytes, bytes, static_cast<int>(data.size())) == 1 &&
         done_bytes == static_cast<int>(data.size());
}

Status EvpContextPool::Init(std::span<const std::byte> key, bool encrypt) {
  assert(key.size() == kXtsKeyBytes);
  pattern_.reset(EVP_CIPHER_CTX_new());
  if (!pattern_ || EVP_CipherInit_ex(pattern_.get(), EVP_aes_256_xts(), nullptr, Bytes(key.data()),
                                     nullptr, encrypt ? 1 : 0) != 1) {
    return Status::Error(Code::kInternal, "openssl refused the aes-256-xts key");
  }
  return Status::Ok();
}

EvpContext EvpContextPool::Take() {
  const std::lock_guard lock(mutex_);
  if (!idle_.empty()) {
    EvpContext context = std::move(idle_.back());
    idle_.pop_back();
    return context;
  }
  EvpContext context(EVP_CIPHER_CTX_new());
  Require(context && EVP_CIPHER_CTX_copy(context.get(), pattern_.get()) == 1);
  return context;
}

void EvpContextPool::Return(EvpContext context) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(context));
}

Status EvpXtsCipher::Init(std::span<const std::byte, kXtsKeyBytes> key) {
  RETURN_IF_ERROR(encrypting_.Init(key, true));
  return decrypting_.Init(key, false);
}

void EvpXtsCipher::Encrypt(uint64_t first_sector, std::span<std::byte> data) {
  Transform(encrypting_, first_sector, data);
}

void EvpXtsCipher::DecryptTo(uint64_t first_sector, std::span<const std::byte> from,
                             std::span<std::byte> to) {
  if (from.data() != to.data()) std::copy(from.begin(), from.end(), to.begin());
  Transform(decrypting_, first_sector, to);
}

void EvpXtsCipher::Transform(EvpContextPool& pool, uint64_t first_sector,
                             std::span<std::byte> data) {
  assert(data.size() % sector_bytes_ == 0);
  EvpContext context = pool.Take();
  for (uint64_t sector = first_sector; !data.empty(); ++sector) {
    const std::array<std::byte, 16> tweak = TweakOf(sector, sector_bytes_);
    Require(EvpDataUnit(context.get(), tweak, data.first(sector_bytes_)));
    data = data.subspan(sector_bytes_);
  }
  pool.Return(std::move(context));
}

}  // namespace keyvol
