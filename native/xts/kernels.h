// The kernels that do XTS with the processor's AES instructions, and the choice among them.
#ifndef KEYVOL_XTS_KERNELS_H_
#define KEYVOL_XTS_KERNELS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "xts/round_keys.h"
#include "xts/xts.h"

namespace keyvol {

// Consecutive sectors, transformed in place.
struct SectorRun {
  uint64_t first_sector;
  size_t sector_bytes;    // 512 or 4096
  const std::byte* from;  // need not be aligned
  std::byte* to;          // the same as `from`, or apart from it
  size_t sectors;
};

// Constant time: no table, no branch on data. No round key is left on the stack or in a vector
// register.
struct WideKernel {
  const char* name;
  bool (*is_supported)();
  void (*encrypt)(const RoundKeys& keys, const SectorRun& run);
  void (*decrypt)(const RoundKeys& keys, const SectorRun& run);
};

// VAES and AVX-512: four blocks an instruction.
extern const WideKernel kVaes512Kernel;
// VAES and AVX2: two.
extern const WideKernel kVaes256Kernel;
// AES-NI and AVX: one.
extern const WideKernel kAesNiKernel;

// Of those that this program has, the fastest first; none where there is no x86-64.
std::span<const WideKernel* const> WideKernels();

// Judges `candidates`, and chooses: the first that works, or the one called `wanted` (null: any).
// Errors as FindXtsKernels. "openssl" is always there, as the last.
Status ChooseKernel(std::span<const WideKernel* const> candidates, const char* wanted,
                    XtsKernels* kernels);

}  // namespace keyvol

#endif  // KEYVOL_XTS_KERNELS_H_
