// A file in memory that only this process sees, so that libcryptsetup, which repairs headers
// unasked, never touches a real one.
#ifndef KEYVOL_CONTAINER_PRIVATE_FILE_H_
#define KEYVOL_CONTAINER_PRIVATE_FILE_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "status.h"
#include "unique_fd.h"

namespace keyvol {

class PrivateFile {
 public:
  // A sparse file of `size_bytes` zeros.
  static Status Create(uint64_t size_bytes, PrivateFile* file);

  // Good as a path as long as this object lives.
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }
  Status Read(uint64_t offset_bytes, std::span<std::byte> out) const;
  Status Write(uint64_t offset_bytes, std::span<const std::byte> data);

 private:
  UniqueFd fd_;
};

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_PRIVATE_FILE_H_
