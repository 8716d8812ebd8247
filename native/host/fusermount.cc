#include "host/fusermount.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace keyvol {

namespace {

constexpr int kChildSocket = 3;

struct Outcome {
  int exit_status;
  std::string errors;
};

std::string ReadAll(const UniqueFd& fd) {
  std::string text;
  char part[512];
  for (ssize_t length; (length = read(fd.get(), part, sizeof part)) > 0;) text.append(part, length);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Runs fusermount3 with `socket` (may be -1) as descriptor 3 and collects what it says.
Status Run(std::vector<std::string> arguments, int socket, Outcome* outcome) {
  int pipe_fds[2];
  if (pipe2(pipe_fds, O_CLOEXEC) != 0) return Status::FromErrno(errno, "make a pipe");
  const UniqueFd errors(pipe_fds[0]);
  UniqueFd errors_in(pipe_fds[1]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, errors_in.get(), STDERR_FILENO);
  if (socket >= 0) posix_spawn_file_actions_adddup2(&actions, socket, kChildSocket);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string path = "PATH=/usr/bin:/bin:/usr/local/bin";
  std::string comm_fd = "_FUSE_COMMFD=" + std::to_string(kChildSocket);
  char* const environment[] = {path.data(), comm_fd.data(), nullptr};

  pid_t child = 0;
  const int failure = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environment);
  posix_spawn_file_actions_destroy(&actions);
  errors_in.Reset();
  if (failure != 0) {
    return Status::Error(Code::kUnsupported,
                         "fusermount3 is missing or not accessible; install the package fuse3");
  }
  outcome->errors = ReadAll(errors);
  int wait_status = 0;
  while (waitpid(child, &wait_status, 0) < 0 && errno == EINTR) continue;
  outcome->exit_status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
  return Status::Ok();
}

// The descriptor that came over the socket as SCM_RIGHTS; invalid if none did.
UniqueFd ReceiveFd(const UniqueFd& socket) {
  char byte = 0;
  struct iovec part = {&byte, 1};
  alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) <= 0) return UniqueFd();
  const struct cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return UniqueFd();
  int fd = -1;
  memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return UniqueFd(fd);
}

}  // namespace

Status MountByFusermount(const std::string& options, const std::string& directory, UniqueFd* fd) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return Status::FromErrno(errno, "make a socket for fusermount3");
  }
  const UniqueFd ours(sockets[0]);
  const UniqueFd childs(sockets[1]);
  Outcome outcome;
  RETURN_IF_ERROR(Run({"fusermount3", "-o", options, "--", directory}, childs.get(), &outcome));
  *fd = ReceiveFd(ours);
  if (fd->valid() && outcome.exit_status == 0) return Status::Ok();
  return Status::Error(Code::kPermission,
                       "fusermount3 does not mount on " + directory + ": " + outcome.errors);
}

Status UnmountByFusermount(const std::string& directory, bool lazy) {
  std::vector<std::string> arguments = {"fusermount3", "-u", "-q"};
  if (lazy) arguments.push_back("-z");
  arguments.push_back("--");
  arguments.push_back(directory);
  Outcome outcome;
  RETURN_IF_ERROR(Run(std::move(arguments), -1, &outcome));
  if (outcome.exit_status == 0) return Status::Ok();
  return Status::Error(Code::kBusy, "fusermount3 does not unmount " + directory);
}

}  // namespace keyvol
