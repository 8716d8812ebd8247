// The rules on LUKS2 metadata and on tokens: every text is judged, none crashes, and what is
// accepted holds what the rules promise.
#include "container/header_rules.h"
#include "fuzz/harness.h"
#include "fuzz/json_mutator.h"

namespace {

using keyvol::Code;
using keyvol::Promise;
using keyvol::Status;
using keyvol::TokenFacts;

const std::string kPath = "the input";

void CheckRefusal(const Status& refusal) {
  Promise(refusal.code() == Code::kHeaderInvalid, "a refusal has the code of an invalid header");
  Promise(refusal.message().starts_with(kPath), "a refusal names the file");
}

void CheckFacts(const TokenFacts& facts) {
  Promise(facts.size_bytes > 0 && facts.size_bytes % 4096 == 0, "a size is whole sectors");
  TokenFacts again;
  Promise(keyvol::ParseToken(facts.json, kPath, &again).ok(), "a token that was read is one");
  Promise(again.json == facts.json && again.layer_id == facts.layer_id &&
              again.size_bytes == facts.size_bytes,
          "a token reads the same twice");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  TokenFacts facts;
  const Status token = keyvol::ParseToken(text, kPath, &facts);
  token.ok() ? CheckFacts(facts) : CheckRefusal(token);
  const Status metadata = keyvol::CheckMetadata(text, kPath, &facts);
  metadata.ok() ? CheckFacts(facts) : CheckRefusal(metadata);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  return keyvol::fuzz::MutateJson(data, size, max_size, seed);
}
