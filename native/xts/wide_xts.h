// XTS over runs of sectors, for any width of vector. Included once by each kernel's own file, which
// defines KERNEL_TARGET first; everything here is a copy of that file's own, compiled for its
// instructions, and uses nothing that another file could be given instead.
//
// What makes it fast: the tweaks of 16 sectors are encrypted together, so that short sectors do
// not wait for 14 rounds each; as many blocks are under way as the processor's AES units can
// take; the first round key is folded into the tweak, the last one too.
#ifndef KEYVOL_XTS_WIDE_XTS_H_
#define KEYVOL_XTS_WIDE_XTS_H_

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "xts/kernels.h"

#define KERNEL_FUNCTION __attribute__((target(KERNEL_TARGET)))
#define KERNEL_INLINE __attribute__((target(KERNEL_TARGET), always_inline)) inline

namespace keyvol {

namespace {

constexpr size_t kBlockBytes = 16;
constexpr size_t kTweakBatch = 16;
constexpr int kLastRound = RoundKeys::kRounds;

// V is one width of vector: its type, its lanes (blocks of 16 bytes), how many are under way at
// once, and what can be done with them.
template <class V>
struct WideXts {
  using Vector = typename V::Vector;
  static constexpr int kVectors = V::kVectors;
  static constexpr size_t kStepBytes = kVectors * sizeof(Vector);

  struct Tweaks {
    alignas(64) uint8_t bytes[kTweakBatch * kBlockBytes];
  };

  // The numbers of the sectors, encrypted under the tweak key: IEEE 1619 section 5.3, T before
  // the first multiplication. The tweak of a sector is its place in 512-byte units, in 128 bits,
  // since sector × 8 passes 2^64.
  KERNEL_INLINE static void MakeTweaks(const RoundKeys& keys, const SectorRun& run, size_t first,
                                       Tweaks& tweaks) {
    const unsigned shift = static_cast<unsigned>(__builtin_ctzll(run.sector_bytes / 512));
    auto* words = reinterpret_cast<uint64_t*>(tweaks.bytes);
    for (size_t i = 0; i < kTweakBatch; ++i) {
      const uint64_t sector = run.first_sector + first + i;
      words[2 * i] = sector << shift;
      words[2 * i + 1] = shift == 0 ? 0 : sector >> (64 - shift);
    }
    for (size_t at = 0; at < sizeof tweaks.bytes; at += kStepBytes) {
      Vector v[kVectors];
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) {
        v[i] = V::Xor(V::Load(tweaks.bytes + at + i * sizeof(Vector)), V::Broadcast(keys.tweak[0]));
      }
      for (int round = 1; round < kLastRound; ++round) {
        const Vector key = V::Broadcast(keys.tweak[round]);
#pragma GCC unroll 8
        for (int i = 0; i < kVectors; ++i) v[i] = V::Encrypt(v[i], key);
      }
      const Vector key = V::Broadcast(keys.tweak[kLastRound]);
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) {
        V::Store(tweaks.bytes + at + i * sizeof(Vector), V::EncryptLast(v[i], key));
      }
    }
  }

  template <bool kEncrypts>
  KERNEL_INLINE static Vector Round(Vector v, Vector key) {
    return kEncrypts ? V::Encrypt(v, key) : V::Decrypt(v, key);
  }

  template <bool kEncrypts>
  KERNEL_INLINE static Vector LastRound(Vector v, Vector key) {
    return kEncrypts ? V::EncryptLast(v, key) : V::DecryptLast(v, key);
  }

  // The round keys are read again for each step, which costs nothing beside the rounds: kept in
  // registers, the compiler would move some of them to the stack.
  template <bool kEncrypts>
  KERNEL_INLINE static void TransformStep(const RoundKeys::Schedule& keys,
                                          const Vector (&t)[kVectors], std::byte* data) {
    Vector v[kVectors];
    const Vector first = V::Broadcast(keys[0]);
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) {
      v[i] = V::Xor3(V::Load(data + i * sizeof(Vector)), t[i], first);
    }
#pragma GCC unroll 16
    for (int round = 1; round < kLastRound; ++round) {
      const Vector key = V::Broadcast(keys[round]);
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) v[i] = Round<kEncrypts>(v[i], key);
    }
    const Vector last = V::Broadcast(keys[kLastRound]);
#pragma GCC unroll 8
    for (int i = 0; i < kVectors; ++i) {
      V::Store(data + i * sizeof(Vector), LastRound<kEncrypts>(v[i], V::Xor(t[i], last)));
    }
  }

  template <bool kEncrypts>
  KERNEL_INLINE static void TransformSector(const RoundKeys::Schedule& keys, const uint8_t* tweak,
                                            std::byte* data, size_t sector_bytes) {
    Vector t[kVectors];
    V::Powers(V::Broadcast(tweak), t);
    for (size_t at = 0; at < sector_bytes; at += kStepBytes) {
      TransformStep<kEncrypts>(keys, t, data + at);
#pragma GCC unroll 8
      for (int i = 0; i < kVectors; ++i) t[i] = V::Advance(t[i]);
    }
  }

  template <bool kEncrypts>
  KERNEL_INLINE static void Transform(const RoundKeys& keys, const SectorRun& run) {
    Tweaks tweaks;
    std::byte* data = run.data;
    for (size_t first = 0; first < run.sectors; first += kTweakBatch) {
      MakeTweaks(keys, run, first, tweaks);
      const size_t left = run.sectors - first;
      const size_t count = left < kTweakBatch ? left : kTweakBatch;
      for (size_t i = 0; i < count; ++i, data += run.sector_bytes) {
        TransformSector<kEncrypts>(kEncrypts ? keys.encrypt : keys.decrypt,
                                   tweaks.bytes + i * kBlockBytes, data, run.sector_bytes);
      }
    }
    __builtin_memset(tweaks.bytes, 0, sizeof tweaks.bytes);
    // The compiler must believe that someone reads the zeros.
    asm volatile("" : : "r"(tweaks.bytes) : "memory");
    V::ClearRegisters();
  }
};

}  // namespace

}  // namespace keyvol

#endif  // KEYVOL_XTS_WIDE_XTS_H_
