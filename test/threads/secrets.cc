// Key memory and ciphers, shared by threads: each secret is its owner's alone, starts as zeros, and
// a cipher gives the same to all who use it at once.
#include <algorithm>
#include <array>

#include "secret/secret.h"
#include "threads/threads.h"
#include "xts/xts.h"

namespace {

using keyvol::kSectorBytes;
using keyvol::Promise;
using keyvol::Secret;
using keyvol::XtsCipher;
using keyvol::threads::MustBeOk;
using keyvol::threads::Random;
using keyvol::threads::Rounds;

constexpr unsigned kThreads = 4;

bool AllAre(const Secret& secret, std::byte value) {
  const auto bytes = secret.bytes();
  return std::all_of(bytes.begin(), bytes.end(), [value](std::byte b) { return b == value; });
}

void TakeAndReturn(unsigned thread) {
  Random random(thread);
  const auto mark = static_cast<std::byte>(thread + 1);
  std::vector<std::shared_ptr<Secret>> owned(20);
  for (int round = Rounds(2000); round > 0; --round) {
    std::shared_ptr<Secret>& secret = owned[random.Below(owned.size())];
    if (secret) Promise(AllAre(*secret, mark), "nobody else writes a secret");
    if (random.Chance(2)) {
      secret.reset();
    } else {
      MustBeOk(Secret::Allocate(1 + random.Below(300), &secret));
      Promise(AllAre(*secret, std::byte{0}), "a fresh secret is zeros");
      std::fill(secret->bytes().begin(), secret->bytes().end(), mark);
    }
  }
}

void UseCipher(XtsCipher& cipher, unsigned thread) {
  std::array<std::byte, 4 * kSectorBytes> data;
  for (int round = Rounds(100); round > 0; --round) {
    data.fill(static_cast<std::byte>(round));
    cipher.Encrypt(thread, data);
    cipher.Decrypt(thread, data);
    Promise(std::all_of(data.begin(), data.end(),
                        [round](std::byte b) { return b == static_cast<std::byte>(round); }),
            "what was encrypted decrypts");
  }
}

void MakeCiphers(const Secret& key) {
  for (int round = Rounds(20); round > 0; --round) {
    std::unique_ptr<XtsCipher> cipher;
    MustBeOk(XtsCipher::Create(key, &cipher));
    UseCipher(*cipher, 0);
  }
}

}  // namespace

int main() {
  std::shared_ptr<Secret> key;
  MustBeOk(Secret::Random(64, &key));
  std::unique_ptr<XtsCipher> cipher;
  MustBeOk(XtsCipher::Create(*key, &cipher));
  std::vector<std::function<void()>> works;
  for (unsigned i = 0; i < kThreads; ++i) {
    works.push_back([i] { TakeAndReturn(i); });
    works.push_back([&cipher, i] { UseCipher(*cipher, i); });
  }
  works.push_back([&key] { MakeCiphers(*key); });
  keyvol::threads::RunTogether(works);
}
