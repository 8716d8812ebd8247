#include "transport/io_buffer.h"

#include <string.h>
#include <sys/mman.h>

namespace keyvol {

Status IoBuffer::Allocate(size_t length_bytes, IoBuffer* buffer) {
  void* memory =
      mmap(nullptr, length_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Status::Error(Code::kNoSpace, "no memory for request buffers");
  buffer->bytes_ = {static_cast<std::byte*>(memory), length_bytes};
  madvise(memory, length_bytes, MADV_DONTDUMP);
  madvise(memory, length_bytes, MADV_DONTFORK);
  mlock(memory, length_bytes);  // as far as RLIMIT_MEMLOCK goes; the touch below is what counts
  memset(memory, 0, length_bytes);
  return Status::Ok();
}

IoBuffer::~IoBuffer() {
  if (bytes_.empty()) return;
  explicit_bzero(bytes_.data(), bytes_.size());
  munmap(bytes_.data(), bytes_.size());
}

}  // namespace keyvol
