#include "xts/xts.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "xts/evp_xts.h"
#include "xts/kernels.h"
#include "xts/wide_cipher.h"

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

struct Choice {
  Status status = Status::Ok();
  XtsKernels kernels;
};

const Choice& ProcessChoice() {
  static const Choice choice = [] {
    Choice made;
    made.status = ChooseKernel(WideKernels(), std::getenv("KEYVOL_XTS"), &made.kernels);
    return made;
  }();
  return choice;
}

Status NameOf(const XtsOptions& options, std::string* name) {
  const Choice& choice = ProcessChoice();
  RETURN_IF_ERROR(choice.status);
  const std::vector<std::string>& usable = choice.kernels.usable;
  *name = options.kernel.empty() ? choice.kernels.chosen : options.kernel;
  if (std::find(usable.begin(), usable.end(), *name) != usable.end()) return Status::Ok();
  return Status::Error(Code::kUnsupported, "there is no cipher kernel " + *name + " here");
}

}  // namespace

Status FindXtsKernels(XtsKernels* kernels) {
  RETURN_IF_ERROR(ProcessChoice().status);
  *kernels = ProcessChoice().kernels;
  return Status::Ok();
}

Status XtsCipher::Create(const Secret& key, const XtsOptions& options,
                         std::unique_ptr<XtsCipher>* cipher) {
  RETURN_IF_ERROR(CheckKey(key.bytes()));
  if (options.sector_bytes != 512 && options.sector_bytes != kSectorBytes) {
    return Status::Error(Code::kInvalidArgument, "sectors have 512 or 4096 bytes");
  }
  std::string name;
  RETURN_IF_ERROR(NameOf(options, &name));
  const auto bytes = key.bytes().first<kXtsKeyBytes>();
  for (const WideKernel* kernel : WideKernels()) {
    if (name != kernel->name) continue;
    return WideXtsCipher::Create(bytes, *kernel, options.sector_bytes, cipher);
  }
  auto evp = std::make_unique<EvpXtsCipher>(options.sector_bytes);
  RETURN_IF_ERROR(evp->Init(bytes));
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
