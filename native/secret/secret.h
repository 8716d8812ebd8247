// Key memory: never swapped, dumped or inherited by a fork, wiped when released.
#ifndef KEYVOL_SECRET_SECRET_H_
#define KEYVOL_SECRET_SECRET_H_

#include <cstddef>
#include <memory>
#include <span>

#include "status.h"

namespace keyvol {

// One secret of fixed length in memfd_secret(2) memory, or in locked, undumpable,
// wiped-on-fork memory where the kernel has none. Shared by reference count; wiped when the last
// reference goes or at Wipe().
class Secret {
 public:
  // 1 to 4096 bytes. kNoSpace when no locked memory is left. The bytes start as zeros.
  static Status Allocate(size_t length_bytes, std::shared_ptr<Secret>* secret);
  // Fresh bytes from the kernel's random generator.
  static Status Random(size_t length_bytes, std::shared_ptr<Secret>* secret);

  ~Secret();
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  std::span<std::byte> bytes() { return bytes_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  size_t length_bytes() const { return bytes_.size(); }
  // Zeros the bytes at once, for every holder of a reference.
  void Wipe();

 private:
  explicit Secret(std::span<std::byte> bytes) : bytes_(bytes) {}
  std::span<std::byte> bytes_;
};

// True when this process got memfd_secret(2) memory rather than the fallback.
bool SecretMemoryIsHidden();

// Whether the two halves of a key of even length differ, in constant time: XTS with two equal
// keys is not XTS (FIPS 140-3 IG C.I).
bool HalvesDiffer(std::span<const std::byte> key);

}  // namespace keyvol

#endif  // KEYVOL_SECRET_SECRET_H_
