// What the compilers' own __builtin_cpu_supports does not know everywhere.
#ifndef KEYVOL_XTS_CPU_H_
#define KEYVOL_XTS_CPU_H_

#include <cpuid.h>

namespace keyvol {

// Whether the system keeps wide registers is for the caller to ask:
// "avx2" or "avx512f".
inline bool HasVaes() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  return (ecx & bit_VAES) != 0;
}

}  // namespace keyvol

#endif  // KEYVOL_XTS_CPU_H_
