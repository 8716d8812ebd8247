// What the holder does to the host for a daemon (the MountHost of src/device/addon.ts). Each can
// wait on disks that the daemon serves, or nobody while it is dead.
#ifndef KEYVOL_TRANSPORT_FUSE_HOLDER_HOST_OPERATIONS_H_
#define KEYVOL_TRANSPORT_FUSE_HOLDER_HOST_OPERATIONS_H_

#include <string>
#include <vector>

#include "status.h"
#include "unique_fd.h"

namespace keyvol::fuse {

// `fields` names the operation and gives its arguments; *result is the empty string but for
// attachLoop. kInvalidArgument for what there is not.
Status DoOnHost(const std::vector<std::string>& fields, std::string* result);

// freezeFilesystem and thawFilesystem, on the root that the holder keeps.
constexpr char kFreeze[] = "freezeFilesystem";
constexpr char kThaw[] = "thawFilesystem";
Status DoOnRoot(const std::string& operation, const UniqueFd& root);

}  // namespace keyvol::fuse

#endif  // KEYVOL_TRANSPORT_FUSE_HOLDER_HOST_OPERATIONS_H_
