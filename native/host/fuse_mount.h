// Makes and ends FUSE mounts. Who serves them is the caller's business: only descriptors leave.
#ifndef KEYVOL_HOST_FUSE_MOUNT_H_
#define KEYVOL_HOST_FUSE_MOUNT_H_

#include <string>
#include <vector>

#include "status.h"
#include "unique_fd.h"

namespace keyvol {

struct FuseMountRequest {
  std::string directory;
  int descriptors;  // how many to make, the first and its clones
  bool allow_other;
  size_t max_read_bytes;
};

// Mounts on an existing directory, shown in /proc/mounts as `keyvol <directory> fuse.keyvol`
// with default_permissions, nosuid and nodev; as root by mount(2), else through fusermount3.
// kUnsupported when /dev/fuse or fusermount3 is missing or not accessible.
Status MountFuse(const FuseMountRequest& request, std::vector<UniqueFd>* fds);

// Unmounts. When files on it are open: detaches it lazily and aborts the connection, so that
// whoever serves it ends (ENODEV) and whoever uses it gets errors. An ordinary user can abort only
// where fusectl is mounted; elsewhere the connection ends with its last user. Not mounted is ok.
Status UnmountFuse(const std::string& directory);

// Unmounts, unless files on it are open: kBusy, and nothing changes. Not mounted is ok.
Status UnmountIdleFuse(const std::string& directory);

}  // namespace keyvol

#endif  // KEYVOL_HOST_FUSE_MOUNT_H_
