// The threads that serve one client.
#ifndef KEYVOL_TRANSPORT_NBD_CONNECTION_H_
#define KEYVOL_TRANSPORT_NBD_CONNECTION_H_

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "transport/io_buffer.h"
#include "transport/nbd/exports.h"
#include "transport/nbd/negotiation.h"
#include "transport/nbd/wire.h"

namespace keyvol::nbd {

// After the handshake each of its threads takes a request in turn, serves it, and answers when it
// is done, in whatever order. A request that waits, for a key or for space, keeps its thread; when
// all of them wait the client waits, too. The threads own the connection together.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // `greeted` as in Negotiation.
  explicit Connection(UniqueFd fd, std::optional<uint32_t> greeted = std::nullopt)
      : wire_(std::move(fd)), greeted_(greeted) {}

  // What its server wants to know of it.
  struct Events {
    // After the handshake, before the first request. False: there must be none.
    std::function<bool(const std::string& export_id)> may_begin;
    // Once, by the last thread.
    std::function<void()> at_end;
  };

  // Begins with the handshake, in a thread. kNoSpace when there is no thread for it; nothing is
  // called then.
  Status Start(std::shared_ptr<const Exports> exports, Events events);
  // Takes no other request, ends those that wait, and tells the client.
  void End();
  // Whether it takes no other request: it was ended, or its client has closed it.
  bool IsOver() const;
  int fd() const { return wire_.fd(); }
  // Empty until the handshake is over.
  std::string export_id() const;

 private:
  struct Request {
    RequestHeader header;
    // Out of the header, in the machine's order.
    uint64_t offset_bytes = 0;
    uint64_t length_bytes = 0;
    uint16_t flags = 0;
  };

  // What a thread holds, and so the largest chunk of an answer. Longer requests go in pieces.
  static constexpr size_t kBufferBytes = 262144;
  // A small request has its share of the buffer. Not all that a client keeps under way: other
  // threads want some, too.
  static constexpr size_t kMostTogether = 8;
  static constexpr size_t kSmallBytes = kBufferBytes / kMostTogether;
  static std::span<std::byte> SlotOf(std::span<std::byte> buffer, size_t index,
                                     const Request& request) {
    return buffer.subspan(index * kSmallBytes, request.length_bytes);
  }

  class Answers;

  void Negotiate(const Exports& exports);
  bool StartThread(std::function<void()> body);
  void Serve();
  bool TakeRequest(Request* request);
  // Small plain reads and writes, `first` and those that have come after it, up to `*most`: served
  // one after the other, and answered together. Where that takes long the next time it is one.
  void ServeTogether(const Request& first, std::unique_lock<std::mutex>& receiving,
                     std::span<std::byte> buffer, size_t* most);
  bool TakeTogether(std::span<std::byte> buffer, std::span<Request> requests, size_t* count);
  // False when it would have to wait: then it is not answered.
  bool ServeSmall(const Request& request, std::span<std::byte> data, Answers& answers);
  static bool IsSmall(const RequestHeader& header);
  void ServeRequest(const Request& request, std::unique_lock<std::mutex>& receiving,
                    std::span<std::byte> buffer);
  void ServeWrite(const Request& request, std::unique_lock<std::mutex>& receiving,
                  std::span<std::byte> buffer);
  // Receives all of the data, whatever becomes of it. False at the end of the connection.
  bool TakeAndWrite(const Request& request, std::span<std::byte> buffer, Status* status);
  void ServeRead(const Request& request, std::span<std::byte> buffer);
  void ServeChunkedRead(const Request& request, std::span<std::byte> buffer);
  void ServeSimpleRead(const Request& request, std::span<std::byte> buffer);
  void ServeBlockStatus(const Request& request);
  Status Cache(const Request& request, std::span<std::byte> buffer);
  Status Zero(const Request& request, std::span<std::byte> buffer);
  Status FlushIfAsked(const Request& request);
  // What is wrong with a request whatever the disk says; ok when nothing is.
  Status Check(const Request& request) const;

  void Answer(const Request& request, const Status& status);
  void SendError(const Request& request, const Status& status);
  bool SendChunk(const Request& request, uint16_t flags, ChunkType type,
                 std::span<const std::byte> first, std::span<const std::byte> second = {});
  Disk& disk() const { return *agreement_.exported->disk; }

  Wire wire_;
  const std::optional<uint32_t> greeted_;
  Agreement agreement_;  // written before other threads begin
  Events events_;
  std::atomic<size_t> threads_{0};
  // Set by End; ends the waits of requests.
  std::atomic<bool> ended_{false};
  bool is_at_end_ = false;  // of what the client sends; under receive_mutex_
  std::atomic<bool> negotiated_{false};
  std::mutex receive_mutex_;
  std::mutex send_mutex_;
};

}  // namespace keyvol::nbd

#endif  // KEYVOL_TRANSPORT_NBD_CONNECTION_H_
