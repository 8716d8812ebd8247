// One FUSE request, the reply to it, and the function that turns the first into the second.
#ifndef KEYVOL_TRANSPORT_FUSE_REQUESTS_H_
#define KEYVOL_TRANSPORT_FUSE_REQUESTS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "transport/fuse/protocol.h"
#include "transport/fuse/tree.h"

namespace keyvol::fuse {

// A request as the kernel wrote it; borrowed from the thread's buffer.
struct Request {
  const fuse_in_header& header;
  std::span<std::byte> body;

  // The fixed part of the body. Dispatch has checked that it is there.
  template <typename T>
  const T& As() const {
    return *reinterpret_cast<const T*>(body.data());
  }
  // The NUL-terminated name at the start of the body.
  std::string Name() const;
};

// Sends at most one reply to one request. Failures to send mean that the kernel has given up on
// the request or the connection, and need no answer.
class Reply {
 public:
  // `buffer` is the thread's page-aligned kMaxPayloadBytes of room for data. Once `muted` nothing
  // is sent: the next server of the mount gets the request again.
  Reply(int fd, uint64_t unique, std::span<std::byte> buffer, const std::atomic<bool>& muted)
      : fd_(fd), unique_(unique), buffer_(buffer), muted_(muted) {}

  std::span<std::byte> buffer() const { return buffer_; }

  // 0 is success without data.
  void Errno(int error_number) { Send(error_number, nullptr, 0); }
  // The errno of `status`; no reply when it would have waited, for the request is to be tried
  // again.
  void Fail(const Status& status);
  bool would_wait() const { return would_wait_; }
  void SendBuffer(size_t length_bytes) { Send(0, buffer_.data(), length_bytes); }
  template <typename T>
  void SendStruct(const T& out) {
    Send(0, &out, sizeof out);
  }

 private:
  void Send(int error_number, const void* data, size_t length_bytes);

  const int fd_;
  const uint64_t unique_;
  const std::span<std::byte> buffer_;
  const std::atomic<bool>& muted_;
  bool would_wait_ = false;
};

// Answers one request, unless it is of a kind that gets no answer, or reply.would_wait() after.
void Dispatch(Tree& tree, const Request& request, Reply& reply);

// The operations, by what they touch: requests_meta.cc and requests_io.cc.
using Handler = void (*)(Tree& tree, const Request& request, Reply& reply);

void HandleLookup(Tree& tree, const Request& request, Reply& reply);
void HandleGetattr(Tree& tree, const Request& request, Reply& reply);
void HandleSetattr(Tree& tree, const Request& request, Reply& reply);
void HandleStatfs(Tree& tree, const Request& request, Reply& reply);
void HandleOpendir(Tree& tree, const Request& request, Reply& reply);
void HandleReaddir(Tree& tree, const Request& request, Reply& reply);

void HandleOpen(Tree& tree, const Request& request, Reply& reply);
void HandleRelease(Tree& tree, const Request& request, Reply& reply);
void HandleRead(Tree& tree, const Request& request, Reply& reply);
void HandleWrite(Tree& tree, const Request& request, Reply& reply);
void HandleFsync(Tree& tree, const Request& request, Reply& reply);
void HandleFallocate(Tree& tree, const Request& request, Reply& reply);
void HandleLseek(Tree& tree, const Request& request, Reply& reply);

}  // namespace keyvol::fuse

#endif  // KEYVOL_TRANSPORT_FUSE_REQUESTS_H_
