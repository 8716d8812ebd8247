// TLS on one side, the same bytes in the clear on the other.
#ifndef KEYVOL_TRANSPORT_TLS_TUNNEL_H_
#define KEYVOL_TRANSPORT_TLS_TUNNEL_H_

#include <openssl/ssl.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>

#include "transport/tls/credentials.h"
#include "unique_fd.h"

namespace keyvol::tls {

// Of one connection, for one thread.
class Tunnel {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  // Takes the socket of a client that is about to begin its handshake.
  Tunnel(UniqueFd outer, std::shared_ptr<const Credentials> credentials);
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // False when the client is not who may come in, does not speak TLS, or is not done in time.
  bool Handshake(Deadline deadline);
  // Carries bytes to and from `inner`, a stream socket, until one side has ended.
  void Carry(UniqueFd inner);

 private:
  // As much as TLS puts into one record.
  using Room = std::array<std::byte, 16384>;
  struct Way {
    Room room;
    std::span<std::byte> left;  // of room, not yet passed on
  };
  enum class Moved { kSome, kNone, kEnd };

  Moved Inwards(int inner);
  Moved Outwards(int inner);
  // What a call of SSL that did nothing wants, into wants_; kEnd when it failed.
  Moved Wants(int result);
  bool AwaitOuter(Deadline deadline);
  // False when there is nothing more to wait for. Once the inner side has ended, `linger` is until
  // when the outer one gets the rest.
  bool AwaitEither(int inner, std::optional<Deadline>* linger);

  const UniqueFd outer_;
  const std::shared_ptr<const Credentials> credentials_;
  SSL* const ssl_;
  short wants_ = 0;  // of poll(2)
  Way inwards_;
  Way outwards_;
};

}  // namespace keyvol::tls

#endif  // KEYVOL_TRANSPORT_TLS_TUNNEL_H_
