#include "host/mount.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>

#include "unique_fd.h"

namespace keyvol {

namespace {

Status ErrnoStatus(const std::string& what) {
  if (errno == EINVAL) {
    return Status::Error(Code::kInvalidArgument, Status::FromErrno(EINVAL, what).message(), EINVAL);
  }
  return Status::FromErrno(errno, what);
}

Status OpenDirectory(const std::string& directory, UniqueFd* fd) {
  *fd = UniqueFd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  return fd->valid() ? Status::Ok() : Status::FromErrno(errno, "open " + directory);
}

}  // namespace

Status MountFilesystem(const MountRequest& request) {
  const unsigned long flags = MS_NOSUID | MS_NODEV | (request.read_only ? MS_RDONLY : 0);
  if (mount(request.source.c_str(), request.directory.c_str(), request.filesystem.c_str(), flags,
            request.options.c_str()) == 0) {
    return Status::Ok();
  }
  return ErrnoStatus("mount " + request.source + " (" + request.filesystem + ") on " +
                     request.directory);
}

Status UnmountFilesystem(const std::string& directory, bool lazy) {
  if (umount2(directory.c_str(), UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0) {
    return Status::Ok();
  }
  return ErrnoStatus("unmount " + directory);
}

Status AbortFuseMount(const std::string& directory) {
  // The connection is aborted first, whether or not the unmount itself is refused.
  if (umount2(directory.c_str(), UMOUNT_NOFOLLOW | MNT_FORCE) == 0) return Status::Ok();
  if (errno == EBUSY || errno == EINVAL || errno == ENOENT) return Status::Ok();
  return ErrnoStatus("abort " + directory);
}

Status SyncFilesystem(const std::string& directory) {
  UniqueFd fd;
  RETURN_IF_ERROR(OpenDirectory(directory, &fd));
  return syncfs(fd.get()) == 0 ? Status::Ok() : Status::FromErrno(errno, "sync " + directory);
}

Status FreezeFilesystem(const std::string& directory) {
  UniqueFd fd;
  RETURN_IF_ERROR(OpenDirectory(directory, &fd));
  return ioctl(fd.get(), FIFREEZE, 0) == 0 ? Status::Ok() : ErrnoStatus("freeze " + directory);
}

Status ThawFilesystem(const std::string& directory) {
  UniqueFd fd;
  RETURN_IF_ERROR(OpenDirectory(directory, &fd));
  return ioctl(fd.get(), FITHAW, 0) == 0 ? Status::Ok() : ErrnoStatus("thaw " + directory);
}

Status DropCaches() {
  const UniqueFd fd(open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return Status::FromErrno(errno, "open /proc/sys/vm/drop_caches");
  if (write(fd.get(), "3", 1) != 1) return Status::FromErrno(errno, "drop the page cache");
  return Status::Ok();
}

}  // namespace keyvol
