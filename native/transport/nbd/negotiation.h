// The fixed newstyle handshake: which export a client gets, and how.
#ifndef KEYVOL_TRANSPORT_NBD_NEGOTIATION_H_
#define KEYVOL_TRANSPORT_NBD_NEGOTIATION_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/nbd/exports.h"
#include "transport/nbd/wire.h"

namespace keyvol::nbd {

// What a client and we have agreed on.
struct Agreement {
  std::shared_ptr<const Export> exported;
  bool structured = false;
  bool allocation = false;  // block status says what is allocated
};

class Negotiation {
 public:
  // `greeted`: the client's flags, when they have been exchanged before.
  Negotiation(Wire& wire, const Exports& exports, std::optional<uint32_t> greeted)
      : wire_(wire), exports_(exports), greeted_(greeted) {}

  // False when the client went away, asked to end, or does not speak the protocol.
  bool Run(Agreement* agreement);

 private:
  enum class Step { kMore, kEnd, kTransmission };

  bool Greet();
  Step ServeOption();
  Step ServeExportName();
  Step ServeList();
  Step ServeInfo(Option option);
  Step ServeStructuredReply();
  Step ServeMetaContext(Option option);
  Step RefuseUnread(uint32_t option, uint32_t length_bytes);

  bool SendInfo(Option option, const Export& exported);
  uint16_t FlagsOf(const Export& exported) const;
  Step Reply(uint32_t option, uint32_t type, const std::string& text = "");
  bool SendReply(uint32_t option, uint32_t type,
                 std::initializer_list<std::span<const std::byte>> parts);

  // Of the option's data; false when there is less of it than that.
  template <typename Number>
  bool Take(Number* number);
  bool TakeText(std::string* text);

  static constexpr size_t kMaxNameBytes = 4096;
  // Nobody who means well haggles for longer.
  static constexpr int kMaxOptions = 4096;

  Wire& wire_;
  const Exports& exports_;
  const std::optional<uint32_t> greeted_;
  Agreement agreement_;
  // The export that base:allocation was agreed on for.
  std::string allocation_of_;
  bool no_zeroes_ = false;
  std::vector<std::byte> data_;
  std::span<const std::byte> rest_;  // of data_, not yet taken
};

}  // namespace keyvol::nbd

#endif  // KEYVOL_TRANSPORT_NBD_NEGOTIATION_H_
