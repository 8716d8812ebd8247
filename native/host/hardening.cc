#include "host/hardening.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "unique_fd.h"

namespace keyvol {

namespace {

constexpr int kMappedAllocationBytes = 128 * 1024;

}  // namespace

Status HardenProcess() {
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return Status::FromErrno(errno, "make the process undumpable");
  }
  const struct rlimit no_core = {0, 0};
  if (setrlimit(RLIMIT_CORE, &no_core) != 0) return Status::FromErrno(errno, "forbid core dumps");
  umask(077);
  return Status::Ok();
}

void KeepAliveUnderPressure() {
  // Set once, glibc does not raise it any more with what is freed: each thread's arena would keep,
  // in pieces, the headers that it has read.
  mallopt(M_MMAP_THRESHOLD, kMappedAllocationBytes);
  if (geteuid() != 0) return;
  static_cast<void>(prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0));
  const UniqueFd fd(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  if (fd.valid()) static_cast<void>(!write(fd.get(), "-1000", 5));
}

int64_t BootTimeMs() {
  struct timespec now = {};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

}  // namespace keyvol
