// Sockets that other hosts can reach.
#ifndef KEYVOL_HOST_TCP_SOCKET_H_
#define KEYVOL_HOST_TCP_SOCKET_H_

#include <cstdint>
#include <string>

#include "status.h"
#include "unique_fd.h"

namespace keyvol {

// `address` is a numeric IPv4 or IPv6 address; port 0 is any that is free. kBusy when the port is
// taken, kInvalidArgument for what is no address of this host.
Status ListenOnTcp(const std::string& address, uint16_t port, UniqueFd* socket);
// The port that a listening socket has.
Status PortOf(const UniqueFd& socket, uint16_t* port);
// Of who is at the other end, without its port; empty when it is gone.
std::string PeerAddressOf(const UniqueFd& socket);
// A connection notices within minutes that its other end is gone without a word.
void KeepAlive(const UniqueFd& socket);

}  // namespace keyvol

#endif  // KEYVOL_HOST_TCP_SOCKET_H_
