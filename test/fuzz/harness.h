// What the fuzz targets share: reading an input piece by piece.
#ifndef KEYVOL_TEST_FUZZ_HARNESS_H_
#define KEYVOL_TEST_FUZZ_HARNESS_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "support/promise.h"

namespace keyvol::fuzz {

// Takes an input apart from its front. At the end everything is zeros and empty.
class Input {
 public:
  Input(const uint8_t* data, size_t size_bytes) : left_(data, size_bytes) {}

  bool empty() const { return left_.empty(); }
  uint8_t Byte() {
    if (left_.empty()) return 0;
    const uint8_t byte = left_.front();
    left_ = left_.subspan(1);
    return byte;
  }
  uint16_t Word() {
    const uint16_t low = Byte();
    return static_cast<uint16_t>(low | Byte() << 8);
  }
  // At most `length_bytes`, borrowed from the input.
  std::span<const uint8_t> Bytes(size_t length_bytes) {
    const std::span<const uint8_t> taken = left_.first(std::min(length_bytes, left_.size()));
    left_ = left_.subspan(taken.size());
    return taken;
  }
  std::span<const uint8_t> Rest() { return Bytes(left_.size()); }
  std::string Text(size_t length_bytes) {
    const std::span<const uint8_t> bytes = Bytes(length_bytes);
    return {bytes.begin(), bytes.end()};
  }

 private:
  std::span<const uint8_t> left_;
};

}  // namespace keyvol::fuzz

#endif  // KEYVOL_TEST_FUZZ_HARNESS_H_
