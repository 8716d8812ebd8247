#include "host/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

namespace keyvol {

namespace {

constexpr int kBacklog = 128;

Status AddressOf(const std::string& path, struct sockaddr_un* address) {
  *address = {.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof address->sun_path) {
    return Status::Error(Code::kInvalidArgument, path + " is too long for a socket");
  }
  memcpy(address->sun_path, path.c_str(), path.size() + 1);
  return Status::Ok();
}

Status NewSocket(int type, UniqueFd* socket_fd) {
  *socket_fd = UniqueFd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  return socket_fd->valid() ? Status::Ok() : Status::FromErrno(errno, "make a socket");
}

}  // namespace

Status ListenOnUnixSocket(const std::string& path, int type, UniqueFd* socket) {
  struct sockaddr_un address;
  RETURN_IF_ERROR(AddressOf(path, &address));
  RETURN_IF_ERROR(NewSocket(type, socket));
  unlink(path.c_str());
  // Nobody can connect before listen(2), so the mode is right when it counts.
  if (bind(socket->get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address) != 0 ||
      chmod(path.c_str(), 0600) != 0 || listen(socket->get(), kBacklog) != 0) {
    return Status::FromErrno(errno, "listen on " + path);
  }
  return Status::Ok();
}

Status ConnectToUnixSocket(const std::string& path, int type, UniqueFd* socket) {
  struct sockaddr_un address;
  RETURN_IF_ERROR(AddressOf(path, &address));
  RETURN_IF_ERROR(NewSocket(type, socket));
  if (connect(socket->get(), reinterpret_cast<struct sockaddr*>(&address), sizeof address) == 0) {
    return Status::Ok();
  }
  const int error_number = errno;
  if (error_number != ECONNREFUSED) return Status::FromErrno(error_number, "connect to " + path);
  return Status::Error(Code::kNotFound, "nobody listens on " + path, error_number);
}

bool IsPeerTrusted(const UniqueFd& socket) {
  struct ucred peer = {};
  socklen_t length = sizeof peer;
  if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return false;
  return peer.uid == 0 || peer.uid == geteuid();
}

}  // namespace keyvol
