// XTS over runs of sectors, for any width of vector. Included once by each kernel's own file, which
// defines KERNEL_TARGET first; everything here is a copy of that file's own, compiled for its
// instructions, and uses nothing that another file could be given instead.
//
// What makes it fast: the tweaks of 16 sectors are encrypted together, so that short sectors do
// not wait for 14 rounds each; as many blocks are under way as the processor's AES units can
// take; and the vector units do next to nothing but AES, for the tweaks of the blocks are made
// beside it by the integer units, which would be idle, a few steps before they are used.
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
constexpr size_t kLastRound = RoundKeys::kRounds;

// The tweaks of the blocks of a sector, one after the other: IEEE 1619 section 5.2, times x in
// GF(2^128). What leaves at the top comes back as x^7 + x^2 + x + 1 (0x87).
struct TweakChain {
  uint64_t low = 0;
  uint64_t high = 0;

  KERNEL_INLINE void StartAt(const uint8_t* tweak) {
    __builtin_memcpy(&low, tweak, sizeof low);
    __builtin_memcpy(&high, tweak + sizeof low, sizeof high);
  }

  KERNEL_INLINE void PutNext(uint64_t* block) {
    block[0] = low;
    block[1] = high;
    const uint64_t carried = static_cast<uint64_t>(static_cast<int64_t>(high) >> 63) & 0x87;
    high = 2 * high + (low >> 63);
    low = (2 * low) ^ carried;
  }
};

// V is one width of vector: its type, its lanes (blocks of 16 bytes), how many are under way at
// once, and what can be done with them.
template <class V>
struct WideXts {
  using Vector = typename V::Vector;
  static constexpr int kVectors = V::kVectors;
  static constexpr size_t kStepBytes = kVectors * sizeof(Vector);
  static constexpr size_t kStepBlocks = kStepBytes / kBlockBytes;
  // The tweaks of a step are written as words and read as vectors, which has to wait until the
  // words are in the cache: so many steps lie between that no processor has both under way.
  static constexpr size_t kStepsAhead = 3;

  struct Step {
    uint64_t words[kStepBytes / sizeof(uint64_t)];
  };

  struct Tweaks {
    alignas(64) uint8_t sectors[kTweakBatch * kBlockBytes];
    Step steps[kStepsAhead + 1];
  };

  // The numbers of the sectors, encrypted under the tweak key: IEEE 1619 section 5.3, T before
  // the first multiplication. The tweak of a sector is its place in 512-byte units, in 128 bits,
  // since sector × 8 passes 2^64.
  KERNEL_INLINE static void MakeTweaks(const RoundKeys& keys, const SectorRun& run, size_t first,
                                       Tweaks& tweaks) {
    const unsigned shift = static_cast<unsigned>(__builtin_ctzll(run.sector_bytes / 512));
    auto* words = reinterpret_cast<uint64_t*>(tweaks.sectors);
    for (size_t i = 0; i < kTweakBatch; ++i) {
      const uint64_t sector = run.first_sector + first + i;
      words[2 * i] = sector << shift;
      words[2 * i + 1] = shift == 0 ? 0 : sector >> (64 - shift);
    }
    for (size_t at = 0; at < sizeof tweaks.sectors; at += kStepBytes) {
      Vector v[kVectors];
#pragma GCC unroll 8
      for (size_t i = 0; i < kVectors; ++i) {
        v[i] =
            V::Xor(V::Load(tweaks.sectors + at + i * sizeof(Vector)), V::Broadcast(keys.tweak[0]));
      }
      for (size_t round = 1; round < kLastRound; ++round) {
        const Vector key = V::Broadcast(keys.tweak[round]);
#pragma GCC unroll 8
        for (size_t i = 0; i < kVectors; ++i) v[i] = V::Encrypt(v[i], key);
      }
      const Vector key = V::Broadcast(keys.tweak[kLastRound]);
#pragma GCC unroll 8
      for (size_t i = 0; i < kVectors; ++i) {
        V::Store(tweaks.sectors + at + i * sizeof(Vector), V::EncryptLast(v[i], key));
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

  // The blocks of `data`, whose tweaks are `now`, and beside them the tweaks of a later step. The
  // round keys are read again for each step, which costs nothing beside the rounds: kept in
  // registers, the compiler would move some of them to the stack.
  template <bool kEncrypts>
  KERNEL_INLINE static void TransformStep(const RoundKeys::Schedule& keys, const Step& now,
                                          const std::byte* from, std::byte* to, TweakChain& chain,
                                          Step& later) {
    const auto* tweaks = reinterpret_cast<const uint8_t*>(now.words);
    Vector v[kVectors];
    const Vector first = V::Broadcast(keys[0]);
#pragma GCC unroll 8
    for (size_t i = 0; i < kVectors; ++i) {
      const size_t at = i * sizeof(Vector);
      v[i] = V::Xor3(V::Load(from + at), V::Load(tweaks + at), first);
    }
#pragma GCC unroll 16
    for (size_t round = 1; round < kLastRound; ++round) {
      const Vector key = V::Broadcast(keys[round]);
#pragma GCC unroll 8
      for (size_t i = 0; i < kVectors; ++i) v[i] = Round<kEncrypts>(v[i], key);
      constexpr size_t kRoundsBeside = kLastRound - 1;
#pragma GCC unroll 8
      for (size_t block = kStepBlocks * (round - 1) / kRoundsBeside;
           block < kStepBlocks * round / kRoundsBeside; ++block) {
        chain.PutNext(later.words + 2 * block);
      }
    }
    const Vector last = V::Broadcast(keys[kLastRound]);
#pragma GCC unroll 8
    for (size_t i = 0; i < kVectors; ++i) {
      const size_t at = i * sizeof(Vector);
      V::Store(to + at, LastRound<kEncrypts>(v[i], V::Xor(V::Load(tweaks + at), last)));
    }
  }

  // The chain runs kStepsAhead steps before the data, and past the end, where nothing is used.
  template <bool kEncrypts>
  KERNEL_INLINE static void Transform(const RoundKeys& keys, const SectorRun& run) {
    const RoundKeys::Schedule& schedule = kEncrypts ? keys.encrypt : keys.decrypt;
    const size_t steps = run.sectors * run.sector_bytes / kStepBytes;
    Tweaks tweaks;
    TweakChain chain;
    size_t sector = 0;
    size_t left_bytes = 0;
    size_t at = 0;
    for (size_t n = 0; n < steps + kStepsAhead; ++n, left_bytes -= kStepBytes) {
      if (left_bytes == 0) {
        if (sector % kTweakBatch == 0) MakeTweaks(keys, run, sector, tweaks);
        chain.StartAt(tweaks.sectors + sector % kTweakBatch * kBlockBytes);
        ++sector;
        left_bytes = run.sector_bytes;
      }
      Step& later = tweaks.steps[n % (kStepsAhead + 1)];
      if (n < kStepsAhead) {
        for (size_t i = 0; i < kStepBlocks; ++i) chain.PutNext(later.words + 2 * i);
        continue;
      }
      const Step& now = tweaks.steps[(n - kStepsAhead) % (kStepsAhead + 1)];
      TransformStep<kEncrypts>(schedule, now, run.from + at, run.to + at, chain, later);
      at += kStepBytes;
    }
    __builtin_memset(&tweaks, 0, sizeof tweaks);
    // The compiler must believe that someone reads the zeros.
    asm volatile("" : : "r"(&tweaks) : "memory");
    V::ClearRegisters();
  }
};

}  // namespace

}  // namespace keyvol

#endif  // KEYVOL_XTS_WIDE_XTS_H_
