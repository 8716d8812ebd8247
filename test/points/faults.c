// A library for LD_PRELOAD that makes system calls of this process fail: those on files and names of
// the filesystem that KEYVOL_FAULT_ROOT is the root of, and the memory of the addon. What fails, and
// when, stands in the file KEYVOL_FAULT_CONTROL, a struct Control that both sides change.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

enum Class {
  kOpen = 1,
  kMake = 2,  // an open that makes a file
  kRead = 4,
  kWrite = 8,
  kSync = 16,
  kSize = 32,
  kNames = 64,
  kLook = 128,
  kList = 256,
  kMemory = 512,
};

struct Control {
  _Atomic int32_t armed;
  uint32_t classes;
  // 0: the call does half of what was asked.
  int32_t error;
  // Every call from the nth on, instead of the nth alone.
  int32_t sticky;
  int64_t nth;
  _Atomic int64_t calls;
  _Atomic int64_t hits;
  // The first call that was hit, for messages.
  char what[256];
};

static struct Control* control;
static char root[PATH_MAX];
static size_t root_length;
static dev_t root_device;

__attribute__((constructor)) static void Start(void) {
  const char* given = getenv("KEYVOL_FAULT_ROOT");
  const char* path = getenv("KEYVOL_FAULT_CONTROL");
  struct stat status;
  if (given == NULL || path == NULL || realpath(given, root) == NULL) return;
  if (syscall(SYS_newfstatat, AT_FDCWD, root, &status, 0) != 0) return;
  root_length = strlen(root);
  root_device = status.st_dev;
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* memory = (void*)syscall(SYS_mmap, NULL, sizeof(struct Control), PROT_READ | PROT_WRITE,
                                MAP_SHARED, fd, 0);
  syscall(SYS_close, fd);
  if (memory != MAP_FAILED) control = memory;
}

// Whether this call is to fail. `text` says which it is.
static int IsDue(enum Class class, const char* call, const char* text) {
  if (control == NULL || !control->armed || (control->classes & class) == 0) return 0;
  const int64_t number = atomic_fetch_add(&control->calls, 1) + 1;
  if (number != control->nth && !(control->sticky && number > control->nth)) return 0;
  if (atomic_fetch_add(&control->hits, 1) == 0) {
    snprintf(control->what, sizeof control->what, "%s %s", call, text);
  }
  errno = control->error;
  return 1;
}

static int IsBelow(const char* path) {
  return root_length > 0 && path != NULL && strncmp(path, root, root_length) == 0 &&
         (path[root_length] == '/' || path[root_length] == '\0');
}

static int IsPathDue(enum Class class, const char* call, const char* path) {
  return IsBelow(path) && IsDue(class, call, path + root_length);
}

static int IsFileDue(enum Class class, const char* call, int fd) {
  struct stat status;
  if (control == NULL || !control->armed || (control->classes & class) == 0) return 0;
  if (syscall(SYS_fstat, fd, &status) != 0 || status.st_dev != root_device) return 0;
  char link_path[64];
  char path[PATH_MAX] = "";
  snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
  if (syscall(SYS_readlink, link_path, path, sizeof path - 1) < 0) return 0;
  return IsDue(class, call, IsBelow(path) ? path + root_length : path);
}

// Only what the addon itself asks for.
static int IsMemoryDue(const char* call, void* caller) {
  Dl_info info;
  if (control == NULL || !control->armed || (control->classes & kMemory) == 0) return 0;
  if (dladdr(caller, &info) == 0 || strstr(info.dli_fname, "keyvol.node") == NULL) return 0;
  return IsDue(kMemory, call, "of the addon");
}

// ---- names ----

static int Open(int directory, const char* path, int flags, mode_t mode) {
  const int makes = (flags & (O_CREAT | O_TRUNC)) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  if (IsPathDue(makes ? kMake : kOpen, "open", path)) return -1;
  return (int)syscall(SYS_openat, directory, path, flags, mode);
}

#define OPEN_MODE(flags)                                              \
  mode_t mode = 0;                                                    \
  if (((flags) & O_CREAT) != 0 || ((flags) & O_TMPFILE) == O_TMPFILE) { \
    va_list arguments;                                                \
    va_start(arguments, flags);                                       \
    mode = (mode_t)va_arg(arguments, unsigned int);                   \
    va_end(arguments);                                                \
  }

int open(const char* path, int flags, ...) {
  OPEN_MODE(flags)
  return Open(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  OPEN_MODE(flags)
  return Open(AT_FDCWD, path, flags, mode);
}
int openat(int directory, const char* path, int flags, ...) {
  OPEN_MODE(flags)
  return Open(directory, path, flags, mode);
}
int openat64(int directory, const char* path, int flags, ...) {
  OPEN_MODE(flags)
  return Open(directory, path, flags, mode);
}

int mkdir(const char* path, mode_t mode) {
  if (IsPathDue(kNames, "mkdir", path)) return -1;
  return (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}
int unlink(const char* path) {
  if (IsPathDue(kNames, "unlink", path)) return -1;
  return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}
int rename(const char* from, const char* to) {
  if (IsPathDue(kNames, "rename", from)) return -1;
  return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int link(const char* from, const char* to) {
  if (IsPathDue(kNames, "link", to)) return -1;
  return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int linkat(int from_directory, const char* from, int to_directory, const char* to, int flags) {
  if (IsPathDue(kNames, "linkat", to)) return -1;
  return (int)syscall(SYS_linkat, from_directory, from, to_directory, to, flags);
}

int stat64(const char* path, struct stat64* status) {
  if (IsPathDue(kLook, "stat", path)) return -1;
  return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, 0);
}
int stat(const char* path, struct stat* status) {
  if (IsPathDue(kLook, "stat", path)) return -1;
  return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, 0);
}
int lstat64(const char* path, struct stat64* status) {
  if (IsPathDue(kLook, "lstat", path)) return -1;
  return (int)syscall(SYS_newfstatat, AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW);
}
int fstat(int fd, struct stat* status) {
  if (IsFileDue(kLook, "fstat", fd)) return -1;
  return (int)syscall(SYS_fstat, fd, status);
}
int fstat64(int fd, struct stat64* status) {
  if (IsFileDue(kLook, "fstat", fd)) return -1;
  return (int)syscall(SYS_fstat, fd, status);
}
int statx(int directory, const char* path, int flags, unsigned mask, struct statx* status) {
  if (path[0] == '\0' ? IsFileDue(kLook, "statx", directory) : IsPathDue(kLook, "statx", path)) {
    return -1;
  }
  return (int)syscall(SYS_statx, directory, path, flags, mask, status);
}
int __xstat64(int version, const char* path, struct stat64* status) {
  (void)version;
  return stat64(path, status);
}
int statfs64(const char* path, struct statfs64* status) {
  if (IsPathDue(kLook, "statfs", path)) return -1;
  return (int)syscall(SYS_statfs, path, status);
}
DIR* opendir(const char* path) {
  static DIR* (*next)(const char*);
  if (IsPathDue(kList, "opendir", path)) return NULL;
  if (next == NULL) next = (DIR * (*)(const char*))(uintptr_t)dlsym(RTLD_NEXT, "opendir");
  return next(path);
}
int scandir64(const char* path, struct dirent64*** entries,
              int (*filter)(const struct dirent64*),
              int (*compare)(const struct dirent64**, const struct dirent64**)) {
  typedef int (*Scan)(const char*, struct dirent64***, int (*)(const struct dirent64*),
                      int (*)(const struct dirent64**, const struct dirent64**));
  if (IsPathDue(kList, "scandir", path)) return -1;
  return ((Scan)(uintptr_t)dlsym(RTLD_NEXT, "scandir64"))(path, entries, filter, compare);
}

// ---- data ----

// `*length` is halved for a call that is to do only a part. True when the call is to fail.
static int Disturbs(enum Class class, const char* call, int fd, size_t* length) {
  if (control == NULL || !control->armed) return 0;
  if (control->error == 0 && *length < 2) return 0;
  if (!IsFileDue(class, call, fd)) return 0;
  if (control->error != 0) return 1;
  *length /= 2;
  return 0;
}

ssize_t read(int fd, void* bytes, size_t length) {
  if (Disturbs(kRead, "read", fd, &length)) return -1;
  return syscall(SYS_read, fd, bytes, length);
}
ssize_t pread(int fd, void* bytes, size_t length, off_t at) {
  if (Disturbs(kRead, "pread", fd, &length)) return -1;
  return syscall(SYS_pread64, fd, bytes, length, at);
}
ssize_t pread64(int fd, void* bytes, size_t length, off64_t at) {
  return pread(fd, bytes, length, at);
}
ssize_t write(int fd, const void* bytes, size_t length) {
  if (Disturbs(kWrite, "write", fd, &length)) return -1;
  return syscall(SYS_write, fd, bytes, length);
}
ssize_t pwrite(int fd, const void* bytes, size_t length, off_t at) {
  if (Disturbs(kWrite, "pwrite", fd, &length)) return -1;
  return syscall(SYS_pwrite64, fd, bytes, length, at);
}
ssize_t pwrite64(int fd, const void* bytes, size_t length, off64_t at) {
  return pwrite(fd, bytes, length, at);
}

// All but the last bytes are left out by shortening to the first part.
static ssize_t Vectored(enum Class class, const char* call, long number, int fd,
                        const struct iovec* parts, int count, off_t at) {
  size_t length = count > 0 ? parts[0].iov_len : 0;
  const size_t whole = length;
  if (Disturbs(class, call, fd, &length)) return -1;
  if (length == whole) return syscall(number, fd, parts, count, at, 0);
  const struct iovec part = {parts[0].iov_base, length};
  return syscall(number, fd, &part, 1, at, 0);
}
ssize_t preadv(int fd, const struct iovec* parts, int count, off_t at) {
  return Vectored(kRead, "preadv", SYS_preadv, fd, parts, count, at);
}
ssize_t preadv64(int fd, const struct iovec* parts, int count, off64_t at) {
  return preadv(fd, parts, count, at);
}
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t at) {
  return Vectored(kWrite, "pwritev", SYS_pwritev, fd, parts, count, at);
}
ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t at) {
  return pwritev(fd, parts, count, at);
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
  return Vectored(kWrite, "writev", SYS_writev, fd, parts, count, 0);
}

int ftruncate(int fd, off_t size) {
  if (IsFileDue(kSize, "ftruncate", fd)) return -1;
  return (int)syscall(SYS_ftruncate, fd, size);
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }
int fallocate(int fd, int mode, off_t at, off_t length) {
  if (IsFileDue(kSize, "fallocate", fd)) return -1;
  return (int)syscall(SYS_fallocate, fd, mode, at, length);
}
int fallocate64(int fd, int mode, off64_t at, off64_t length) {
  return fallocate(fd, mode, at, length);
}
int posix_fallocate(int fd, off_t at, off_t length) {
  return fallocate(fd, 0, at, length) == 0 ? 0 : errno;
}
int posix_fallocate64(int fd, off64_t at, off64_t length) {
  return posix_fallocate(fd, at, length);
}

int fsync(int fd) {
  if (IsFileDue(kSync, "fsync", fd)) return -1;
  return (int)syscall(SYS_fsync, fd);
}
int fdatasync(int fd) {
  if (IsFileDue(kSync, "fdatasync", fd)) return -1;
  return (int)syscall(SYS_fdatasync, fd);
}
int syncfs(int fd) {
  if (IsFileDue(kSync, "syncfs", fd)) return -1;
  return (int)syscall(SYS_syncfs, fd);
}

// ---- memory ----

void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t at) {
  if (fd >= 0 ? IsFileDue(kMemory, "mmap", fd)
              : IsMemoryDue("mmap", __builtin_return_address(0))) {
    return MAP_FAILED;
  }
  return (void*)syscall(SYS_mmap, address, length, protection, flags, fd, at);
}
void* mmap64(void* address, size_t length, int protection, int flags, int fd, off64_t at) {
  if (fd >= 0 ? IsFileDue(kMemory, "mmap", fd)
              : IsMemoryDue("mmap", __builtin_return_address(0))) {
    return MAP_FAILED;
  }
  return (void*)syscall(SYS_mmap, address, length, protection, flags, fd, at);
}
int mlock(const void* address, size_t length) {
  if (IsMemoryDue("mlock", __builtin_return_address(0))) return -1;
  return (int)syscall(SYS_mlock, address, length);
}
