#include "secret/secret.h"

#include <sys/random.h>

#include <cassert>
#include <cerrno>
#include <cstring>

#include "secret/slab.h"

namespace keyvol {

namespace {

Status FillRandom(std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t got = getrandom(bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Status::FromErrno(errno, "read the kernel's random generator");
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
  return Status::Ok();
}

}  // namespace

Status Secret::Allocate(size_t length_bytes, std::shared_ptr<Secret>* secret) {
  std::span<std::byte> bytes;
  RETURN_IF_ERROR(SecretSlab::Instance().Take(length_bytes, &bytes));
  secret->reset(new Secret(bytes));
  return Status::Ok();
}

Status Secret::Random(size_t length_bytes, std::shared_ptr<Secret>* secret) {
  std::shared_ptr<Secret> fresh;
  RETURN_IF_ERROR(Allocate(length_bytes, &fresh));
  RETURN_IF_ERROR(FillRandom(fresh->bytes()));
  *secret = std::move(fresh);
  return Status::Ok();
}

Secret::~Secret() { SecretSlab::Instance().Return(bytes_); }

void Secret::Wipe() { explicit_bzero(bytes_.data(), bytes_.size()); }

bool SecretMemoryIsHidden() { return SecretSlab::Instance().IsHidden(); }

bool HalvesDiffer(std::span<const std::byte> key) {
  assert(key.size() % 2 == 0);
  const size_t half_bytes = key.size() / 2;
  // Volatile, so that no compiler makes an early exit of it.
  volatile unsigned difference = 0;
  for (size_t i = 0; i < half_bytes; ++i) {
    difference = difference | std::to_integer<unsigned>(key[i] ^ key[half_bytes + i]);
  }
  return difference != 0;
}

}  // namespace keyvol
