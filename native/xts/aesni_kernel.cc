#if defined(__x86_64__)

#define KERNEL_TARGET "aes,avx"

#include "xts/wide_xts.h"

namespace keyvol {

namespace {

struct AesNi {
  using Vector = __m128i;
  static constexpr size_t kVectors = 8;

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

  KERNEL_INLINE static void ClearRegisters() { _mm256_zeroall(); }
};

bool IsSupported() { return __builtin_cpu_supports("aes") && __builtin_cpu_supports("avx"); }

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
