#include "transport/nbd/connection.h"

#include <poll.h>
#include <pthread.h>

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>

#include "disk/gate.h"
#include "disk/space_wait.h"

namespace keyvol::nbd {

namespace {

// As many as are worth it: with one connection's requests all in the page cache, more only contend.
size_t ThreadsPerConnection() {
  return std::clamp<size_t>(std::thread::hardware_concurrency(), 2, 8);
}

}  // namespace

Status Connection::Start(std::shared_ptr<const Exports> exports, Events events) {
  events_ = std::move(events);
  const bool started = StartThread(
      [self = shared_from_this(), exports = std::move(exports)] { self->Negotiate(*exports); });
  return started ? Status::Ok() : Status::Error(Code::kNoSpace, "no thread is left to serve NBD");
}

bool Connection::StartThread(std::function<void()> body) {
  threads_.fetch_add(1);
  try {
    std::thread([self = shared_from_this(), body = std::move(body)] {
      pthread_setname_np(pthread_self(), "keyvol-nbd");
      body();
      if (self->threads_.fetch_sub(1) == 1) self->events_.at_end();
    }).detach();
    return true;
  } catch (const std::system_error&) {
    threads_.fetch_sub(1);
    return false;
  }
}

void Connection::End() {
  ended_ = true;
  wire_.ShutDown();
}

bool Connection::IsOver() const {
  struct pollfd client = {.fd = wire_.fd(), .events = 0, .revents = 0};
  return ended_ || (poll(&client, 1, 0) > 0 && (client.revents & (POLLHUP | POLLERR)) != 0);
}

std::string Connection::export_id() const {
  return negotiated_ ? agreement_.exported->id : std::string();
}

void Connection::Negotiate(const Exports& exports) {
  if (!Negotiation(wire_, exports, greeted_).Run(&agreement_)) return End();
  if (!events_.may_begin(agreement_.exported->id)) return End();
  negotiated_ = true;
  if (agreement_.exported->removed) return End();
  for (size_t i = 1; i < ThreadsPerConnection(); ++i) {
    // Without another one this one does all the work.
    if (!StartThread([self = shared_from_this()] { self->Serve(); })) break;
  }
  Serve();
}

void Connection::Serve() {
  const Interruptible interruptible(ended_);
  const WaitingForSpace waiting_for_space;
  IoBuffer buffer;
  if (!IoBuffer::Allocate(kBufferBytes, &buffer).ok()) return End();
  size_t most_together = kMostTogether;
  while (true) {
    std::unique_lock receiving(receive_mutex_);
    // What came before an End, and was not taken, is not served any more.
    if (is_at_end_ || ended_) break;
    Request request;
    is_at_end_ = !TakeRequest(&request);
    // What was taken before is still answered, by the other threads.
    if (is_at_end_) break;
    if (IsSmall(request.header)) {
      ServeTogether(request, receiving, buffer.bytes(), &most_together);
    } else {
      ServeRequest(request, receiving, buffer.bytes());
    }
  }
}

bool Connection::TakeRequest(Request* request) {
  if (!wire_.ReceiveMessage(&request->header)) return false;
  const RequestHeader& header = request->header;
  request->offset_bytes = header.offset_bytes;
  request->length_bytes = header.length_bytes;
  request->flags = header.flags;
  return header.magic == kRequestMagic && header.command != kDisconnect;
}

void Connection::ServeRequest(const Request& request, std::unique_lock<std::mutex>& receiving,
                              std::span<std::byte> buffer) {
  if (request.header.command == kWrite) return ServeWrite(request, receiving, buffer);
  receiving.unlock();
  const Status checked = Check(request);
  if (!checked.ok()) return SendError(request, checked);
  switch (request.header.command) {
    case kRead:
      return ServeRead(request, buffer);
    case kFlush:
      return Answer(request, disk().Flush());
    case kTrim:
    case kWriteZeroes:
      return Answer(request, Zero(request, buffer));
    case kCache:
      return Answer(request, Cache(request, buffer));
    case kBlockStatus:
      return ServeBlockStatus(request);
    default:
      return SendError(request, Status::Error(Code::kInvalidArgument, "no such NBD command"));
  }
}

Status Connection::Check(const Request& request) const {
  const uint16_t command = request.header.command;
  const bool changes = command == kWrite || command == kTrim || command == kWriteZeroes;
  if (changes && agreement_.exported->read_only) {
    return Status::Error(Code::kPermission, "the export is read-only");
  }
  if (command == kFlush) return Status::Ok();
  const uint64_t size_bytes = disk().size_bytes();
  const bool fits = request.offset_bytes <= size_bytes &&
                    request.length_bytes <= size_bytes - request.offset_bytes;
  if (!fits && changes) return Status::Error(Code::kNoSpace, "past the end of the disk");
  if (!fits) return Status::Error(Code::kInvalidArgument, "past the end of the disk");
  if (request.length_bytes == 0) return Status::Error(Code::kInvalidArgument, "no bytes");
  const bool has_data = command == kRead || command == kWrite;
  if (has_data && request.length_bytes > kMaxPayloadBytes) {
    return Status::Error(Code::kInvalidArgument, "longer than the largest block size");
  }
  return Status::Ok();
}

void Connection::ServeWrite(const Request& request, std::unique_lock<std::mutex>& receiving,
                            std::span<std::byte> buffer) {
  Status status = Check(request);
  const bool is_one_piece = request.length_bytes <= buffer.size();
  if (status.ok() && is_one_piece) {
    const std::span<std::byte> data = buffer.first(request.length_bytes);
    if (!wire_.Receive(data)) return;  // and so does whoever receives next
    receiving.unlock();
    status = disk().Write(request.offset_bytes, data);
  } else {
    if (!TakeAndWrite(request, buffer, &status)) return;
    receiving.unlock();
  }
  if (status.ok()) status = FlushIfAsked(request);
  Answer(request, status);
}

bool Connection::TakeAndWrite(const Request& request, std::span<std::byte> buffer, Status* status) {
  uint64_t done_bytes = 0;
  while (done_bytes < request.length_bytes) {
    if (!status->ok()) return wire_.Skip(request.length_bytes - done_bytes);
    const std::span<std::byte> piece =
        buffer.first(std::min<uint64_t>(buffer.size(), request.length_bytes - done_bytes));
    if (!wire_.Receive(piece)) return false;
    *status = disk().Write(request.offset_bytes + done_bytes, piece);
    done_bytes += piece.size();
  }
  return true;
}

void Connection::ServeRead(const Request& request, std::span<std::byte> buffer) {
  if (!agreement_.structured) return ServeSimpleRead(request, buffer);
  if ((request.flags & kDontFragment) != 0 && request.length_bytes > buffer.size()) {
    // As a server may that would have to hold all of it.
    const ErrorPayload payload = {.error = kEoverflow, .message_bytes = 0};
    SendChunk(request, kDone, kErrorChunk, BytesOf(payload));
    return;
  }
  ServeChunkedRead(request, buffer);
}

void Connection::ServeChunkedRead(const Request& request, std::span<std::byte> buffer) {
  for (uint64_t done_bytes = 0; done_bytes < request.length_bytes;) {
    const std::span<std::byte> piece =
        buffer.first(std::min<uint64_t>(buffer.size(), request.length_bytes - done_bytes));
    const uint64_t offset_bytes = request.offset_bytes + done_bytes;
    const Status status = disk().Read(offset_bytes, piece);
    if (!status.ok()) return SendError(request, status);
    done_bytes += piece.size();
    const uint16_t flags = done_bytes == request.length_bytes ? kDone : 0;
    if (!SendChunk(request, flags, kOffsetData, BytesOf(Big64(offset_bytes)), piece)) return;
  }
}

void Connection::ServeSimpleRead(const Request& request, std::span<std::byte> buffer) {
  const SimpleReply reply = {.error = 0, .cookie = request.header.cookie};
  std::unique_lock<std::mutex> sending;  // from the first piece to the last
  for (uint64_t done_bytes = 0; done_bytes < request.length_bytes;) {
    const std::span<std::byte> piece =
        buffer.first(std::min<uint64_t>(buffer.size(), request.length_bytes - done_bytes));
    const Status status = disk().Read(request.offset_bytes + done_bytes, piece);
    const bool is_first = done_bytes == 0;
    // Once it is said that there is no error, the end of the connection is all that is left.
    if (!status.ok()) return is_first ? SendError(request, status) : End();
    if (is_first) sending = std::unique_lock(send_mutex_);
    const auto header = is_first ? BytesOf(reply) : std::span<const std::byte>();
    if (!wire_.Send({header, piece})) return;
    done_bytes += piece.size();
  }
}

void Connection::ServeBlockStatus(const Request& request) {
  if (!agreement_.allocation) {
    return SendError(request, Status::Error(Code::kInvalidArgument, "no context was agreed on"));
  }
  std::array<Extent, 1024> extents;
  const size_t most = (request.flags & kRequestOne) != 0 ? 1 : extents.size();
  const uint64_t end_bytes = request.offset_bytes + request.length_bytes;
  size_t count = 0;
  for (uint64_t first_bytes = request.offset_bytes; first_bytes < end_bytes && count < most;) {
    if (ended_) return;
    uint64_t next_bytes = end_bytes;
    Status status = disk().SeekData(first_bytes, &next_bytes);
    const bool is_data = status.ok() && next_bytes == first_bytes;
    if (is_data) status = disk().SeekHole(first_bytes, &next_bytes);
    // No data up to the end.
    if (status.code() == Code::kOutOfRange)
      next_bytes = end_bytes;
    else if (!status.ok())
      return SendError(request, status);
    // What was discarded since is still data for this answer, which knows no extent of no length.
    if (next_bytes <= first_bytes) next_bytes = first_bytes + kPreferredBytes;
    next_bytes = std::min(next_bytes, end_bytes);
    extents[count++] = {.length_bytes = static_cast<uint32_t>(next_bytes - first_bytes),
                        .flags = is_data ? 0 : kHole | kZero};
    first_bytes = next_bytes;
  }
  SendChunk(request, kDone, kBlockStatusChunk, BytesOf(Big32(kAllocationContextId)),
            std::as_bytes(std::span(extents).first(count)));
}

// What was read once lies in the page cache.
Status Connection::Cache(const Request& request, std::span<std::byte> buffer) {
  for (uint64_t done_bytes = 0; done_bytes < request.length_bytes;) {
    const std::span<std::byte> piece =
        buffer.first(std::min<uint64_t>(buffer.size(), request.length_bytes - done_bytes));
    if (ended_) return Interruptible::Interrupted();
    RETURN_IF_ERROR(disk().Read(request.offset_bytes + done_bytes, piece));
    done_bytes += piece.size();
  }
  return Status::Ok();
}

Status Connection::Zero(const Request& request, std::span<std::byte> buffer) {
  const bool is_trim = request.header.command == kTrim;
  if (is_trim || (request.flags & kNoHole) == 0) {
    RETURN_IF_ERROR(is_trim ? disk().Discard(request.offset_bytes, request.length_bytes)
                            : disk().WriteZeroes(request.offset_bytes, request.length_bytes));
    return FlushIfAsked(request);
  }
  // Later writes shall find their space.
  for (uint64_t done_bytes = 0; done_bytes < request.length_bytes;) {
    const std::span<std::byte> piece =
        buffer.first(std::min<uint64_t>(buffer.size(), request.length_bytes - done_bytes));
    if (ended_) return Interruptible::Interrupted();
    std::fill(piece.begin(), piece.end(), std::byte{0});
    RETURN_IF_ERROR(disk().Write(request.offset_bytes + done_bytes, piece));
    done_bytes += piece.size();
  }
  return FlushIfAsked(request);
}

Status Connection::FlushIfAsked(const Request& request) {
  return (request.flags & kFua) != 0 ? disk().Flush() : Status::Ok();
}

}  // namespace keyvol::nbd
