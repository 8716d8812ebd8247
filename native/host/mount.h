// Filesystems on directories: mount, unmount, sync, freeze, thaw, page cache. Needs root.
#ifndef KEYVOL_HOST_MOUNT_H_
#define KEYVOL_HOST_MOUNT_H_

#include <string>

#include "status.h"
#include "unique_fd.h"

namespace keyvol {

struct MountRequest {
  std::string source;
  std::string directory;
  std::string filesystem;
  bool read_only;
  std::string options;  // the filesystem's own, comma-separated
};

// mount(2), always nosuid and nodev.
Status MountFilesystem(const MountRequest& request);

// kBusy while files on it are open; `lazy` takes it out of the tree at once all the same.
// kInvalidArgument when nothing is mounted there.
Status UnmountFilesystem(const std::string& directory, bool lazy);

// Every request that waits on the FUSE filesystem mounted on `directory` ends with an error, for
// ever: for one whose server is dead or dying. Ok where nothing is mounted.
Status AbortFuseMount(const std::string& directory);

// A mount of its own, in no tree, of the filesystem that `source` has mounted on `directory`: it
// reaches the filesystem whatever becomes of the other one, which it does not keep busy. Touches
// nothing of what is mounted. kNotFound when `source` is not mounted there.
Status OpenRoot(const std::string& directory, const std::string& source, UniqueFd* root);

// syncfs(2): everything written to the filesystem that holds `directory` is durable.
Status SyncFilesystem(const std::string& directory);

// On an OpenRoot. FIFREEZE writes out what is dirty and makes writers wait; FITHAW lets them go on.
// kBusy when already frozen, kInvalidArgument when not frozen.
Status FreezeFilesystem(const UniqueFd& root);
Status ThawFilesystem(const UniqueFd& root);

// Whether files can be made there, by making one that has no name: kReadOnly or kIo after the
// filesystem has given up. Waits while it is frozen.
Status CheckFilesystem(const std::string& directory);

// Drops every clean page, directory entry and inode of the host (the kernel has nothing finer
// that also reaches the caches of a filesystem mounted on a loop device).
Status DropCaches();

}  // namespace keyvol

#endif  // KEYVOL_HOST_MOUNT_H_
