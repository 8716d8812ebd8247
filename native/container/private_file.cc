#include "container/private_file.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "file_io.h"

namespace keyvol {

Status PrivateFile::Create(uint64_t size_bytes, PrivateFile* file) {
  UniqueFd fd(memfd_create("keyvol-header", MFD_CLOEXEC));
  if (!fd.valid()) return Status::FromErrno(errno, "create a private header");
  if (ftruncate(fd.get(), static_cast<off_t>(size_bytes)) != 0) {
    return Status::FromErrno(errno, "size a private header");
  }
  file->fd_ = std::move(fd);
  return Status::Ok();
}

Status PrivateFile::Read(uint64_t offset_bytes, std::span<std::byte> out) const {
  return ReadWhole(fd_.get(), offset_bytes, out, "read a private header");
}

Status PrivateFile::Write(uint64_t offset_bytes, std::span<const std::byte> data) {
  return WriteWhole(fd_.get(), offset_bytes, data, "write a private header");
}

}  // namespace keyvol
