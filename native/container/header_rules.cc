#include "container/header_rules.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <string_view>

#include "container/container.h"

namespace keyvol {

namespace {

using Json = nlohmann::json;

constexpr uint64_t kSectorMultiple = 4096;
// libcryptsetup writes its minimum, 1000: the key is random. A header that asks for many more is
// made to keep us busy.
constexpr int64_t kMaxDigestIterations = 1000000;

// The only segment that a container has.
const Json& OurSegment() {
  static const Json segment = {{"type", "crypt"},
                               {"offset", std::to_string(kDataOffsetBytes)},
                               {"size", "dynamic"},
                               {"iv_tweak", "0"},
                               {"encryption", "aes-xts-plain64"},
                               {"sector_size", 4096}};
  return segment;
}

const Json& OurConfig() {
  static const Json config = {{"json_size", "12288"}, {"keyslots_size", "524288"}};
  return config;
}

Status Refuse(const std::string& path, const std::string& reason) {
  return Status::Error(Code::kHeaderInvalid, path + " " + reason);
}

// A member, or null where there is none: LUKS2 metadata never holds nulls.
const Json& Member(const Json& object, const char* name) {
  static const Json none;
  if (!object.is_object()) return none;
  const auto member = object.find(name);
  return member == object.end() ? none : *member;
}

std::string TextOf(const Json& value) {
  return value.is_string() ? value.get<std::string>() : std::string();
}

Status CheckSegments(const Json& segments, const std::string& path) {
  if (segments.size() != 1 || !segments.contains("0")) {
    return Refuse(path, "does not have exactly one segment");
  }
  const Json& segment = segments["0"];
  const std::string cipher = TextOf(Member(segment, "encryption"));
  if (cipher != "aes-xts-plain64") {
    return Refuse(path, "has the cipher " + cipher + ", not aes-xts-plain64");
  }
  for (const auto& [name, expected] : OurSegment().items()) {
    if (Member(segment, name.c_str()) != expected) {
      return Refuse(path, "has a segment with another " + name + " than " + expected.dump());
    }
  }
  if (segment != OurSegment()) return Refuse(path, "has a segment with more than keyvol writes");
  return Status::Ok();
}

// 32 bytes in base64: 43 digits, the last of which has its two low bits clear, and one "=".
bool Is32BytesInBase64(const Json& value) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const std::string text = TextOf(value);
  return text.size() == 44 && text.find_first_not_of(kDigits) == 43 && text.back() == '=' &&
         kDigits.find(text[42]) % 4 == 0;
}

// libcryptsetup 2.6 takes any key for the right one when it cannot read the digest, its salt or
// its hash.
bool IsOurDigest(const Json& digest) {
  const Json& salt = Member(digest, "salt");
  const Json& hashed = Member(digest, "digest");
  const Json ours = {{"type", "pbkdf2"},
                     {"keyslots", Json::array()},
                     {"segments", {"0"}},
                     {"hash", "sha256"},
                     {"iterations", Member(digest, "iterations")},
                     {"salt", salt},
                     {"digest", hashed}};
  return digest == ours && Is32BytesInBase64(salt) && Is32BytesInBase64(hashed);
}

Status CheckDigests(const Json& digests, const std::string& path) {
  const Json& digest = Member(digests, "0");
  const Json& iterations = Member(digest, "iterations");
  if (digests.size() != 1 || TextOf(Member(digest, "type")) != "pbkdf2" ||
      Member(digest, "segments") != Json::array({"0"}) || !iterations.is_number_integer()) {
    return Refuse(path, "does not have exactly one key digest");
  }
  if (iterations.get<int64_t>() < 1 || iterations.get<int64_t>() > kMaxDigestIterations) {
    return Refuse(path, "has a key digest of too many iterations");
  }
  if (!IsOurDigest(digest)) return Refuse(path, "has another key digest than keyvol writes");
  return Status::Ok();
}

Status CheckConfig(const Json& config, const std::string& path) {
  if (config.contains("requirements")) return Refuse(path, "has LUKS2 requirements");
  if (config != OurConfig()) return Refuse(path, "has another LUKS2 configuration than keyvol's");
  return Status::Ok();
}

// Decimal digits only, no sign, no leading zero.
bool ParseSize(const std::string& text, uint64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc() && end == text.data() + text.size() && text[0] != '0';
}

Status FactsOf(const Json& token, const std::string& path, TokenFacts* facts) {
  if (TextOf(Member(token, "type")) != "keyvol" || Member(token, "keyslots") != Json::array()) {
    return Refuse(path, "has no keyvol token");
  }
  const Json& context = Member(token, "context");
  facts->json = token.dump();
  facts->layer_id = TextOf(Member(context, "layer"));
  if (!ParseSize(TextOf(Member(context, "size_bytes")), &facts->size_bytes) ||
      facts->size_bytes % kSectorMultiple != 0) {
    return Refuse(path, "has a keyvol token without a size that is a multiple of 4096");
  }
  // Compared with the header's UUID, which may be empty, too.
  if (facts->layer_id.empty()) return Refuse(path, "has a keyvol token without a layer");
  return Status::Ok();
}

}  // namespace

Status ParseToken(const std::string& token_json, const std::string& path, TokenFacts* token) {
  const Json parsed = Json::parse(token_json, nullptr, false);
  if (!parsed.is_object()) return Refuse(path, "has a token that is not a JSON object");
  return FactsOf(parsed, path, token);
}

Status CheckMetadata(const std::string& metadata_json, const std::string& path, TokenFacts* token) {
  const Json metadata = Json::parse(metadata_json, nullptr, false);
  RETURN_IF_ERROR(CheckSegments(Member(metadata, "segments"), path));
  RETURN_IF_ERROR(CheckConfig(Member(metadata, "config"), path));
  if (Member(metadata, "keyslots") != Json::object()) return Refuse(path, "has LUKS2 keyslots");
  RETURN_IF_ERROR(CheckDigests(Member(metadata, "digests"), path));
  const Json& tokens = Member(metadata, "tokens");
  if (tokens.size() != 1) return Refuse(path, "does not have exactly one token");
  return FactsOf(*tokens.begin(), path, token);
}

}  // namespace keyvol
