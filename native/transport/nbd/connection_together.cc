#include <algorithm>
#include <chrono>
#include <cstring>

#include "disk/gate.h"
#include "transport/nbd/connection.h"

namespace keyvol::nbd {

namespace {

// Answers wait for those behind them no longer than this, which many take out of the page cache
// and none of them takes out of storage.
constexpr std::chrono::microseconds kPatience(100);

struct DataHead {
  Chunk chunk;
  Big64 offset_bytes;
};

}  // namespace

// Answers on their way, with data that stays where it is until they are sent.
class Connection::Answers {
 public:
  static constexpr size_t kMost = Wire::kMaxParts / 2;

  Answers(Wire& wire, std::mutex& send_mutex) : wire_(wire), send_mutex_(send_mutex) {}

  void AddDone(uint64_t cookie, std::span<const std::byte> data) {
    simple_[count_] = {.error = 0, .cookie = cookie};
    Add(BytesOf(simple_[count_]), data);
  }
  void AddChunk(uint64_t cookie, uint64_t offset_bytes, std::span<const std::byte> data) {
    chunks_[count_] = {.chunk = {.flags = kDone,
                                 .type = kOffsetData,
                                 .cookie = cookie,
                                 .length_bytes = static_cast<uint32_t>(
                                     sizeof(DataHead::offset_bytes) + data.size())},
                       .offset_bytes = offset_bytes};
    Add(BytesOf(chunks_[count_]), data);
  }
  void Send() {
    if (count_ == 0) return;
    const std::lock_guard sending(send_mutex_);
    static_cast<void>(wire_.Send(std::span(parts_).first(2 * count_)));
    count_ = 0;
  }
  bool SendIfOld() {
    const auto now = std::chrono::steady_clock::now();
    if (now - start_ < kPatience) return false;
    Send();
    start_ = now;
    return true;
  }

 private:
  void Add(std::span<const std::byte> head, std::span<const std::byte> data) {
    parts_[2 * count_] = head;
    parts_[2 * count_ + 1] = data;
    ++count_;
  }

  Wire& wire_;
  std::mutex& send_mutex_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  size_t count_ = 0;
  std::array<SimpleReply, kMost> simple_;
  std::array<DataHead, kMost> chunks_;
  std::array<std::span<const std::byte>, Wire::kMaxParts> parts_;
};

bool Connection::IsSmall(const RequestHeader& header) {
  const bool has_data = header.command == kRead || header.command == kWrite;
  return has_data && header.flags == 0 && header.length_bytes <= kSmallBytes;
}

void Connection::ServeTogether(const Request& first, std::unique_lock<std::mutex>& receiving,
                               std::span<std::byte> buffer, size_t* most) {
  static_assert(kMostTogether <= Answers::kMost);
  std::array<Request, kMostTogether> requests = {first};
  size_t count = *most;
  if (!TakeTogether(buffer, requests, &count)) return;  // and so does whoever receives next
  receiving.unlock();
  Answers answers(wire_, send_mutex_);
  std::array<size_t, kMostTogether> waiting;
  size_t waiting_count = 0;
  *most = kMostTogether;
  for (size_t index = 0; index < count; ++index) {
    const NoWaiting no_waiting;
    if (!ServeSmall(requests[index], SlotOf(buffer, index, requests[index]), answers)) {
      waiting[waiting_count++] = index;
    }
    if (answers.SendIfOld()) *most = 1;
  }
  answers.Send();
  for (const size_t index : std::span(waiting).first(waiting_count)) {
    ServeSmall(requests[index], SlotOf(buffer, index, requests[index]), answers);
    answers.Send();
  }
}

bool Connection::TakeTogether(std::span<std::byte> buffer, std::span<Request> requests,
                              size_t* count) {
  const size_t most = *count;
  for (size_t taken = 1;; ++taken) {
    const Request& request = requests[taken - 1];
    const bool is_write = request.header.command == kWrite;
    if (is_write && !wire_.Receive(SlotOf(buffer, taken - 1, request))) return false;
    *count = taken;
    RequestHeader next;
    const std::span<const std::byte> ahead = wire_.ahead();
    if (taken == most || ahead.size() < sizeof next) return true;
    std::memcpy(&next, ahead.data(), sizeof next);
    if (next.magic != kRequestMagic || !IsSmall(next)) return true;
    const size_t data_bytes = next.command == kWrite ? size_t{next.length_bytes} : 0;
    if (ahead.size() < sizeof next + data_bytes) return true;
    TakeRequest(&requests[taken]);
  }
}

bool Connection::ServeSmall(const Request& request, std::span<std::byte> data, Answers& answers) {
  const bool is_read = request.header.command == kRead;
  Status status = Check(request);
  if (status.ok()) {
    status = is_read ? disk().Read(request.offset_bytes, data)
                     : disk().Write(request.offset_bytes, data);
  }
  if (status.code() == Code::kWouldWait) return false;
  if (!status.ok()) {
    SendError(request, status);
  } else if (is_read && agreement_.structured) {
    answers.AddChunk(request.header.cookie, request.offset_bytes, data);
  } else {
    answers.AddDone(request.header.cookie, is_read ? data : std::span<const std::byte>());
  }
  return true;
}

}  // namespace keyvol::nbd
