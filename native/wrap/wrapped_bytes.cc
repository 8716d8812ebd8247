#include "wrap/wrapped_bytes.h"

#include <algorithm>

namespace keyvol {

namespace {

constexpr uint8_t kMagic[] = {'K', 'V'};
constexpr uint8_t kFormat = 1;
constexpr size_t kMaxFieldBytes = 65535;

void AppendText(const std::string& text, std::vector<uint8_t>* bytes) {
  bytes->push_back(static_cast<uint8_t>(text.size() >> 8));
  bytes->push_back(static_cast<uint8_t>(text.size()));
  bytes->insert(bytes->end(), text.begin(), text.end());
}

}  // namespace

void AppendPrefix(const WrapLabel& label, std::vector<uint8_t>* bytes) {
  bytes->insert(bytes->end(), std::begin(kMagic), std::end(kMagic));
  bytes->push_back(kFormat);
  bytes->push_back(static_cast<uint8_t>(label.purpose));
  bytes->insert(bytes->end(), label.key_id.begin(), label.key_id.end());
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes->push_back(static_cast<uint8_t>(label.key_version >> shift));
  }
}

bool ParsePrefix(std::span<const uint8_t> bytes, WrapLabel* label) {
  if (bytes.size() < kPrefixBytes) return false;
  if (!std::equal(std::begin(kMagic), std::end(kMagic), bytes.begin())) return false;
  const auto purpose = static_cast<WrapPurpose>(bytes[3]);
  if (bytes[2] != kFormat) return false;
  if (purpose != WrapPurpose::kDataKey && purpose != WrapPurpose::kMasterKey) return false;
  label->purpose = purpose;
  std::copy_n(bytes.begin() + 4, label->key_id.size(), label->key_id.begin());
  label->key_version = 0;
  for (uint8_t byte : bytes.subspan(20, 4)) label->key_version = label->key_version << 8 | byte;
  return true;
}

Status AppendContext(const WrapContext& context, std::vector<uint8_t>* bytes) {
  WrapContext sorted = context;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) {
    const auto& [name, value] = sorted[i];
    if (i > 0 && sorted[i - 1].first == name) {
      return Status::Error(Code::kInvalidArgument, "wrap context names " + name + " twice");
    }
    if (name.size() > kMaxFieldBytes || value.size() > kMaxFieldBytes) {
      return Status::Error(Code::kInvalidArgument, "a wrap context field is over 65535 bytes");
    }
    AppendText(name, bytes);
    AppendText(value, bytes);
  }
  return Status::Ok();
}

}  // namespace keyvol
