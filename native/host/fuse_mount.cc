#include "host/fuse_mount.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "host/fusermount.h"

namespace keyvol {

namespace {

constexpr char kDevice[] = "/dev/fuse";

Status OpenDevice(UniqueFd* fd) {
  *fd = UniqueFd(open(kDevice, O_RDWR | O_CLOEXEC));
  if (fd->valid()) return Status::Ok();
  return Status::Error(Code::kUnsupported, "/dev/fuse is missing or not accessible (" +
                                               Status::FromErrno(errno, "open").message() + ")");
}

std::string CommonOptions(const FuseMountRequest& request) {
  std::string options = "default_permissions,max_read=" + std::to_string(request.max_read_bytes);
  if (request.allow_other) options += ",allow_other";
  return options;
}

Status MountAsRoot(const FuseMountRequest& request, UniqueFd* fd) {
  RETURN_IF_ERROR(OpenDevice(fd));
  const std::string options =
      "fd=" + std::to_string(fd->get()) + ",rootmode=40000,user_id=" + std::to_string(geteuid()) +
      ",group_id=" + std::to_string(getegid()) + "," + CommonOptions(request);
  if (mount("keyvol", request.directory.c_str(), "fuse.keyvol", MS_NOSUID | MS_NODEV,
            options.c_str()) == 0) {
    return Status::Ok();
  }
  if (errno == ENODEV) {
    return Status::Error(Code::kUnsupported, "this kernel has no FUSE (modprobe fuse)");
  }
  return Status::FromErrno(errno, "mount FUSE on " + request.directory);
}

Status MountAsUser(const FuseMountRequest& request, UniqueFd* fd) {
  return MountByFusermount("fsname=keyvol,subtype=keyvol," + CommonOptions(request),
                           request.directory, fd);
}

// A second descriptor of the same connection, with requests of its own under way: what one
// thread has taken does not contend with what another has.
Status Clone(const UniqueFd& fd, UniqueFd* clone) {
  RETURN_IF_ERROR(OpenDevice(clone));
  uint32_t source = static_cast<uint32_t>(fd.get());
  if (ioctl(clone->get(), FUSE_DEV_IOC_CLONE, &source) == 0) return Status::Ok();
  return Status::FromErrno(errno, "clone a FUSE descriptor");
}

// The minor number of the mount's device, which names its connection; 0 if it cannot be had.
// Asks only what the kernel knows, since the server may no longer answer.
unsigned ConnectionOf(const std::string& directory) {
  struct statx attributes = {};
  const int flags = AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT;
  if (statx(AT_FDCWD, directory.c_str(), flags, STATX_TYPE, &attributes) != 0) return 0;
  return attributes.stx_dev_minor;
}

// Best effort: where fusectl is not mounted, the connection ends with its last user instead.
void Abort(unsigned connection) {
  const std::string path = "/sys/fs/fuse/connections/" + std::to_string(connection) + "/abort";
  const UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.valid()) static_cast<void>(!write(fd.get(), "1", 1));
}

Status UnmountAsRoot(const std::string& directory) {
  if (umount2(directory.c_str(), UMOUNT_NOFOLLOW) == 0 || errno == EINVAL) return Status::Ok();
  if (errno != EBUSY) return Status::FromErrno(errno, "unmount " + directory);
  // For FUSE, MNT_FORCE is what aborts the connection.
  if (umount2(directory.c_str(), UMOUNT_NOFOLLOW | MNT_FORCE | MNT_DETACH) == 0) {
    return Status::Ok();
  }
  return Status::FromErrno(errno, "unmount " + directory);
}

Status UnmountAsUser(const std::string& directory) {
  const unsigned connection = ConnectionOf(directory);
  if (UnmountByFusermount(directory, false).ok()) return Status::Ok();
  RETURN_IF_ERROR(UnmountByFusermount(directory, true));
  Abort(connection);
  return Status::Ok();
}

}  // namespace

Status MountFuse(const FuseMountRequest& request, std::vector<UniqueFd>* fds) {
  UniqueFd first;
  RETURN_IF_ERROR(geteuid() == 0 ? MountAsRoot(request, &first) : MountAsUser(request, &first));
  fds->push_back(std::move(first));
  while (fds->size() < static_cast<size_t>(request.descriptors)) {
    UniqueFd clone;
    const Status status = Clone(fds->front(), &clone);
    if (!status.ok()) {
      static_cast<void>(UnmountFuse(request.directory));  // the first failure is the one to tell
      return status;
    }
    fds->push_back(std::move(clone));
  }
  return Status::Ok();
}

Status UnmountIdleFuse(const std::string& directory) {
  if (geteuid() != 0) return UnmountByFusermount(directory, false);
  if (umount2(directory.c_str(), UMOUNT_NOFOLLOW) == 0 || errno == EINVAL) return Status::Ok();
  return Status::FromErrno(errno, "unmount " + directory);
}

Status UnmountFuse(const std::string& directory) {
  return geteuid() == 0 ? UnmountAsRoot(directory) : UnmountAsUser(directory);
}

}  // namespace keyvol
