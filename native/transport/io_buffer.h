// Memory for what is on its way between a client and a disk.
#ifndef KEYVOL_TRANSPORT_IO_BUFFER_H_
#define KEYVOL_TRANSPORT_IO_BUFFER_H_

#include <cstddef>
#include <span>
#include <utility>

#include "status.h"

namespace keyvol {

// Page-aligned memory for requests and replies: touched before use, since a page fault in the
// middle of reading a request loses the request when the process is dying; locked where the
// limits allow; in no core dump; not inherited by a fork; wiped at the end.
class IoBuffer {
 public:
  // kNoSpace when there is no memory.
  static Status Allocate(size_t length_bytes, IoBuffer* buffer);
  IoBuffer() = default;
  ~IoBuffer();
  IoBuffer(IoBuffer&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  IoBuffer& operator=(IoBuffer&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace keyvol

#endif  // KEYVOL_TRANSPORT_IO_BUFFER_H_
