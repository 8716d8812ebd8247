// Unix sockets between this process and a child that serves one connection.
#ifndef KEYVOL_HOST_LOCAL_SOCKET_H_
#define KEYVOL_HOST_LOCAL_SOCKET_H_

#include <cstddef>
#include <span>
#include <string>

#include "status.h"
#include "unique_fd.h"

namespace keyvol {

// A listening socket for a child that must accept, and the one connection to it, which waits there.
// The socket has the name `path` only for the moment that this takes, so that nobody else finds it.
Status ConnectedListener(const std::string& path, UniqueFd* listener, UniqueFd* client);

// Fills `out`. kIo where the other end closes or breaks first, kBusy where nothing arrives
// for `patience_ms`.
Status Receive(int fd, std::span<std::byte> out, int patience_ms);

}  // namespace keyvol

#endif  // KEYVOL_HOST_LOCAL_SOCKET_H_
