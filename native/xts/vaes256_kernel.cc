#if defined(__x86_64__)

#define KERNEL_TARGET "aes,vaes,vpclmulqdq,pclmul,avx2"

#include "xts/cpu.h"
#include "xts/wide_xts.h"

namespace keyvol {

namespace {

struct Vaes256 {
  using Vector = __m256i;
  static constexpr int kVectors = 4;

  KERNEL_INLINE static Vector Load(const void* bytes) {
    return _mm256_loadu_si256(static_cast<const Vector*>(bytes));
  }
  KERNEL_INLINE static void Store(void* bytes, Vector v) {
    _mm256_storeu_si256(static_cast<Vector*>(bytes), v);
  }
  KERNEL_INLINE static Vector Broadcast(const void* block) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(static_cast<const __m128i*>(block)));
  }
  KERNEL_INLINE static Vector Xor(Vector a, Vector b) { return _mm256_xor_si256(a, b); }
  KERNEL_INLINE static Vector Xor3(Vector a, Vector b, Vector c) { return Xor(a, Xor(b, c)); }
  KERNEL_INLINE static Vector Encrypt(Vector v, Vector key) { return _mm256_aesenc_epi128(v, key); }
  KERNEL_INLINE static Vector EncryptLast(Vector v, Vector key) {
    return _mm256_aesenclast_epi128(v, key);
  }
  KERNEL_INLINE static Vector Decrypt(Vector v, Vector key) { return _mm256_aesdec_epi128(v, key); }
  KERNEL_INLINE static Vector DecryptLast(Vector v, Vector key) {
    return _mm256_aesdeclast_epi128(v, key);
  }

  // t × x^8.
  KERNEL_INLINE static Vector Advance(Vector t) {
    const Vector carried = _mm256_clmulepi64_epi128(_mm256_bsrli_epi128(t, 15), Reduction(), 0x00);
    return Xor(_mm256_bslli_epi128(t, 1), carried);
  }

  // t × x^0 to x^7: lane n of vector i times x^(2i + n).
  KERNEL_INLINE static void Powers(Vector t, Vector (&powers)[kVectors]) {
    Vector left = _mm256_set_epi64x(1, 1, 0, 0);
    Vector right = _mm256_set_epi64x(63, 63, 64, 64);
    const Vector two = _mm256_set1_epi64x(2);
#pragma GCC unroll 4
    for (int i = 0; i < kVectors; ++i) {
      const Vector carried = _mm256_srlv_epi64(t, right);
      powers[i] = Xor3(_mm256_sllv_epi64(t, left), _mm256_bslli_epi128(carried, 8),
                       _mm256_clmulepi64_epi128(carried, Reduction(), 0x01));
      left = _mm256_add_epi64(left, two);
      right = _mm256_sub_epi64(right, two);
    }
  }

  KERNEL_INLINE static void ClearRegisters() { _mm256_zeroall(); }

 private:
  KERNEL_INLINE static Vector Reduction() { return _mm256_set1_epi64x(0x87); }
};

bool IsSupported() { return HasVaes() && __builtin_cpu_supports("avx2"); }

KERNEL_FUNCTION void EncryptRun(const RoundKeys& keys, const SectorRun& run) {
  WideXts<Vaes256>::Transform<true>(keys, run);
}

KERNEL_FUNCTION void DecryptRun(const RoundKeys& keys, const SectorRun& run) {
  WideXts<Vaes256>::Transform<false>(keys, run);
}

}  // namespace

const WideKernel kVaes256Kernel = {"vaes256", IsSupported, EncryptRun, DecryptRun};

}  // namespace keyvol

#endif  // __x86_64__
