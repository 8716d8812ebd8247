#include "host/loop.h"

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <cstring>

#include "unique_fd.h"

namespace keyvol {

namespace {

constexpr int kLoopMajor = 7;
// Each lost race means that someone else got a device, so this many losses are no accident.
constexpr int kAttempts = 64;

// Without udev nobody makes the node of a device that LOOP_CTL_GET_FREE has just added.
Status MakeMissingNode(const std::string& device, int number) {
  if (mknod(device.c_str(), S_IFBLK | 0600, makedev(kLoopMajor, number)) == 0 || errno == EEXIST) {
    return Status::Ok();
  }
  return Status::FromErrno(errno, "make " + device);
}

Status OpenFreeLoop(const UniqueFd& control, bool read_only, UniqueFd* loop, std::string* device) {
  const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
  if (number < 0) return Status::FromErrno(errno, "find a free loop device");
  *device = "/dev/loop" + std::to_string(number);
  RETURN_IF_ERROR(MakeMissingNode(*device, number));
  *loop = UniqueFd(open(device->c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
  return loop->valid() ? Status::Ok() : Status::FromErrno(errno, "open " + *device);
}

struct loop_config ConfigOf(const UniqueFd& file, const std::string& path, bool read_only,
                            uint32_t sector_bytes) {
  struct loop_config config = {};
  config.fd = static_cast<__u32>(file.get());
  config.block_size = sector_bytes;
  config.info.lo_flags = LO_FLAGS_DIRECT_IO | (read_only ? LO_FLAGS_READ_ONLY : 0);
  strncpy(reinterpret_cast<char*>(config.info.lo_file_name), path.c_str(), LO_NAME_SIZE - 1);
  return config;
}

}  // namespace

Status AttachLoop(const std::string& path, bool read_only, uint32_t sector_bytes,
                  std::string* device) {
  const UniqueFd control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control.valid()) return Status::FromErrno(errno, "open /dev/loop-control");
  const UniqueFd file(open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC));
  if (!file.valid()) return Status::FromErrno(errno, "open " + path);

  const struct loop_config config = ConfigOf(file, path, read_only, sector_bytes);
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    UniqueFd loop;
    RETURN_IF_ERROR(OpenFreeLoop(control, read_only, &loop, device));
    if (ioctl(loop.get(), LOOP_CONFIGURE, &config) == 0) return Status::Ok();
    // EBUSY: another process took the device between GET_FREE and CONFIGURE.
    if (errno != EBUSY) return Status::FromErrno(errno, "put " + *device + " on " + path);
  }
  return Status::Error(Code::kBusy, "no free loop device for " + path);
}

Status GrowLoop(const std::string& device, const std::string& path) {
  struct stat now {};
  if (stat(path.c_str(), &now) != 0) return Status::FromErrno(errno, "stat " + path);
  const UniqueFd loop(open(device.c_str(), O_RDONLY | O_CLOEXEC));
  if (!loop.valid()) return Status::FromErrno(errno, "open " + device);
  if (ioctl(loop.get(), LOOP_SET_CAPACITY) == 0) return Status::Ok();
  return Status::FromErrno(errno, "grow " + device);
}

Status DetachLoop(const std::string& device) {
  const UniqueFd loop(open(device.c_str(), O_RDONLY | O_CLOEXEC));
  if (!loop.valid()) return Status::FromErrno(errno, "open " + device);
  if (ioctl(loop.get(), LOOP_CLR_FD) == 0 || errno == ENXIO) return Status::Ok();
  return Status::FromErrno(errno, "detach " + device);
}

}  // namespace keyvol
