// fusermount3, the setuid helper through which an ordinary user mounts FUSE.
#ifndef KEYVOL_HOST_FUSERMOUNT_H_
#define KEYVOL_HOST_FUSERMOUNT_H_

#include <string>

#include "status.h"
#include "unique_fd.h"

namespace keyvol {

// Runs `fusermount3 -o <options> -- <directory>`; *fd becomes the mounted /dev/fuse. kUnsupported
// when the helper is missing, kPermission with its own words when it refuses.
Status MountByFusermount(const std::string& options, const std::string& directory, UniqueFd* fd);

// Runs `fusermount3 -u`, with -z when lazy. kBusy when it fails.
Status UnmountByFusermount(const std::string& directory, bool lazy);

}  // namespace keyvol

#endif  // KEYVOL_HOST_FUSERMOUNT_H_
