#include "transport/nbd/wire.h"

#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

namespace keyvol::nbd {

bool Wire::Receive(std::span<std::byte> out) {
  while (!out.empty()) {
    const size_t taken = TakeAhead(out);
    out = out.subspan(taken);
    if (out.empty()) return true;
    // What is large goes where it belongs without a copy.
    if (out.size() >= ahead_.size()) {
      const size_t received = ReceiveSome(out);
      if (received == 0) return false;
      out = out.subspan(received);
      continue;
    }
    ahead_first_ = 0;
    ahead_end_ = ReceiveSome(ahead_);
    if (ahead_end_ == 0) return false;
  }
  return true;
}

bool Wire::Skip(uint64_t length_bytes) {
  std::array<std::byte, 4096> nowhere;
  while (length_bytes > 0) {
    const size_t part_bytes = std::min<uint64_t>(length_bytes, nowhere.size());
    if (!Receive(std::span(nowhere).first(part_bytes))) return false;
    length_bytes -= part_bytes;
  }
  return true;
}

size_t Wire::TakeAhead(std::span<std::byte> out) {
  const size_t taken = std::min(out.size(), ahead_end_ - ahead_first_);
  std::memcpy(out.data(), ahead_.data() + ahead_first_, taken);
  ahead_first_ += taken;
  return taken;
}

size_t Wire::ReceiveSome(std::span<std::byte> out) {
  ssize_t received = -1;
  do received = recv(fd_.get(), out.data(), out.size(), 0);
  while (received < 0 && errno == EINTR);
  if (received >= 0) return static_cast<size_t>(received);
  // Whatever it was, the next who receives would begin in the middle.
  ShutDown();
  return 0;
}

bool Wire::Send(std::span<const std::span<const std::byte>> parts) {
  assert(parts.size() <= kMaxParts);
  std::array<struct iovec, kMaxParts> vectors;
  size_t count = 0;
  for (const std::span<const std::byte> part : parts) {
    vectors[count++] = {const_cast<std::byte*>(part.data()), part.size()};
  }
  struct msghdr message = {};
  message.msg_iov = vectors.data();
  message.msg_iovlen = count;
  while (message.msg_iovlen > 0) {
    const ssize_t sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) {
      // A part may be on its way, and what is sent next would be taken for the rest.
      ShutDown();
      return false;
    }
    size_t left = static_cast<size_t>(sent);
    while (message.msg_iovlen > 0 && left >= message.msg_iov->iov_len) {
      left -= message.msg_iov->iov_len;
      message.msg_iov++;
      message.msg_iovlen--;
    }
    if (message.msg_iovlen == 0) break;
    message.msg_iov->iov_base = static_cast<std::byte*>(message.msg_iov->iov_base) + left;
    message.msg_iov->iov_len -= left;
  }
  return true;
}

void Wire::ShutDown() { shutdown(fd_.get(), SHUT_RDWR); }

}  // namespace keyvol::nbd
