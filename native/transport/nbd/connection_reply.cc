#include <cerrno>

#include "transport/nbd/connection.h"

namespace keyvol::nbd {

namespace {

// The protocol knows only these.
uint32_t ErrorOf(const Status& status) {
  switch (status.ToErrno()) {
    case EPERM:
    case EACCES:
    case EROFS:
      return kEperm;
    case EINVAL:
      return kEinval;
    case ENOSPC:
      return kEnospc;
    case ENOMEM:
      return kEnomem;
    case EOPNOTSUPP:
      return kEnotsup;
    default:
      return kEio;
  }
}

}  // namespace

void Connection::Answer(const Request& request, const Status& status) {
  if (!status.ok()) return SendError(request, status);
  const SimpleReply reply = {.error = 0, .cookie = request.header.cookie};
  const std::lock_guard sending(send_mutex_);
  static_cast<void>(wire_.Send({BytesOf(reply)}));
}

// A client that knows structured replies is told why, too.
void Connection::SendError(const Request& request, const Status& status) {
  const uint32_t error = ErrorOf(status);
  if (agreement_.structured) {
    const std::string& message = status.message();
    const ErrorPayload payload = {.error = error,
                                  .message_bytes = static_cast<uint16_t>(message.size())};
    SendChunk(request, kDone, kErrorChunk, BytesOf(payload), std::as_bytes(std::span(message)));
    return;
  }
  const SimpleReply reply = {.error = error, .cookie = request.header.cookie};
  const std::lock_guard sending(send_mutex_);
  static_cast<void>(wire_.Send({BytesOf(reply)}));
}

bool Connection::SendChunk(const Request& request, uint16_t flags, ChunkType type,
                           std::span<const std::byte> first, std::span<const std::byte> second) {
  const Chunk chunk = {.flags = flags,
                       .type = static_cast<uint16_t>(type),
                       .cookie = request.header.cookie,
                       .length_bytes = static_cast<uint32_t>(first.size() + second.size())};
  const std::lock_guard sending(send_mutex_);
  return wire_.Send({BytesOf(chunk), first, second});
}

}  // namespace keyvol::nbd
