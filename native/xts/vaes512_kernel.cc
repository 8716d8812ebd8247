#if defined(__x86_64__)

// The "undefined" operands in GCC 12's own headers look uninitialised to it (GCC bug 105593).
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define KERNEL_TARGET "aes,vaes,avx2,avx512f,avx512bw,avx512vl"

#include "xts/cpu.h"
#include "xts/wide_xts.h"

namespace keyvol {

namespace {

struct Vaes512 {
  using Vector = __m512i;
  static constexpr size_t kVectors = 4;

  KERNEL_INLINE static Vector Load(const void* bytes) { return _mm512_loadu_si512(bytes); }
  KERNEL_INLINE static void Store(void* bytes, Vector v) { _mm512_storeu_si512(bytes, v); }
  KERNEL_INLINE static Vector Broadcast(const void* block) {
    return _mm512_broadcast_i32x4(_mm_loadu_si128(static_cast<const __m128i*>(block)));
  }
  KERNEL_INLINE static Vector Xor(Vector a, Vector b) { return _mm512_xor_si512(a, b); }
  KERNEL_INLINE static Vector Xor3(Vector a, Vector b, Vector c) {
    return _mm512_ternarylogic_epi64(a, b, c, 0x96);
  }
  KERNEL_INLINE static Vector Encrypt(Vector v, Vector key) { return _mm512_aesenc_epi128(v, key); }
  KERNEL_INLINE static Vector EncryptLast(Vector v, Vector key) {
    return _mm512_aesenclast_epi128(v, key);
  }
  KERNEL_INLINE static Vector Decrypt(Vector v, Vector key) { return _mm512_aesdec_epi128(v, key); }
  KERNEL_INLINE static Vector DecryptLast(Vector v, Vector key) {
    return _mm512_aesdeclast_epi128(v, key);
  }

  KERNEL_INLINE static void ClearRegisters() {
    _mm256_zeroall();
    asm volatile(
        "vpxord %%xmm16, %%xmm16, %%xmm16\n\t"
        "vpxord %%xmm17, %%xmm17, %%xmm17\n\t"
        "vpxord %%xmm18, %%xmm18, %%xmm18\n\t"
        "vpxord %%xmm19, %%xmm19, %%xmm19\n\t"
        "vpxord %%xmm20, %%xmm20, %%xmm20\n\t"
        "vpxord %%xmm21, %%xmm21, %%xmm21\n\t"
        "vpxord %%xmm22, %%xmm22, %%xmm22\n\t"
        "vpxord %%xmm23, %%xmm23, %%xmm23\n\t"
        "vpxord %%xmm24, %%xmm24, %%xmm24\n\t"
        "vpxord %%xmm25, %%xmm25, %%xmm25\n\t"
        "vpxord %%xmm26, %%xmm26, %%xmm26\n\t"
        "vpxord %%xmm27, %%xmm27, %%xmm27\n\t"
        "vpxord %%xmm28, %%xmm28, %%xmm28\n\t"
        "vpxord %%xmm29, %%xmm29, %%xmm29\n\t"
        "vpxord %%xmm30, %%xmm30, %%xmm30\n\t"
        "vpxord %%xmm31, %%xmm31, %%xmm31"
        :
        :
        : "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",
          "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31");
  }
};

bool IsSupported() {
  return HasVaes() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl");
}

KERNEL_FUNCTION void EncryptRun(const RoundKeys& keys, const SectorRun& run) {
  WideXts<Vaes512>::Transform<true>(keys, run);
}

KERNEL_FUNCTION void DecryptRun(const RoundKeys& keys, const SectorRun& run) {
  WideXts<Vaes512>::Transform<false>(keys, run);
}

}  // namespace

const WideKernel kVaes512Kernel = {"vaes512", IsSupported, EncryptRun, DecryptRun};

}  // namespace keyvol

#endif  // __x86_64__
