// One connection as a stream of bytes.
#ifndef KEYVOL_TRANSPORT_NBD_WIRE_H_
#define KEYVOL_TRANSPORT_NBD_WIRE_H_

#include <string.h>
#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "transport/nbd/protocol.h"
#include "unique_fd.h"

namespace keyvol::nbd {

// One thread receives and one sends at a time; the callers see to that. False from any of them
// means that the connection has ended, and nothing more will come or go.
class Wire {
 public:
  explicit Wire(UniqueFd fd) : fd_(std::move(fd)) {}
  ~Wire() { explicit_bzero(ahead_.data(), ahead_.size()); }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  bool Receive(std::span<std::byte> out);
  template <typename Message>
  bool ReceiveMessage(Message* message) {
    return Receive(std::as_writable_bytes(std::span(message, 1)));
  }
  // What has come already, and is taken by the next Receive.
  std::span<const std::byte> ahead() const {
    return std::span(ahead_).subspan(ahead_first_, ahead_end_ - ahead_first_);
  }
  // Takes what nobody wants to see.
  bool Skip(uint64_t length_bytes);

  // Up to kMaxParts, one after the other.
  bool Send(std::span<const std::span<const std::byte>> parts);
  bool Send(std::initializer_list<std::span<const std::byte>> parts) {
    return Send(std::span(parts.begin(), parts.size()));
  }

  // Both sides see the end; safe from any thread.
  void ShutDown();
  int fd() const { return fd_.get(); }

  static constexpr size_t kMaxParts = 16;

 private:
  // Many small requests in one receive; small, for it holds plaintext until the next one.
  static constexpr size_t kAheadBytes = 65536;

  // Reads at least one byte into `out`; 0 at the end of the connection.
  size_t ReceiveSome(std::span<std::byte> out);
  size_t TakeAhead(std::span<std::byte> out);

  const UniqueFd fd_;
  std::array<std::byte, kAheadBytes> ahead_;
  size_t ahead_first_ = 0;
  size_t ahead_end_ = 0;
};

}  // namespace keyvol::nbd

#endif  // KEYVOL_TRANSPORT_NBD_WIRE_H_
