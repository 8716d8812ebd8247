#include "host/service_manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "unique_fd.h"

namespace keyvol {

Status NotifyServiceManager(const std::string& message, bool* sent) {
  *sent = false;
  const char* name = getenv("NOTIFY_SOCKET");
  if (name == nullptr) return Status::Ok();
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const size_t length = strlen(name);
  if (length < 2 || (name[0] != '/' && name[0] != '@') || length >= sizeof address.sun_path) {
    return Status::Error(Code::kInvalidArgument, "NOTIFY_SOCKET names no socket");
  }
  memcpy(address.sun_path, name, length);
  // An abstract socket: its name begins with a NUL.
  if (name[0] == '@') address.sun_path[0] = '\0';
  const UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return Status::FromErrno(errno, "make a socket for the service manager");
  const auto size = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + length);
  if (sendto(fd.get(), message.data(), message.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
             reinterpret_cast<struct sockaddr*>(&address), size) < 0) {
    return Status::FromErrno(errno, "notify the service manager");
  }
  *sent = true;
  return Status::Ok();
}

}  // namespace keyvol
