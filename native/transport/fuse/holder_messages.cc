#include "transport/fuse/holder_messages.h"

#include <cstdlib>

namespace keyvol::fuse {

std::string Joined(const std::vector<std::string>& fields) {
  std::string packet;
  for (const std::string& field : fields) {
    if (&field != &fields.front()) packet += '\0';
    packet += field;
  }
  return packet;
}

std::vector<std::string> Fields(const std::string& packet) {
  std::vector<std::string> fields(1);
  for (const char c : packet) {
    if (c == '\0') {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  return fields;
}

std::string MessageOf(const Status& failure) {
  return Joined({kFailed, std::to_string(static_cast<int>(failure.code())),
                 std::to_string(failure.error_number()), failure.message()});
}

Status StatusOf(const std::vector<std::string>& fields) {
  const int code = fields.size() == 4 && fields[0] == kFailed ? atoi(fields[1].c_str()) : 0;
  if (code <= static_cast<int>(Code::kOk) || code > static_cast<int>(Code::kInterrupted)) {
    return Status::Error(Code::kInternal, "the holder's answer is not understood");
  }
  return Status::Error(static_cast<Code>(code), fields[3], atoi(fields[2].c_str()));
}

}  // namespace keyvol::fuse
