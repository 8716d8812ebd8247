// What changes files in ways that the recorder cannot follow.
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include "recorder.h"

int symlink(const char* target, const char* path) {
  if (Below(path) != NULL) Violation("symlink");
  return (int)syscall(SYS_symlinkat, target, AT_FDCWD, path);
}

int truncate(const char* path, off_t size) {
  if (Below(path) != NULL) Violation("truncate by path");
  return (int)syscall(SYS_truncate, path, size);
}

void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t at) {
  if (fd >= 0 && (protection & PROT_WRITE) != 0 && (flags & MAP_TYPE) != MAP_PRIVATE) {
    const uint64_t file = FileOf(fd);
    char link_path[64];
    char path[PATH_MAX] = "";
    snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
    if (file != 0 && readlink(link_path, path, sizeof path - 1) > 0 && strstr(path, "-shm") == NULL) {
      Violation("a shared writable mapping");
    }
  }
  return (void*)syscall(SYS_mmap, address, length, protection, flags, fd, at);
}
void* mmap64(void* address, size_t length, int protection, int flags, int fd, off64_t at) {
  return mmap(address, length, protection, flags, fd, at);
}
ssize_t sendfile64(int out, int in, off64_t* at, size_t length) {
  if (FileOf(out) != 0) Violation("sendfile");
  return syscall(SYS_sendfile, out, in, at, length);
}
ssize_t sendfile(int out, int in, off_t* at, size_t length) { return sendfile64(out, in, at, length); }
ssize_t copy_file_range(int in, off64_t* in_at, int out, off64_t* out_at, size_t length,
                        unsigned flags) {
  if (FileOf(out) != 0) Violation("copy_file_range");
  return syscall(SYS_copy_file_range, in, in_at, out, out_at, length, flags);
}
