#if defined(__x86_64__)

#define KERNEL_TARGET "aes,vaes,avx2"

#include "xts/cpu.h"
#include "xts/wide_xts.h"

namespace keyvol {

namespace {

struct Vaes256 {
  using Vector = __m256i;
  static constexpr size_t kVectors = 4;

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

  KERNEL_INLINE static void ClearRegisters() { _mm256_zeroall(); }
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
