// A library for LD_PRELOAD that writes down, in one order for all threads, every operation below
// KEYVOL_RECORD_ROOT that a power cut can undo. Each is done and logged under one lock, so that
// the log's order is the order in which things happened.
//
// The log is KEYVOL_RECORD_LOG. Lines written to KEYVOL_RECORD_MARKS appear in it as marks;
// "!pause", "!resume" and "!reset-nonces" are orders to the recorder.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "recorder.h"

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static int paused = 1;
static dev_t root_device;
static uint64_t marks_file;

// Files that were opened below the root, an open-addressed set of inode numbers.
enum { kMostFiles = 1 << 20 };
static uint64_t files[kMostFiles];

void Fail(const char* what) {
  dprintf(2, "recorder: %s\n", what);
  abort();
}

static void Append(struct Record record, const void* first, const void* second) {
  if (paused) return;
  const struct iovec parts[] = {{&record, sizeof record},
                                {(void*)(uintptr_t)first, record.first_bytes},
                                {(void*)(uintptr_t)second, record.second_bytes}};
  const size_t total = sizeof record + record.first_bytes + record.second_bytes;
  const long done = syscall(SYS_writev, log_fd, parts, 3);
  if (done < 0 || (size_t)done != total) Fail("cannot write the log");
}

static void AppendText(enum Kind kind, const char* text, size_t length) {
  Append((struct Record){.kind = kind, .first_bytes = (uint32_t)length}, text, NULL);
}

void Violation(const char* what) { AppendText(kViolation, what, strlen(what)); }

static size_t SlotOf(uint64_t file) {
  size_t slot = (size_t)(file * 0x9e3779b97f4a7c15u) % kMostFiles;
  while (files[slot] != 0 && files[slot] != file) slot = (slot + 1) % kMostFiles;
  return slot;
}

uint64_t FileOf(int fd) {
  struct stat status;
  if (log_fd < 0 || fstat(fd, &status) != 0 || status.st_dev != root_device) return 0;
  return files[SlotOf(status.st_ino)] == status.st_ino ? status.st_ino : 0;
}

// Callers give absolute paths, or none of ours.
const char* Below(const char* path) {
  if (log_fd < 0 || path == NULL) return NULL;
  if (strncmp(path, root, root_length) != 0) return NULL;
  if (path[root_length] == '\0') return path + root_length;
  return path[root_length] == '/' ? path + root_length + 1 : NULL;
}

static void AppendPath(enum Kind kind, uint64_t file, const char* path) {
  const struct Record record = {
      .kind = kind, .first_bytes = (uint32_t)strlen(path), .file = file};
  Append(record, path, NULL);
}

static void AppendPaths(enum Kind kind, const char* from, const char* to) {
  const struct Record record = {.kind = kind,
                                .first_bytes = (uint32_t)strlen(from),
                                .second_bytes = (uint32_t)strlen(to)};
  Append(record, from, to);
}

static void AppendRange(enum Kind kind, uint64_t file, uint64_t first, uint64_t second) {
  Append((struct Record){.kind = kind, .file = file, .first = first, .second = second}, NULL, NULL);
}

__attribute__((constructor)) static void Start(void) {
  const char* given = getenv("KEYVOL_RECORD_ROOT");
  const char* log = getenv("KEYVOL_RECORD_LOG");
  if (given == NULL || log == NULL || realpath(given, root) == NULL) return;
  root_length = strlen(root);
  struct stat status;
  if (stat(root, &status) != 0) Fail("cannot look at the root");
  root_device = status.st_dev;
  log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0) Fail("cannot open the log");
}

// ---- names ----

static int OpenAndLog(int directory, const char* path, int flags, mode_t mode) {
  const char* below = Below(path);
  const char* marks = getenv("KEYVOL_RECORD_MARKS");
  const int is_marks = marks != NULL && path != NULL && strcmp(path, marks) == 0;
  if (below == NULL && !is_marks) {
    return (int)syscall(SYS_openat, directory, path, flags, mode);
  }
  pthread_mutex_lock(&lock);
  struct stat before;
  const int existed = lstat(path, &before) == 0;
  const int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
  const int error = errno;
  struct stat status;
  if (fd >= 0 && fstat(fd, &status) == 0) {
    files[SlotOf(status.st_ino)] = status.st_ino;
    if (is_marks) {
      marks_file = status.st_ino;
    } else {
      AppendPath(existed ? kOpen : kCreate, status.st_ino, below);
      if (existed && (flags & O_TRUNC) != 0) AppendRange(kTruncate, status.st_ino, 0, 0);
    }
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

#define OPEN_MODE(flags)                                   \
  mode_t mode = 0;                                         \
  if (((flags) & O_CREAT) != 0) {                          \
    va_list arguments;                                     \
    va_start(arguments, flags);                            \
    mode = (mode_t)va_arg(arguments, unsigned int);        \
    va_end(arguments);                                     \
  }

int open(const char* path, int flags, ...) {
  OPEN_MODE(flags)
  return OpenAndLog(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  OPEN_MODE(flags)
  return OpenAndLog(AT_FDCWD, path, flags | O_LARGEFILE, mode);
}
int openat(int directory, const char* path, int flags, ...) {
  OPEN_MODE(flags)
  return OpenAndLog(directory, path, flags, mode);
}
int openat64(int directory, const char* path, int flags, ...) {
  OPEN_MODE(flags)
  return OpenAndLog(directory, path, flags | O_LARGEFILE, mode);
}
int creat(const char* path, mode_t mode) {
  return OpenAndLog(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

static int Logged(int result, enum Kind kind, const char* path) {
  const int error = errno;
  const char* below = Below(path);
  if (result == 0 && below != NULL) AppendPath(kind, 0, below);
  errno = error;
  return result;
}

static int LoggedPair(int result, enum Kind kind, const char* from, const char* to) {
  const int error = errno;
  const char* below_from = Below(from);
  const char* below_to = Below(to);
  if (result == 0 && below_from != NULL && below_to != NULL) {
    AppendPaths(kind, below_from, below_to);
  } else if (result == 0 && (below_from != NULL || below_to != NULL)) {
    Violation("a name moved across the edge of the root");
  }
  errno = error;
  return result;
}

#define WITH_LOCK(type, call)       \
  pthread_mutex_lock(&lock);        \
  const type result = (call);       \
  pthread_mutex_unlock(&lock);      \
  return result;

int mkdir(const char* path, mode_t mode) {
  WITH_LOCK(int, Logged((int)syscall(SYS_mkdirat, AT_FDCWD, path, mode), kMkdir, path))
}
int unlink(const char* path) {
  WITH_LOCK(int, Logged((int)syscall(SYS_unlinkat, AT_FDCWD, path, 0), kUnlink, path))
}
int rmdir(const char* path) {
  WITH_LOCK(int, Logged((int)syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR), kUnlink, path))
}
int unlinkat(int directory, const char* path, int flags) {
  WITH_LOCK(int, Logged((int)syscall(SYS_unlinkat, directory, path, flags), kUnlink, path))
}
int remove(const char* path) {
  const int result = unlink(path);
  return result == 0 || errno != EISDIR ? result : rmdir(path);
}
int rename(const char* from, const char* to) {
  WITH_LOCK(int, LoggedPair((int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0), kRename,
                            from, to))
}
int link(const char* from, const char* to) {
  WITH_LOCK(int, LoggedPair((int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0), kLink, from,
                            to))
}
// ---- data ----

static void Obey(const char* text, size_t length);

static ssize_t WriteAndLog(int fd, const struct iovec* parts, int count, off_t at, int positioned) {
  uint64_t file = FileOf(fd);
  if (file == 0) {
    return positioned ? syscall(SYS_pwritev, fd, parts, count, at, 0)
                      : syscall(SYS_writev, fd, parts, count);
  }
  pthread_mutex_lock(&lock);
  struct stat status;
  const int appends = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
  fstat(fd, &status);
  off_t offset = positioned ? at : lseek(fd, 0, SEEK_CUR);
  if (appends) offset = status.st_size;
  const ssize_t done = positioned ? syscall(SYS_pwritev, fd, parts, count, at, 0)
                                  : syscall(SYS_writev, fd, parts, count);
  const int error = errno;
  size_t left = done > 0 ? (size_t)done : 0;
  for (int i = 0; i < count && left > 0; i++) {
    const size_t length = parts[i].iov_len < left ? parts[i].iov_len : left;
    if (file == marks_file) {
      Obey(parts[i].iov_base, length);
    } else {
      const struct Record record = {.kind = kWrite,
                                    .first_bytes = (uint32_t)length,
                                    .file = file,
                                    .first = (uint64_t)offset};
      Append(record, parts[i].iov_base, NULL);
    }
    offset += (off_t)length;
    left -= length;
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return done;
}

ssize_t write(int fd, const void* bytes, size_t length) {
  const struct iovec part = {(void*)(uintptr_t)bytes, length};
  return WriteAndLog(fd, &part, 1, 0, 0);
}
ssize_t pwrite(int fd, const void* bytes, size_t length, off_t at) {
  const struct iovec part = {(void*)(uintptr_t)bytes, length};
  return WriteAndLog(fd, &part, 1, at, 1);
}
ssize_t pwrite64(int fd, const void* bytes, size_t length, off64_t at) {
  return pwrite(fd, bytes, length, at);
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
  return WriteAndLog(fd, parts, count, 0, 0);
}
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t at) {
  return WriteAndLog(fd, parts, count, at, 1);
}
ssize_t pwritev64(int fd, const struct iovec* parts, int count, off64_t at) {
  return WriteAndLog(fd, parts, count, at, 1);
}

int ftruncate(int fd, off_t size) {
  const uint64_t file = FileOf(fd);
  pthread_mutex_lock(&lock);
  const int result = (int)syscall(SYS_ftruncate, fd, size);
  const int error = errno;
  if (result == 0 && file != 0) AppendRange(kTruncate, file, (uint64_t)size, 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

static void LogAllocation(uint64_t file, int mode, off_t at, off_t length) {
  if ((mode & (FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)) != 0) Violation("fallocate");
  if ((mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)) != 0) {
    AppendRange(kZero, file, (uint64_t)at, (uint64_t)length);
  }
  if ((mode & FALLOC_FL_KEEP_SIZE) == 0) AppendRange(kExtend, file, (uint64_t)(at + length), 0);
}

int fallocate(int fd, int mode, off_t at, off_t length) {
  const uint64_t file = FileOf(fd);
  pthread_mutex_lock(&lock);
  const int result = (int)syscall(SYS_fallocate, fd, mode, at, length);
  const int error = errno;
  if (result == 0 && file != 0) LogAllocation(file, mode, at, length);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
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

// ---- what makes things last ----

static int SyncAndLog(long call, int fd, enum Kind kind) {
  const uint64_t file = FileOf(fd);
  pthread_mutex_lock(&lock);
  const int result = (int)syscall(call, fd);
  const int error = errno;
  if (result == 0 && file != 0) AppendRange(kind, file, 0, 0);
  pthread_mutex_unlock(&lock);
  errno = error;
  return result;
}

int fsync(int fd) { return SyncAndLog(SYS_fsync, fd, kSync); }
int fdatasync(int fd) { return SyncAndLog(SYS_fdatasync, fd, kSync); }
int syncfs(int fd) { return SyncAndLog(SYS_syncfs, fd, kSyncAll); }

// ---- orders ----

static int Is(const char* text, size_t length, const char* order) {
  return length == strlen(order) && memcmp(text, order, length) == 0;
}

static void Obey(const char* text, size_t length) {
  if (Is(text, length, "!pause\n")) {
    paused = 1;
  } else if (Is(text, length, "!resume\n")) {
    paused = 0;
  } else if (Is(text, length, "!reset-nonces\n")) {
    ResetNonces();
  } else {
    AppendText(kMark, text, length);
  }
}
