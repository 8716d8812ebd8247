#include "host/mount.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

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

// The root of a mount, for ioctls.
Status ControlFilesystem(const UniqueFd& root, unsigned long request, const std::string& what) {
  const UniqueFd fd(openat(root.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return Status::FromErrno(errno, "open a filesystem to " + what + " it");
  return ioctl(fd.get(), request, 0) == 0 ? Status::Ok() : ErrnoStatus(what + " a filesystem");
}

// What is mounted there, by proc_pid_mountinfo(5): "36 35 98:0 /root /dir options … - type source
// …". Empty for what is no mount's root.
std::string SourceOf(const UniqueFd& directory) {
  struct statx found;
  if (statx(directory.get(), "", AT_EMPTY_PATH, STATX_MNT_ID, &found) != 0) return "";
  if ((found.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0) return "";
  std::ifstream mounts("/proc/self/mountinfo");
  const std::string id = std::to_string(found.stx_mnt_id) + " ";
  for (std::string line; std::getline(mounts, line);) {
    if (line.compare(0, id.size(), id) != 0) continue;
    std::istringstream fields(line.substr(line.find(" - ") + 3));
    std::string type, source;
    fields >> type >> source;
    return source;
  }
  return "";
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

Status OpenRoot(const std::string& directory, const std::string& source, UniqueFd* root) {
  const UniqueFd mounted(open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!mounted.valid()) return Status::FromErrno(errno, "open " + directory);
  if (SourceOf(mounted) != source) {
    return Status::Error(Code::kNotFound, source + " is not mounted on " + directory);
  }
  *root =
      UniqueFd(open_tree(mounted.get(), "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH));
  return root->valid() ? Status::Ok() : Status::FromErrno(errno, "keep hold of " + directory);
}

Status FreezeFilesystem(const UniqueFd& root) {
  return ControlFilesystem(root, FIFREEZE, "freeze");
}
Status ThawFilesystem(const UniqueFd& root) { return ControlFilesystem(root, FITHAW, "thaw"); }

Status CheckFilesystem(const std::string& directory) {
  const UniqueFd fd(open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  // What is full, or cannot make such files, has not given up.
  if (fd.valid() || errno == ENOSPC || errno == EDQUOT || errno == EOPNOTSUPP) return Status::Ok();
  return Status::FromErrno(errno, "make a file in " + directory);
}

Status DropCaches() {
  const UniqueFd fd(open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return Status::FromErrno(errno, "open /proc/sys/vm/drop_caches");
  if (write(fd.get(), "3", 1) != 1) return Status::FromErrno(errno, "drop the page cache");
  return Status::Ok();
}

}  // namespace keyvol
