#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "file_io.h"
#include "wrap/wrap.h"

namespace keyvol {

namespace {

constexpr size_t kKeyFileBytes = 32;

Status KeyFileInvalid(const std::string& path, const char* reason) {
  return Status::Error(Code::kKeyFileInvalid, "key file " + path + " " + reason);
}

Status CheckKeyFile(int fd, const std::string& path) {
  struct stat attributes {};
  if (fstat(fd, &attributes) != 0) return Status::FromErrno(errno, "stat " + path);
  if (attributes.st_uid != geteuid()) return KeyFileInvalid(path, "belongs to another user");
  if ((attributes.st_mode & 077) != 0) {
    return KeyFileInvalid(path, "can be accessed by group or others (its mode must be 0600)");
  }
  if (attributes.st_size != kKeyFileBytes) return KeyFileInvalid(path, "does not have 32 bytes");
  return Status::Ok();
}

Status WriteDurably(int fd, const Secret& key, const std::string& path) {
  RETURN_IF_ERROR(WriteWhole(fd, 0, key.bytes(), "write key file " + path));
  if (fsync(fd) != 0) return Status::FromErrno(errno, "sync key file " + path);
  return SyncParentDirectory(path);
}

}  // namespace

Status ExportKeyFile(const Secret& key, const std::string& path) {
  UniqueFd fd;
  RETURN_IF_ERROR(CreateNewFile(path, &fd));
  const Status written = WriteDurably(fd.get(), key, path);
  // A part of a key must not be taken for a key.
  if (!written.ok()) unlink(path.c_str());
  return written;
}

Status CreateKeyFile(const std::string& path, std::shared_ptr<Secret>* key) {
  std::shared_ptr<Secret> fresh;
  RETURN_IF_ERROR(Secret::Random(kKeyFileBytes, &fresh));
  // A power cut must not leave a part of it under its name.
  const std::string unfinished = path + ".new";
  unlink(unfinished.c_str());
  RETURN_IF_ERROR(ExportKeyFile(*fresh, unfinished));
  const int linked = link(unfinished.c_str(), path.c_str());
  const Status status = linked == 0 ? Status::Ok() : Status::FromErrno(errno, "create " + path);
  unlink(unfinished.c_str());
  RETURN_IF_ERROR(status);
  RETURN_IF_ERROR(SyncParentDirectory(path));
  *key = std::move(fresh);
  return Status::Ok();
}

Status LoadKeyFile(const std::string& path, std::shared_ptr<Secret>* key) {
  UniqueFd fd;
  RETURN_IF_ERROR(OpenRegularFile(path, O_RDONLY, Code::kKeyFileInvalid, &fd));
  RETURN_IF_ERROR(CheckKeyFile(fd.get(), path));
  std::shared_ptr<Secret> loaded;
  RETURN_IF_ERROR(Secret::Allocate(kKeyFileBytes, &loaded));
  RETURN_IF_ERROR(ReadWhole(fd.get(), 0, loaded->bytes(), "read key file " + path));
  *key = std::move(loaded);
  return Status::Ok();
}

}  // namespace keyvol
