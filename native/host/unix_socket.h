// Sockets that are files.
#ifndef KEYVOL_HOST_UNIX_SOCKET_H_
#define KEYVOL_HOST_UNIX_SOCKET_H_

#include <sys/socket.h>

#include <string>

#include "status.h"
#include "unique_fd.h"

namespace keyvol {

// A listening socket of mode 0600 at `path`, in place of what a dead process left there. `type` is
// SOCK_STREAM or SOCK_SEQPACKET.
Status ListenOnUnixSocket(const std::string& path, int type, UniqueFd* socket);
// kNotFound when nobody listens there.
Status ConnectToUnixSocket(const std::string& path, int type, UniqueFd* socket);
// Whether the process at the other end ran as our user, or as root, when it connected.
bool IsPeerTrusted(const UniqueFd& socket);

}  // namespace keyvol

#endif  // KEYVOL_HOST_UNIX_SOCKET_H_
