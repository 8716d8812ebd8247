// Packets with descriptors between processes of one host, over SOCK_SEQPACKET sockets.
#ifndef KEYVOL_HOST_PACKETS_H_
#define KEYVOL_HOST_PACKETS_H_

#include <chrono>
#include <span>
#include <string>
#include <vector>

#include "status.h"
#include "unique_fd.h"

namespace keyvol {

// Neither side sends more.
constexpr size_t kMaxPacketBytes = 32 * 1024;
constexpr size_t kMaxPacketFds = 32;

struct Packet {
  std::string bytes;
  std::vector<UniqueFd> fds;
};

// The other end gets descriptors of its own.
Status SendPacket(const UniqueFd& socket, const std::string& bytes, std::span<const int> fds = {});
// Waits for one, at most `timeout`. kNotFound when the other end is closed, kBusy when it is late.
Status ReceivePacket(const UniqueFd& socket, std::chrono::milliseconds timeout, Packet* packet);

}  // namespace keyvol

#endif  // KEYVOL_HOST_PACKETS_H_
