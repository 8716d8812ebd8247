#include "file_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace keyvol {

Status OpenRegularFile(const std::string& path, int flags, Code not_regular, UniqueFd* fd) {
  UniqueFd opened(open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  const bool is_link = !opened.valid() && errno == ELOOP;
  const bool is_directory = !opened.valid() && errno == EISDIR;
  if (!opened.valid() && !is_link && !is_directory) return Status::FromErrno(errno, "open " + path);
  struct stat attributes {};
  if (opened.valid() && fstat(opened.get(), &attributes) != 0) {
    return Status::FromErrno(errno, "stat " + path);
  }
  if (!opened.valid() || !S_ISREG(attributes.st_mode)) {
    return Status::Error(not_regular, path + " is not a regular file");
  }
  *fd = std::move(opened);
  return Status::Ok();
}

Status CreateNewFile(const std::string& path, UniqueFd* fd) {
  UniqueFd created(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!created.valid()) return Status::FromErrno(errno, "create " + path);
  if (fchmod(created.get(), 0600) != 0) {
    const Status status = Status::FromErrno(errno, "set the mode of " + path);
    unlink(path.c_str());
    return status;
  }
  *fd = std::move(created);
  return Status::Ok();
}

Status ReadUpTo(int fd, uint64_t offset_bytes, std::span<std::byte> out, const std::string& what,
                size_t* read_bytes) {
  *read_bytes = 0;
  while (*read_bytes < out.size()) {
    const ssize_t got = pread(fd, out.data() + *read_bytes, out.size() - *read_bytes,
                              static_cast<off_t>(offset_bytes + *read_bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Status::FromErrno(errno, what);
    if (got == 0) break;
    *read_bytes += static_cast<size_t>(got);
  }
  return Status::Ok();
}

Status ReadWhole(int fd, uint64_t offset_bytes, std::span<std::byte> out, const std::string& what) {
  size_t read_bytes = 0;
  RETURN_IF_ERROR(ReadUpTo(fd, offset_bytes, out, what, &read_bytes));
  const std::span<std::byte> past_end = out.subspan(read_bytes);
  if (!past_end.empty()) std::memset(past_end.data(), 0, past_end.size());
  return Status::Ok();
}

Status WriteWhole(int fd, uint64_t offset_bytes, std::span<const std::byte> data,
                  const std::string& what) {
  while (!data.empty()) {
    const ssize_t put = pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset_bytes));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return Status::FromErrno(errno, what);
    data = data.subspan(static_cast<size_t>(put));
    offset_bytes += static_cast<uint64_t>(put);
  }
  return Status::Ok();
}

Status NextData(int fd, uint64_t offset_bytes, std::optional<Extent>* extent) {
  extent->reset();
  const off_t start = lseek(fd, static_cast<off_t>(offset_bytes), SEEK_DATA);
  if (start < 0 && errno == ENXIO) return Status::Ok();
  if (start < 0 && errno != EINVAL) return Status::FromErrno(errno, "find data");
  const off_t end = start < 0 ? start : lseek(fd, start, SEEK_HOLE);
  *extent = {.start_bytes = start < 0 ? offset_bytes : static_cast<uint64_t>(start),
             .end_bytes = end < 0 ? 1ull << 63 : static_cast<uint64_t>(end)};
  return Status::Ok();
}

Status SyncParentDirectory(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string parent = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  UniqueFd directory(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory.valid()) return Status::FromErrno(errno, "open directory " + parent);
  if (fsync(directory.get()) != 0) return Status::FromErrno(errno, "sync directory " + parent);
  return Status::Ok();
}

}  // namespace keyvol
