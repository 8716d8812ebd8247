#include "host/process.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace keyvol {

namespace {

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  // execve(2) declares its arrays without const for old callers; it changes none of them.
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// Node marks its own standard streams close-on-exec when it starts.
Status KeepAcrossExec(int fd) {
  const int flags = fcntl(fd, F_GETFD);
  if (flags < 0 || fcntl(fd, F_SETFD, flags & ~FD_CLOEXEC) < 0) {
    return Status::FromErrno(errno, "keep descriptor " + std::to_string(fd));
  }
  return Status::Ok();
}

}  // namespace

Status LockFile(const std::string& path, int* fd) {
  const int opened = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (opened < 0) return Status::FromErrno(errno, "open " + path);
  if (flock(opened, LOCK_EX | LOCK_NB) == 0) {
    *fd = opened;
    return Status::Ok();
  }
  const int error_number = errno;
  close(opened);
  if (error_number == EWOULDBLOCK) {
    return Status::Error(Code::kBusy, path + " is locked by another process", error_number);
  }
  return Status::FromErrno(error_number, "lock " + path);
}

Status ReplaceProcess(const std::string& program, const std::vector<std::string>& arguments,
                      const std::vector<std::string>& environment) {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    RETURN_IF_ERROR(KeepAcrossExec(fd));
  }
  execve(program.c_str(), Pointers(arguments).data(), Pointers(environment).data());
  return Status::FromErrno(errno, "execute " + program);
}

}  // namespace keyvol
