#include "transport/nbd/tls_front.h"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace keyvol::nbd {

namespace {

constexpr int kMaxOptions = 64;

}  // namespace

bool TlsFront::Run(std::shared_ptr<const tls::Credentials> credentials, Deadline deadline,
                   uint32_t* flags) {
  Big32 client_flags;
  if (!Send(BytesOf(Greeting())) || !ReceiveMessage(&client_flags, deadline)) return false;
  *flags = client_flags;
  if ((*flags & ~kKnownFlags) != 0 || (*flags & kFixedNewstyle) == 0) return false;
  for (int i = 0; i < kMaxOptions; ++i) {
    OptionHeader header;
    if (!ReceiveMessage(&header, deadline) || header.magic != kOptionMagic) return false;
    const uint32_t option = header.option;
    if (option == kExportName || header.length_bytes > kMaxOptionBytes) return false;
    if (!Skip(header.length_bytes, deadline)) return false;
    if (option == kStartTls && header.length_bytes != 0) {
      if (!Reply(option, kErrInvalid)) return false;
      continue;
    }
    if (option == kStartTls) {
      if (!Reply(option, kAck)) return false;
      tunnel_ = std::make_unique<tls::Tunnel>(std::move(client_), std::move(credentials));
      return tunnel_->Handshake(deadline);
    }
    if (!Reply(option, option == kAbort ? kAck : kErrTlsRequired) || option == kAbort) return false;
  }
  return false;
}

bool TlsFront::Receive(std::span<std::byte> out, Deadline deadline) {
  while (!out.empty()) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    struct pollfd client = {.fd = client_.get(), .events = POLLIN, .revents = 0};
    if (left.count() <= 0 || poll(&client, 1, static_cast<int>(left.count())) <= 0) return false;
    const ssize_t received = recv(client_.get(), out.data(), out.size(), MSG_DONTWAIT);
    if (received == 0 || (received < 0 && errno != EAGAIN && errno != EINTR)) return false;
    if (received > 0) out = out.subspan(static_cast<size_t>(received));
  }
  return true;
}

bool TlsFront::Skip(uint64_t length_bytes, Deadline deadline) {
  std::array<std::byte, 1024> nowhere;
  while (length_bytes > 0) {
    const size_t part_bytes = std::min<uint64_t>(length_bytes, nowhere.size());
    if (!Receive(std::span(nowhere).first(part_bytes), deadline)) return false;
    length_bytes -= part_bytes;
  }
  return true;
}

// These few bytes fit into any socket's buffer; a client for whom they do not has not read the
// others.
bool TlsFront::Send(std::span<const std::byte> bytes) {
  const ssize_t sent = send(client_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent == static_cast<ssize_t>(bytes.size());
}

bool TlsFront::Reply(uint32_t option, uint32_t type) {
  const OptionReplyHeader header = {.option = option, .type = type, .length_bytes = 0};
  return Send(BytesOf(header));
}

}  // namespace keyvol::nbd
