// What a process does to itself before it meets a key.
#ifndef KEYVOL_HOST_HARDENING_H_
#define KEYVOL_HOST_HARDENING_H_

#include <cstdint>

#include "status.h"

namespace keyvol {

// No core dump, no ptrace by other processes of the same user, files readable by the owner only:
// PR_SET_DUMPABLE 0, RLIMIT_CORE 0 (hard limit too), umask 077.
Status HardenProcess();

// CLOCK_BOOTTIME: milliseconds since boot, time asleep included, that no clock change moves.
int64_t BootTimeMs();

}  // namespace keyvol

#endif  // KEYVOL_HOST_HARDENING_H_
