// How fast AES-256-XTS is, one thread, sector by sector over 128 KiB: every kernel that works here
// beside OpenSSL and libgcrypt, each used as fast as its interface lets one. The implementations
// take turns; each line of output is one turn of one of them:
//   implementation sector_bytes direction bytes_per_second cycles_per_byte
#include "xts/xts.h"

#include <gcrypt.h>
#include <openssl/evp.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kRunBytes = 128 * 1024;
constexpr auto kTurn = std::chrono::milliseconds(40);

void Must(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "xts: %s\n", what);
  std::exit(1);
}

struct Contender {
  std::string name;
  std::function<void(std::span<std::byte> data)> transform;
};

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The clock now: a chain of multiplications, of which each takes three cycles on every x86-64
// processor since 2008.
double CyclesPerSecond() {
  constexpr int kSteps = 1'000'000;
  uint64_t value = 3;
  const auto start = Clock::now();
  for (int i = 0; i < kSteps; ++i) {
#if defined(__x86_64__)
    asm volatile("imulq %0, %0\n\timulq %0, %0\n\timulq %0, %0\n\timulq %0, %0" : "+r"(value));
#endif
  }
  return kSteps * 12.0 / SecondsSince(start);
}

std::shared_ptr<keyvol::Secret> BenchKey() {
  std::shared_ptr<keyvol::Secret> key;
  Must(keyvol::Secret::Random(keyvol::kXtsKeyBytes, &key).ok(), "no key");
  return key;
}

Contender Ours(const std::string& kernel, size_t sector_bytes, bool encrypt) {
  std::unique_ptr<keyvol::XtsCipher> made;
  Must(keyvol::XtsCipher::Create(*BenchKey(), {sector_bytes, kernel}, &made).ok(), "no cipher");
  std::shared_ptr<keyvol::XtsCipher> cipher = std::move(made);
  return {"keyvol " + kernel, [cipher, encrypt](std::span<std::byte> data) {
            encrypt ? cipher->Encrypt(7, data) : cipher->Decrypt(7, data);
          }};
}

void PutNumber(unsigned char (&tweak)[16], uint64_t number) {
  std::memset(tweak, 0, sizeof tweak);
  std::memcpy(tweak, &number, sizeof number);
}

Contender OpenSsl(size_t sector_bytes, bool encrypt) {
  std::shared_ptr<EVP_CIPHER_CTX> context(EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_free);
  const auto key = BenchKey();
  Must(EVP_CipherInit_ex(context.get(), EVP_aes_256_xts(), nullptr,
                         reinterpret_cast<const unsigned char*>(key->bytes().data()), nullptr,
                         encrypt ? 1 : 0) == 1,
       "openssl refuses the key");
  return {"OpenSSL", [context, sector_bytes](std::span<std::byte> data) {
            unsigned char tweak[16];
            auto* at = reinterpret_cast<unsigned char*>(data.data());
            for (size_t i = 0; i < data.size() / sector_bytes; ++i, at += sector_bytes) {
              int done = 0;
              PutNumber(tweak, i * (sector_bytes / 512));
              EVP_CipherInit_ex(context.get(), nullptr, nullptr, nullptr, tweak, -1);
              EVP_CipherUpdate(context.get(), at, &done, at, static_cast<int>(sector_bytes));
            }
          }};
}

Contender Libgcrypt(size_t sector_bytes, bool encrypt) {
  gcry_cipher_hd_t handle = nullptr;
  const auto key = BenchKey();
  Must(gcry_cipher_open(&handle, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_XTS, 0) == 0, "no libgcrypt");
  Must(gcry_cipher_setkey(handle, key->bytes().data(), key->length_bytes()) == 0, "no key");
  std::shared_ptr<gcry_cipher_handle> cipher(handle, gcry_cipher_close);
  return {"libgcrypt", [cipher, sector_bytes, encrypt](std::span<std::byte> data) {
            unsigned char tweak[16];
            std::byte* at = data.data();
            for (size_t i = 0; i < data.size() / sector_bytes; ++i, at += sector_bytes) {
              PutNumber(tweak, i * (sector_bytes / 512));
              gcry_cipher_setiv(cipher.get(), tweak, sizeof tweak);
              if (encrypt) {
                gcry_cipher_encrypt(cipher.get(), at, sector_bytes, nullptr, 0);
              } else {
                gcry_cipher_decrypt(cipher.get(), at, sector_bytes, nullptr, 0);
              }
            }
          }};
}

double BytesPerSecond(const Contender& contender, std::span<std::byte> data) {
  contender.transform(data);
  size_t bytes = 0;
  const auto start = Clock::now();
  while (Clock::now() - start < kTurn) {
    for (int i = 0; i < 8; ++i) contender.transform(data);
    bytes += 8 * data.size();
  }
  return static_cast<double>(bytes) / SecondsSince(start);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 9;
  Must(gcry_check_version(nullptr) != nullptr, "no libgcrypt");
  gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
  keyvol::XtsKernels kernels;
  Must(keyvol::FindXtsKernels(&kernels).ok(), "no kernel");
  std::vector<std::byte> memory(kRunBytes + 4096, std::byte{7});
  auto* aligned = reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(memory.data()) + 4095) /
                                               4096 * 4096);
  for (const size_t sector_bytes : {size_t{512}, size_t{4096}}) {
    for (const bool encrypt : {true, false}) {
      std::vector<Contender> contenders;
      for (const auto& name : kernels.usable)
        contenders.push_back(Ours(name, sector_bytes, encrypt));
      contenders.push_back(OpenSsl(sector_bytes, encrypt));
      contenders.push_back(Libgcrypt(sector_bytes, encrypt));
      for (int round = 0; round < rounds; ++round) {
        for (const Contender& contender : contenders) {
          const double clock = CyclesPerSecond();
          const double speed = BytesPerSecond(contender, {aligned, kRunBytes});
          std::printf("%s\t%zu\t%s\t%.0f\t%.4f\n", contender.name.c_str(), sector_bytes,
                      encrypt ? "encrypt" : "decrypt", speed, clock / speed);
        }
      }
    }
  }
}
