#include "transport/nbd/negotiation.h"

#include <array>
#include <cstring>
#include <utility>

namespace keyvol::nbd {

namespace {

std::span<const std::byte> BytesOfText(const std::string& text) {
  return std::as_bytes(std::span(text));
}

// Whether a query of LIST_META_CONTEXT asks for base:allocation, by its name or its namespace.
bool AsksForAllocation(const std::string& query, bool is_list) {
  return query == kAllocationContext || (is_list && query == "base:");
}

}  // namespace

bool Negotiation::Run(Agreement* agreement) {
  if (!Greet()) return false;
  for (int i = 0; i < kMaxOptions; ++i) {
    const Step step = ServeOption();
    if (step == Step::kMore) continue;
    *agreement = std::move(agreement_);
    return step == Step::kTransmission;
  }
  return false;
}

bool Negotiation::Greet() {
  Big32 flags = greeted_.value_or(0);
  if (!greeted_) {
    if (!wire_.Send({BytesOf(Greeting())}) || !wire_.ReceiveMessage(&flags)) return false;
  }
  if ((flags & ~kKnownFlags) != 0) return false;
  no_zeroes_ = (flags & kNoZeroes) != 0;
  return true;
}

Negotiation::Step Negotiation::ServeOption() {
  OptionHeader header;
  if (!wire_.ReceiveMessage(&header) || header.magic != kOptionMagic) return Step::kEnd;
  if (header.length_bytes > kMaxOptionBytes) {
    return RefuseUnread(header.option, header.length_bytes);
  }
  data_.resize(header.length_bytes);
  if (!wire_.Receive(data_)) return Step::kEnd;
  rest_ = data_;
  const auto option = static_cast<Option>(static_cast<uint32_t>(header.option));
  switch (option) {
    case kExportName:
      return ServeExportName();
    case kAbort:
      static_cast<void>(Reply(kAbort, kAck));
      return Step::kEnd;
    case kList:
      return ServeList();
    case kInfo:
    case kGo:
      return ServeInfo(option);
    case kStructuredReply:
      return ServeStructuredReply();
    case kListMetaContext:
    case kSetMetaContext:
      return ServeMetaContext(option);
    case kStartTls:
      // Over TLS already, or a Unix socket.
      if (greeted_) return Reply(option, kErrInvalid, "this is TLS");
      break;
  }
  return Reply(header.option, kErrUnsupported, "keyvol does not have this option");
}

Negotiation::Step Negotiation::RefuseUnread(uint32_t option, uint32_t length_bytes) {
  // No client needs that much, but the stream can still be followed.
  if (option == kExportName || length_bytes > kMaxPayloadBytes) return Step::kEnd;
  if (!wire_.Skip(length_bytes)) return Step::kEnd;
  return Reply(option, kErrTooBig, "the option is longer than 64 KiB");
}

// The one option that knows no error but the end of the connection.
Negotiation::Step Negotiation::ServeExportName() {
  const std::string name(reinterpret_cast<const char*>(data_.data()), data_.size());
  agreement_.exported = exports_.Find(name);
  if (agreement_.exported == nullptr) return Step::kEnd;
  agreement_.allocation = allocation_of_ == name;
  const ExportNameReply reply = {.size_bytes = agreement_.exported->disk->size_bytes(),
                                 .flags = FlagsOf(*agreement_.exported)};
  const std::array<std::byte, kExportNameZeroes> zeroes = {};
  const size_t zeroes_bytes = no_zeroes_ ? 0 : zeroes.size();
  const bool sent = wire_.Send({BytesOf(reply), std::span(zeroes).first(zeroes_bytes)});
  return sent ? Step::kTransmission : Step::kEnd;
}

Negotiation::Step Negotiation::ServeList() {
  if (!rest_.empty()) return Reply(kList, kErrInvalid, "a list is asked for without data");
  for (const std::string& name : exports_.Names()) {
    const Big32 length_bytes = static_cast<uint32_t>(name.size());
    if (!SendReply(kList, kServer, {BytesOf(length_bytes), BytesOfText(name)})) return Step::kEnd;
  }
  return Reply(kList, kAck);
}

Negotiation::Step Negotiation::ServeInfo(Option option) {
  std::string name;
  Big16 requests;
  if (!TakeText(&name) || !Take(&requests) || rest_.size() != requests * sizeof(Big16)) {
    return Reply(option, kErrInvalid, "the lengths in the option do not fit together");
  }
  const std::shared_ptr<const Export> exported = exports_.Find(name);
  if (exported == nullptr) {
    return Reply(option, kErrUnknown, "no disk '" + name + "' is attached over NBD");
  }
  if (!SendInfo(option, *exported)) return Step::kEnd;
  const Step step = Reply(option, kAck);
  if (step == Step::kEnd || option == kInfo) return step;
  agreement_.exported = exported;
  agreement_.allocation = allocation_of_ == name;
  return Step::kTransmission;
}

bool Negotiation::SendInfo(Option option, const Export& exported) {
  const ExportInfo info = {.size_bytes = exported.disk->size_bytes(), .flags = FlagsOf(exported)};
  // Whatever was asked for: extra information is allowed, and every client takes these.
  const BlockSizeInfo sizes = {
      .smallest_bytes = 1, .preferred_bytes = kPreferredBytes, .largest_bytes = kMaxPayloadBytes};
  return SendReply(option, kInfoReply, {BytesOf(info)}) &&
         SendReply(option, kInfoReply, {BytesOf(sizes)});
}

Negotiation::Step Negotiation::ServeStructuredReply() {
  if (!rest_.empty()) return Reply(kStructuredReply, kErrInvalid, "the option has no data");
  agreement_.structured = true;
  return Reply(kStructuredReply, kAck);
}

Negotiation::Step Negotiation::ServeMetaContext(Option option) {
  const bool is_list = option == kListMetaContext;
  std::string name;
  Big32 queries;
  if (!is_list) allocation_of_.clear();
  if (!TakeText(&name) || !Take(&queries)) {
    return Reply(option, kErrInvalid, "the lengths in the option do not fit together");
  }
  bool is_wanted = is_list && queries == 0;
  for (uint32_t i = 0; i < queries; ++i) {
    std::string query;
    if (!TakeText(&query)) {
      return Reply(option, kErrInvalid, "the lengths in the option do not fit together");
    }
    is_wanted = is_wanted || AsksForAllocation(query, is_list);
  }
  if (!rest_.empty()) return Reply(option, kErrInvalid, "the option is longer than its parts");
  if (!is_list && !agreement_.structured) {
    return Reply(option, kErrInvalid, "structured replies are needed first");
  }
  if (exports_.Find(name) == nullptr) {
    return Reply(option, kErrUnknown, "no disk '" + name + "' is attached over NBD");
  }
  if (is_wanted) {
    if (!is_list) allocation_of_ = name;
    const Big32 id = is_list ? 0 : kAllocationContextId;
    const std::string context = kAllocationContext;
    if (!SendReply(option, kMetaContext, {BytesOf(id), BytesOfText(context)})) return Step::kEnd;
  }
  return Reply(option, kAck);
}

uint16_t Negotiation::FlagsOf(const Export& exported) const {
  // A flush covers all connections, for they share the disk.
  uint16_t flags = kHasFlags | kSendFlush | kCanMultiConn | kSendCache;
  flags |= exported.read_only ? kReadOnly : kSendFua | kSendTrim | kSendWriteZeroes;
  if (agreement_.structured) flags |= kSendDf;
  return flags;
}

Negotiation::Step Negotiation::Reply(uint32_t option, uint32_t type, const std::string& text) {
  return SendReply(option, type, {BytesOfText(text)}) ? Step::kMore : Step::kEnd;
}

bool Negotiation::SendReply(uint32_t option, uint32_t type,
                            std::initializer_list<std::span<const std::byte>> parts) {
  size_t length_bytes = 0;
  for (const std::span<const std::byte> part : parts) length_bytes += part.size();
  const OptionReplyHeader header = {
      .option = option, .type = type, .length_bytes = static_cast<uint32_t>(length_bytes)};
  const std::span<const std::byte> second =
      parts.size() > 1 ? *(parts.begin() + 1) : std::span<const std::byte>();
  return wire_.Send({BytesOf(header), *parts.begin(), second});
}

template <typename Number>
bool Negotiation::Take(Number* number) {
  if (rest_.size() < sizeof *number) return false;
  std::memcpy(number, rest_.data(), sizeof *number);
  rest_ = rest_.subspan(sizeof *number);
  return true;
}

bool Negotiation::TakeText(std::string* text) {
  Big32 length_bytes;
  if (!Take(&length_bytes)) return false;
  if (length_bytes > kMaxNameBytes || length_bytes > rest_.size()) return false;
  text->assign(reinterpret_cast<const char*>(rest_.data()), length_bytes);
  rest_ = rest_.subspan(length_bytes);
  return true;
}

}  // namespace keyvol::nbd
