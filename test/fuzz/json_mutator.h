// Mutations that keep JSON well-formed: plain ones hardly ever get past a parser.
#ifndef KEYVOL_TEST_FUZZ_JSON_MUTATOR_H_
#define KEYVOL_TEST_FUZZ_JSON_MUTATOR_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace keyvol::fuzz {

using Json = nlohmann::ordered_json;

inline void CollectNodes(Json& node, std::vector<Json*>* nodes) {
  nodes->push_back(&node);
  if (node.is_structured()) {
    for (Json& child : node) CollectNodes(child, nodes);
  }
}

// Where a mutated text is no UTF-8, it is made so.
inline std::string TextOf(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

class JsonMutator {
 public:
  explicit JsonMutator(unsigned seed) : random_(seed) {}

  void MutateOnce(Json& root) {
    std::vector<Json*> nodes;
    CollectNodes(root, &nodes);
    Json& node = *nodes[Below(nodes.size())];
    const Json other = *nodes[Below(nodes.size())];
    switch (Below(7)) {
      case 0:
        node = Interesting();
        break;
      case 1:
        node = other;
        break;
      case 2:
        Remove(node);
        break;
      case 3:
        Add(node, other);
        break;
      case 4:
        Rename(node);
        break;
      case 5:
        node = node.is_string() ? Json(Mutated(node.get<std::string>())) : Json(TextOf(node));
        break;
      default:
        node = Json::array({node});
    }
  }

 private:
  size_t Below(size_t limit) { return random_() % limit; }

  Json Interesting() {
    static const Json values = {nullptr,
                                true,
                                0,
                                1,
                                -1,
                                4096,
                                4097,
                                1048576,
                                9007199254740993,
                                -1e308,
                                "",
                                "0",
                                "1",
                                "-1",
                                "01",
                                "4096",
                                "4097",
                                "1048576",
                                "0x10",
                                " 1",
                                "dynamic",
                                "none",
                                "crypt",
                                "luks2",
                                "linear",
                                "keyvol",
                                "18446744073709551615",
                                "18446744073709551616",
                                "aes-xts-plain64",
                                "cipher_null-ecb",
                                "aes-cbc-essiv:sha256",
                                "backup-final",
                                Json::object(),
                                Json::array()};
    return values[Below(values.size())];
  }

  void Remove(Json& node) {
    if (node.is_structured() && !node.empty()) {
      auto victim = node.begin();
      std::advance(victim, Below(node.size()));
      node.erase(victim);
    }
  }

  void Add(Json& node, const Json& value) {
    if (node.is_array()) node.push_back(value);
    if (node.is_object()) node[NameLike(node)] = value;
  }

  // A name that is there, one beside it, or a new one.
  std::string NameLike(const Json& node) {
    static const char* const names[] = {
        "0",    "1",        "2",    "31",        "flags",    "iv_tweak", "size", "requirements",
        "type", "keyslots", "mode", "integrity", "mandatory"};
    if (node.empty() || Below(2) == 0) return names[Below(std::size(names))];
    auto member = node.begin();
    std::advance(member, Below(node.size()));
    return member.key() + (Below(2) == 0 ? "" : "1");
  }

  void Rename(Json& node) {
    if (!node.is_object() || node.empty()) return;
    auto member = node.begin();
    std::advance(member, Below(node.size()));
    const Json value = *member;
    node.erase(member);
    node[NameLike(node)] = value;
  }

  static std::string Mutated(std::string text) {
    const size_t length = text.size();
    text.resize(length + 16);
    text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(text.data()), length, text.size()));
    return text;
  }

  std::mt19937 random_;
};

// For LLVMFuzzerCustomMutator: changes the JSON text at data[0, size), at most max_size long after.
// Now and then, and always where the text is no JSON, the bytes are changed without regard to it.
inline size_t MutateJson(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Json root = Json::parse(data, data + size, nullptr, false);
  if (root.is_discarded() || seed % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  JsonMutator mutator(seed);
  for (unsigned left = seed / 4 % 3 + 1; left > 0; --left) mutator.MutateOnce(root);
  const std::string text = TextOf(root);
  if (text.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, text.data(), text.size());
  return text.size();
}

}  // namespace keyvol::fuzz

#endif  // KEYVOL_TEST_FUZZ_JSON_MUTATOR_H_
