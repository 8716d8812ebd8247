// The cipher kernels: each under many threads at once, with one cipher; and the choice among them,
// which must never fall on one that does not do as OpenSSL does.
#include "xts/kernels.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "threads/threads.h"

namespace {

using keyvol::ChooseKernel;
using keyvol::Code;
using keyvol::Promise;
using keyvol::Secret;
using keyvol::WideKernel;
using keyvol::XtsCipher;
using keyvol::XtsKernels;
using keyvol::threads::MustBeOk;
using keyvol::threads::Rounds;

constexpr unsigned kThreads = 4;

bool Always() { return true; }
bool Never() { return false; }
void DoNothing(const keyvol::RoundKeys&, const keyvol::SectorRun&) {}

// Right but for the last byte of a run, when it encrypts.
void EncryptAlmost(const keyvol::RoundKeys& keys, const keyvol::SectorRun& run) {
  keyvol::kAesNiKernel.encrypt(keys, run);
  std::byte& last = run.to[run.sectors * run.sector_bytes - 1];
  last ^= std::byte{1};
}

constexpr WideKernel kLazy = {"lazy", Always, DoNothing, DoNothing};
constexpr WideKernel kAbsent = {"absent", Never, DoNothing, DoNothing};
const WideKernel kAlmost = {"almost", Always, EncryptAlmost, keyvol::kAesNiKernel.decrypt};

// Each thread has sectors of its own, and knows what they encrypt to.
void UseCipher(XtsCipher& cipher, uint64_t first_sector) {
  std::array<std::byte, 5 * keyvol::kSectorBytes> plain;
  plain.fill(static_cast<std::byte>(first_sector));
  auto expected = plain;
  cipher.Encrypt(first_sector, expected);
  for (int round = Rounds(50); round > 0; --round) {
    auto data = plain;
    cipher.Encrypt(first_sector, data);
    Promise(data == expected, "the same sectors encrypt alike");
    cipher.Decrypt(first_sector, data);
    Promise(data == plain, "what was encrypted decrypts");
    decltype(data) apart;
    cipher.DecryptTo(first_sector, expected, apart);
    Promise(apart == plain, "what was encrypted decrypts to another place");
  }
}

void UseKernel(const std::string& kernel) {
  std::shared_ptr<Secret> key;
  MustBeOk(Secret::Random(keyvol::kXtsKeyBytes, &key));
  std::unique_ptr<XtsCipher> cipher;
  MustBeOk(XtsCipher::Create(*key, {.kernel = kernel}, &cipher));
  key.reset();
  std::vector<std::function<void()>> works;
  for (unsigned i = 0; i < kThreads; ++i) {
    works.push_back([&cipher, i] { UseCipher(*cipher, 1 + 100 * i); });
  }
  keyvol::threads::RunTogether(works);
}

void ChooseAmongBroken() {
  const WideKernel* const candidates[] = {&kAbsent, &kLazy, &kAlmost, &keyvol::kAesNiKernel};
  XtsKernels kernels;
  MustBeOk(ChooseKernel(candidates, nullptr, &kernels));
  Promise(kernels.chosen == "aesni", "the first that works is chosen");
  Promise(kernels.usable == std::vector<std::string>{"aesni", "openssl"}, "the others are not");
  Promise(kernels.failed == std::vector<std::string>{"lazy", "almost"}, "and are told");
  MustBeOk(ChooseKernel(candidates, "openssl", &kernels));
  Promise(kernels.chosen == "openssl", "the one that was asked for");
  const auto code_of = [&](const char* wanted) {
    return ChooseKernel(candidates, wanted, &kernels).code();
  };
  for (const char* name : {"absent", "lazy", "almost"}) {
    Promise(code_of(name) == Code::kUnsupported, "one that does not work is refused");
  }
  Promise(code_of("fast") == Code::kInvalidArgument, "one that there is not, too");
  MustBeOk(ChooseKernel({}, nullptr, &kernels));
  Promise(kernels.chosen == "openssl", "without any there is OpenSSL");
}

}  // namespace

int main() {
  ChooseAmongBroken();
  XtsKernels kernels;
  MustBeOk(keyvol::FindXtsKernels(&kernels));
  for (const std::string& kernel : kernels.usable) UseKernel(kernel);
}
