#include "host/local_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace keyvol {

namespace {

Status NewSocket(UniqueFd* fd) {
  *fd = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd->valid() ? Status::Ok() : Status::FromErrno(errno, "make a socket");
}

Status Wait(int fd, int patience_ms) {
  pollfd wanted = {.fd = fd, .events = POLLIN, .revents = 0};
  const int ready = poll(&wanted, 1, patience_ms);
  if (ready > 0 || (ready < 0 && errno == EINTR)) return Status::Ok();
  if (ready < 0) return Status::FromErrno(errno, "wait for an answer");
  return Status::Error(Code::kBusy, "no answer for " + std::to_string(patience_ms) + " ms");
}

}  // namespace

Status ConnectedListener(const std::string& path, UniqueFd* listener, UniqueFd* client) {
  sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof address.sun_path) {
    return Status::Error(Code::kInvalidArgument, path + " is too long for a socket");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  RETURN_IF_ERROR(NewSocket(listener));
  RETURN_IF_ERROR(NewSocket(client));
  if (bind(listener->get(), name, sizeof address) != 0) {
    return Status::FromErrno(errno, "make socket " + path);
  }
  const bool is_connected =
      listen(listener->get(), 1) == 0 && connect(client->get(), name, sizeof address) == 0;
  const int error_number = errno;
  unlink(path.c_str());
  return is_connected ? Status::Ok() : Status::FromErrno(error_number, "connect to " + path);
}

Status Receive(int fd, std::span<std::byte> out, int patience_ms) {
  while (!out.empty()) {
    RETURN_IF_ERROR(Wait(fd, patience_ms));
    const ssize_t received = recv(fd, out.data(), out.size(), MSG_DONTWAIT);
    if (received == 0) return Status::Error(Code::kIo, "the other end closed the connection");
    if (received > 0) {
      out = out.subspan(static_cast<size_t>(received));
    } else if (errno != EAGAIN && errno != EINTR) {
      return Status::FromErrno(errno, "receive an answer");
    }
  }
  return Status::Ok();
}

}  // namespace keyvol
