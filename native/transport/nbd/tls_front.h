// What a client is told before it speaks TLS: that it has to.
#ifndef KEYVOL_TRANSPORT_NBD_TLS_FRONT_H_
#define KEYVOL_TRANSPORT_NBD_TLS_FRONT_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>

#include "transport/nbd/protocol.h"
#include "transport/tls/tunnel.h"

namespace keyvol::nbd {

// Serves one connection up to its TLS handshake. Knows nothing of exports: nothing of them can be
// asked before. What is sent in the clear behind the request for TLS ends the connection, so that
// nobody on the way can slip in what would then count as the client's.
class TlsFront {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  explicit TlsFront(UniqueFd client) : client_(std::move(client)) {}

  // The client's flags; false when it is not let in, or not in time.
  bool Run(std::shared_ptr<const tls::Credentials> credentials, Deadline deadline, uint32_t* flags);
  // Afterwards: as Tunnel::Carry.
  void Carry(UniqueFd inner) { tunnel_->Carry(std::move(inner)); }

 private:
  // Receives not a byte more than asked for.
  bool Receive(std::span<std::byte> out, Deadline deadline);
  template <typename Message>
  bool ReceiveMessage(Message* message, Deadline deadline) {
    return Receive(std::as_writable_bytes(std::span(message, 1)), deadline);
  }
  bool Send(std::span<const std::byte> bytes);
  bool Reply(uint32_t option, uint32_t type);
  bool Skip(uint64_t length_bytes, Deadline deadline);

  UniqueFd client_;
  std::unique_ptr<tls::Tunnel> tunnel_;
};

}  // namespace keyvol::nbd

#endif  // KEYVOL_TRANSPORT_NBD_TLS_FRONT_H_
