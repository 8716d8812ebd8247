#include "host/local_socket.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "host/unix_socket.h"

namespace keyvol {

namespace {

Status Wait(int fd, int patience_ms) {
  pollfd wanted = {.fd = fd, .events = POLLIN, .revents = 0};
  const int ready = poll(&wanted, 1, patience_ms);
  if (ready > 0 || (ready < 0 && errno == EINTR)) return Status::Ok();
  if (ready < 0) return Status::FromErrno(errno, "wait for an answer");
  return Status::Error(Code::kBusy, "no answer for " + std::to_string(patience_ms) + " ms");
}

}  // namespace

Status ConnectedListener(const std::string& path, UniqueFd* listener, UniqueFd* client) {
  RETURN_IF_ERROR(ListenOnUnixSocket(path, SOCK_STREAM, listener));
  const Status connected = ConnectToUnixSocket(path, SOCK_STREAM, client);
  unlink(path.c_str());
  return connected;
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
