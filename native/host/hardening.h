// What a process does to itself before it meets a key.
#ifndef KEYVOL_HOST_HARDENING_H_
#define KEYVOL_HOST_HARDENING_H_

#include <cstdint>

#include "status.h"

namespace keyvol {

// No core dump, no ptrace by other processes of the same user, files readable by the owner only:
// PR_SET_DUMPABLE 0, RLIMIT_CORE 0 (hard limit too), umask 077.
Status HardenProcess();

// For a process that others' memory waits for: the kernel writes pages out through it. Its own
// allocations never wait for such writes (PR_SET_IO_FLUSHER) and it is never killed for want of
// memory (oom_score_adj -1000). Memory is not locked as a whole, for that would pin all of V8's
// heap: what must not be paged, keys and request buffers, locks itself. Needs root with
// CAP_SYS_RESOURCE; elsewhere nothing changes.
void KeepAliveUnderPressure();

// CLOCK_BOOTTIME: milliseconds since boot, time asleep included, that no clock change moves.
int64_t BootTimeMs();

}  // namespace keyvol

#endif  // KEYVOL_HOST_HARDENING_H_
