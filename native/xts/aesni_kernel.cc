#if defined(__x86_64__)

#define KERNEL_TARGET "aes,pclmul,avx"

#include "xts/wide_xts.h"

namespace keyvol {

namespace {

struct AesNi {
  using Vector = __m128i;
  static constexpr int kVectors = 8;

  KERNEL_INLINE static Vector Load(const void* bytes) {
    return _mm_loadu_si128(static_cast<const Vector*>(bytes));
  }
  KERNEL_INLINE static void Store(void* bytes, Vector v) {
    _mm_storeu_si128(static_cast<Vector*>(bytes), v);
  }
  KERNEL_INLINE static Vector Broadcast(const void* block) { return Load(block); }
  KERNEL_INLINE static Vector Xor(Vector a, Vector b) { return _mm_xor_si128(a, b); }
  KERNEL_INLINE static Vector Xor3(Vector a, Vector b, Vector c) { return Xor(a, Xor(b, c)); }
  KERNEL_INLINE static Vector Encrypt(Vector v, Vector key) { return _mm_aesenc_si128(v, key); }
  KERNEL_INLINE static Vector EncryptLast(Vector v, Vector key) {
    return _mm_aesenclast_si128(v, key);
  }
  KERNEL_INLINE static Vector Decrypt(Vector v, Vector key) { return _mm_aesdec_si128(v, key); }
  KERNEL_INLINE static Vector DecryptLast(Vector v, Vector key) {
    return _mm_aesdeclast_si128(v, key);
  }

  // t × x^8.
  KERNEL_INLINE static Vector Advance(Vector t) {
    const Vector carried = _mm_clmulepi64_si128(_mm_bsrli_si128(t, 15), Reduction(), 0x00);
    return Xor(_mm_bslli_si128(t, 1), carried);
  }

  // t × x^0 to x^7.
  KERNEL_INLINE static void Powers(Vector t, Vector (&powers)[kVectors]) {
    powers[0] = t;
#pragma GCC unroll 8
    for (int i = 1; i < kVectors; ++i) {
      const Vector carried = _mm_srli_epi64(t, 64 - i);
      powers[i] = Xor3(_mm_slli_epi64(t, i), _mm_bslli_si128(carried, 8),
                       _mm_clmulepi64_si128(carried, Reduction(), 0x01));
    }
  }

  KERNEL_INLINE static void ClearRegisters() { _mm256_zeroall(); }

 private:
  KERNEL_INLINE static Vector Reduction() { return _mm_set1_epi64x(0x87); }
};

bool IsSupported() {
  return __builtin_cpu_supports("aes") && __builtin_cpu_supports("pclmul") &&
         __builtin_cpu_supports("avx");
}

KERNEL_FUNCTION void EncryptRun(const RoundKeys& keys, const SectorRun& run) {
  WideXts<AesNi>::Transform<true>(keys, run);
}

KERNEL_FUNCTION void DecryptRun(const RoundKeys& keys, const SectorRun& run) {
  WideXts<AesNi>::Transform<false>(keys, run);
}

}  // namespace

const WideKernel kAesNiKernel = {"aesni", IsSupported, EncryptRun, DecryptRun};

}  // namespace keyvol

#endif  // __x86_64__
