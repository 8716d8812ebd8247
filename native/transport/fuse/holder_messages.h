// What a daemon and the holder of its mount say to each other: packets (host/packets.h) of fields
// that NULs separate, the first of which is the verb. A daemon of another version may be at the
// other end, so a verb never changes its meaning.
#ifndef KEYVOL_TRANSPORT_FUSE_HOLDER_MESSAGES_H_
#define KEYVOL_TRANSPORT_FUSE_HOLDER_MESSAGES_H_

#include <string>
#include <vector>

#include "status.h"

namespace keyvol::fuse {

// To the holder. `claim` and `adopt` make the connection that of the daemon: the mount is its own
// until the connection ends.
//   claim DIRECTORY DESCRIPTORS ALLOW_OTHER MAX_READ  mounts, unless it is mounted
//   adopt DIRECTORY                                   with the ledger and the mount's descriptors
//   unmount                                           from the daemon; the holder ends
// From anybody, each on a connection of its own, answered when it is done:
//   do OPERATION ARGUMENT…                            (holder/host_operations.h)
//   settle                                            waits for the operations under way
//   frozen                                            answers with the filesystems that a daemon
//                                                     froze and did not begin to thaw:
//                                                     DIRECTORY SOURCE …
//   keep DIRECTORY SOURCE                             one that was frozen through a holder before
//   release                                           when no daemon is there, and no file of the
//                                                     mount open: unmounts, and the holder ends
constexpr char kClaim[] = "claim";
constexpr char kAdopt[] = "adopt";
constexpr char kUnmount[] = "unmount";
constexpr char kDo[] = "do";
constexpr char kSettle[] = "settle";
constexpr char kFrozen[] = "frozen";
constexpr char kKeep[] = "keep";
constexpr char kRelease[] = "release";

// To the daemon. The ledger and the mount's descriptors come with `mounted` and `kept`.
//   done [RESULT…]
//   mounted              this claim has mounted it
//   kept                 it was mounted, for a daemon before
//   failed CODE ERRNO MESSAGE
constexpr char kDone[] = "done";
constexpr char kMounted[] = "mounted";
constexpr char kKept[] = "kept";
constexpr char kFailed[] = "failed";

std::string Joined(const std::vector<std::string>& fields);
std::vector<std::string> Fields(const std::string& packet);

std::string MessageOf(const Status& failure);
// Of a `failed` message; anything else is kInternal.
Status StatusOf(const std::vector<std::string>& fields);

}  // namespace keyvol::fuse

#endif  // KEYVOL_TRANSPORT_FUSE_HOLDER_MESSAGES_H_
