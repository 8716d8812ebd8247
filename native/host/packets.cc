#include "host/packets.h"

#include <poll.h>
#include <sys/socket.h>

#include <cassert>
#include <cerrno>
#include <cstring>

namespace keyvol {

namespace {

void TakeFds(struct msghdr* message, std::vector<UniqueFd>* fds) {
  for (struct cmsghdr* header = CMSG_FIRSTHDR(message); header != nullptr;
       header = CMSG_NXTHDR(message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      fds->emplace_back(fd);
    }
  }
}

}  // namespace

Status SendPacket(const UniqueFd& socket, const std::string& bytes, std::span<const int> fds) {
  assert(bytes.size() <= kMaxPacketBytes && fds.size() <= kMaxPacketFds);
  struct iovec part = {const_cast<char*>(bytes.data()), bytes.size()};
  alignas(struct cmsghdr) char control[CMSG_SPACE(kMaxPacketFds * sizeof(int))] = {};
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size_bytes());
    struct cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size_bytes());
    memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
  }
  while (sendmsg(socket.get(), &message, MSG_NOSIGNAL) < 0) {
    if (errno != EINTR) return Status::FromErrno(errno, "send a packet");
  }
  return Status::Ok();
}

Status ReceivePacket(const UniqueFd& socket, std::chrono::milliseconds timeout, Packet* packet) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  struct pollfd wait = {.fd = socket.get(), .events = POLLIN, .revents = 0};
  for (int ready = 0; ready <= 0;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    ready = poll(&wait, 1, static_cast<int>(std::max<int64_t>(0, left.count())));
    if (ready < 0 && errno != EINTR) return Status::FromErrno(errno, "wait for a packet");
    if (ready == 0) return Status::Error(Code::kBusy, "no packet came in time", ETIMEDOUT);
  }
  packet->bytes.resize(kMaxPacketBytes);
  struct iovec part = {packet->bytes.data(), packet->bytes.size()};
  alignas(struct cmsghdr) char control[CMSG_SPACE(kMaxPacketFds * sizeof(int))];
  struct msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t length = -1;
  do length = recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC);
  while (length < 0 && errno == EINTR);
  if (length < 0 && errno != ECONNRESET) return Status::FromErrno(errno, "receive a packet");
  if (length <= 0) return Status::Error(Code::kNotFound, "the connection has ended", ECONNRESET);
  packet->bytes.resize(static_cast<size_t>(length));
  TakeFds(&message, &packet->fds);
  return Status::Ok();
}

}  // namespace keyvol
