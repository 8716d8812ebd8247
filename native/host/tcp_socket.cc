#include "host/tcp_socket.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>

namespace keyvol {

namespace {

constexpr int kBacklog = 128;
constexpr int kIdleSeconds = 60;
constexpr int kProbeSeconds = 15;
constexpr int kProbes = 4;

void Set(const UniqueFd& socket, int level, int option, int value) {
  setsockopt(socket.get(), level, option, &value, sizeof value);
}

}  // namespace

Status ListenOnTcp(const std::string& address, uint16_t port, UniqueFd* listener) {
  const std::string where = address + " port " + std::to_string(port);
  struct addrinfo hints = {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  struct addrinfo* found = nullptr;
  if (getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return Status::Error(Code::kInvalidArgument, "'" + address + "' is no numeric address");
  }
  const std::unique_ptr<struct addrinfo, void (*)(struct addrinfo*)> owned(found, freeaddrinfo);
  *listener = UniqueFd(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!listener->valid()) return Status::FromErrno(errno, "make a socket for " + where);
  // A daemon that is started again need not wait for connections that have ended.
  Set(*listener, SOL_SOCKET, SO_REUSEADDR, 1);
  if (bind(listener->get(), found->ai_addr, found->ai_addrlen) != 0) {
    if (errno == EADDRINUSE) return Status::Error(Code::kBusy, where + " is taken", EADDRINUSE);
    return Status::Error(Code::kInvalidArgument, where + " cannot be listened on", errno);
  }
  if (listen(listener->get(), kBacklog) == 0) return Status::Ok();
  return Status::FromErrno(errno, "listen on " + where);
}

Status PortOf(const UniqueFd& socket, uint16_t* port) {
  struct sockaddr_storage address = {};
  socklen_t length = sizeof address;
  if (getsockname(socket.get(), reinterpret_cast<struct sockaddr*>(&address), &length) != 0) {
    return Status::FromErrno(errno, "ask a socket for its port");
  }
  *port = ntohs(address.ss_family == AF_INET6
                    ? reinterpret_cast<struct sockaddr_in6*>(&address)->sin6_port
                    : reinterpret_cast<struct sockaddr_in*>(&address)->sin_port);
  return Status::Ok();
}

std::string PeerAddressOf(const UniqueFd& socket) {
  struct sockaddr_storage address = {};
  socklen_t length = sizeof address;
  char name[NI_MAXHOST] = {};
  auto* const generic = reinterpret_cast<struct sockaddr*>(&address);
  if (getpeername(socket.get(), generic, &length) != 0) return "";
  const int failed = getnameinfo(generic, length, name, sizeof name, nullptr, 0, NI_NUMERICHOST);
  return failed == 0 ? name : "";
}

void KeepAlive(const UniqueFd& socket) {
  Set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  Set(socket, IPPROTO_TCP, TCP_KEEPIDLE, kIdleSeconds);
  Set(socket, IPPROTO_TCP, TCP_KEEPINTVL, kProbeSeconds);
  Set(socket, IPPROTO_TCP, TCP_KEEPCNT, kProbes);
  // While something is sent that nobody acknowledges there are no probes.
  Set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000 * (kIdleSeconds + kProbes * kProbeSeconds));
  // Replies are whole when they are sent.
  Set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
}

}  // namespace keyvol
