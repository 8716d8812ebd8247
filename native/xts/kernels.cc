#include "xts/kernels.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "xts/evp_xts.h"
#include "xts/wide_cipher.h"

namespace keyvol {

namespace {

constexpr char kOpenSsl[] = "openssl";

using Key = std::array<std::byte, kXtsKeyBytes>;

// Of the self-test alone.
Key TestKey() {
  Key key;
  for (size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::byte>(i * 7 + 1);
  return key;
}

std::vector<std::byte> TestData(size_t length_bytes) {
  std::vector<std::byte> data(length_bytes);
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 31 + (i >> 8));
  return data;
}

// Encrypts as OpenSSL does, and back.
bool Agrees(XtsCipher& cipher, XtsCipher& reference, uint64_t first_sector, size_t length_bytes) {
  const std::vector<std::byte> plain = TestData(length_bytes);
  std::vector<std::byte> data = plain;
  std::vector<std::byte> expected = plain;
  cipher.Encrypt(first_sector, data);
  reference.Encrypt(first_sector, expected);
  if (data != expected) return false;
  cipher.Decrypt(first_sector, data);
  return data == plain;
}

bool PassesSelfTest(const WideKernel& kernel) {
  const Key key = TestKey();
  for (const size_t sector_bytes : {size_t{512}, kSectorBytes}) {
    std::unique_ptr<XtsCipher> cipher;
    EvpXtsCipher reference(sector_bytes);
    if (!WideXtsCipher::Create(key, kernel, sector_bytes, &cipher).ok()) return false;
    if (!reference.Init(key).ok()) return false;
    // One sector, one batch of tweaks and one more; where the tweak passes 64 bits.
    for (const size_t sectors : {1, 17}) {
      for (const uint64_t first : {uint64_t{0}, (uint64_t{1} << 61) - 1}) {
        if (!Agrees(*cipher, reference, first, sectors * sector_bytes)) return false;
      }
    }
  }
  return true;
}

std::string Joined(std::span<const std::string> names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

bool Contains(std::span<const std::string> names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Why `wanted` cannot be had.
Status Refusal(std::span<const WideKernel* const> candidates, const XtsKernels& kernels,
               const std::string& wanted) {
  const std::string cure = "; use one of " + Joined(kernels.usable) + ", or none for the fastest";
  if (Contains(kernels.failed, wanted)) {
    return Status::Error(Code::kUnsupported, "KEYVOL_XTS is " + wanted +
                                                 ", which does not encrypt as OpenSSL does on "
                                                 "this processor" +
                                                 cure);
  }
  const bool is_known = std::any_of(candidates.begin(), candidates.end(),
                                    [&](const auto* kernel) { return wanted == kernel->name; });
  return is_known ? Status::Error(Code::kUnsupported,
                                  "KEYVOL_XTS is " + wanted +
                                      ", for which this processor has no instructions" + cure)
                  : Status::Error(Code::kInvalidArgument,
                                  "KEYVOL_XTS is " + wanted + ", which names no kernel" + cure);
}

}  // namespace

std::span<const WideKernel* const> WideKernels() {
#if defined(__x86_64__)
  static constexpr const WideKernel* kKernels[] = {&kVaes512Kernel, &kVaes256Kernel, &kAesNiKernel};
  return kKernels;
#else
  return {};
#endif
}

Status ChooseKernel(std::span<const WideKernel* const> candidates, const char* wanted,
                    XtsKernels* kernels) {
  XtsKernels found;
  for (const WideKernel* kernel : candidates) {
    if (!kernel->is_supported()) continue;
    (PassesSelfTest(*kernel) ? found.usable : found.failed).push_back(kernel->name);
  }
  found.usable.push_back(kOpenSsl);
  found.chosen = wanted == nullptr || *wanted == '\0' ? found.usable.front() : wanted;
  if (!Contains(found.usable, found.chosen)) return Refusal(candidates, found, found.chosen);
  *kernels = std::move(found);
  return Status::Ok();
}

}  // namespace keyvol
