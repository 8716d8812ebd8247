// What a container's metadata must say. Everything but exactly what CreateContainer writes is
// refused before any I/O.
#ifndef KEYVOL_CONTAINER_HEADER_RULES_H_
#define KEYVOL_CONTAINER_HEADER_RULES_H_

#include <cstdint>
#include <string>

#include "status.h"

namespace keyvol {

struct TokenFacts {
  std::string json;
  std::string layer_id;
  uint64_t size_bytes = 0;
};

// The LUKS2 metadata as JSON text. kHeaderInvalid with the first rule that it breaks.
Status CheckMetadata(const std::string& metadata_json, const std::string& path, TokenFacts* token);

// A token object as JSON text: type "keyvol", no keyslots, and in its context the layer and its
// size, a positive multiple of 4096. kHeaderInvalid otherwise.
Status ParseToken(const std::string& token_json, const std::string& path, TokenFacts* token);

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_HEADER_RULES_H_
