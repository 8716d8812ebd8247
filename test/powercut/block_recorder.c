// A plug-in of nbdkit: a disk in a file, every write and flush of which is written down. One
// request is served at a time, and logged before it is answered, so that the log's order is the
// order in which things happened; others may append marks to the log in between.
//
// Parameters: disk=FILE log=FILE.
#define NBDKIT_API_VERSION 2
#include <errno.h>
#include <fcntl.h>
#include <nbdkit-plugin.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "recorder.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_SERIALIZE_ALL_REQUESTS

static int disk_fd = -1;
static int log_fd = -1;

static int Append(struct Record record, const void* payload) {
  record.file = 1;
  const struct iovec parts[] = {{&record, sizeof record},
                                {(void*)(uintptr_t)payload, record.first_bytes}};
  const size_t total = sizeof record + record.first_bytes;
  const ssize_t done = writev(log_fd, parts, 2);
  if (done >= 0 && (size_t)done == total) return 0;
  nbdkit_error("cannot write the log: %m");
  nbdkit_set_error(EIO);
  return -1;
}

static int Configure(const char* key, const char* value) {
  if (strcmp(key, "disk") == 0) {
    disk_fd = open(value, O_RDWR | O_CLOEXEC);
    if (disk_fd >= 0) return 0;
  } else if (strcmp(key, "log") == 0) {
    log_fd = open(value, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (log_fd >= 0) return 0;
  }
  nbdkit_error("%s=%s: %m", key, value);
  return -1;
}

static int ConfigureEnd(void) {
  if (disk_fd >= 0 && log_fd >= 0) return 0;
  nbdkit_error("disk=FILE log=FILE are needed");
  return -1;
}

static void* Open(int readonly) {
  (void)readonly;
  return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t SizeOf(void* handle) {
  (void)handle;
  struct stat status;
  return fstat(disk_fd, &status) == 0 ? status.st_size : -1;
}

static int Read(void* handle, void* bytes, uint32_t count, uint64_t offset, uint32_t flags) {
  (void)handle, (void)flags;
  const ssize_t done = pread(disk_fd, bytes, count, (off_t)offset);
  if (done >= 0 && (uint32_t)done == count) return 0;
  nbdkit_error("cannot read the disk: %m");
  return -1;
}

static int Write(void* handle, const void* bytes, uint32_t count, uint64_t offset,
                 uint32_t flags) {
  (void)handle, (void)flags;
  const ssize_t done = pwrite(disk_fd, bytes, count, (off_t)offset);
  if (done >= 0 && (uint32_t)done == count) {
    return Append((struct Record){.kind = kWrite, .first_bytes = count, .first = offset}, bytes);
  }
  nbdkit_error("cannot write the disk: %m");
  return -1;
}

// The disk itself need not be flushed: nobody cuts its power.
static int Flush(void* handle, uint32_t flags) {
  (void)handle, (void)flags;
  return Append((struct Record){.kind = kSync}, NULL);
}

static struct nbdkit_plugin plugin = {
    .name = "recorder",
    .config = Configure,
    .config_complete = ConfigureEnd,
    .open = Open,
    .get_size = SizeOf,
    .pread = Read,
    .pwrite = Write,
    .flush = Flush,
};

NBDKIT_REGISTER_PLUGIN(plugin)
