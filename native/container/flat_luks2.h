// A LUKS2 file for everyone: no token, a passphrase instead, so that cryptsetup and GRUB open it.
#ifndef KEYVOL_CONTAINER_FLAT_LUKS2_H_
#define KEYVOL_CONTAINER_FLAT_LUKS2_H_

#include <cstdint>
#include <string>

#include "secret/secret.h"
#include "status.h"

namespace keyvol {

// What makes a key of the passphrase. GRUB knows only PBKDF2.
enum class Pbkdf { kPbkdf2, kArgon2id };

struct FlatLuks2Options {
  std::string path;         // must not exist: created with O_EXCL, mode 0600
  uint64_t size_bytes = 0;  // of the disk; the file becomes kDataOffsetBytes + size_bytes long
  Pbkdf pbkdf = Pbkdf::kPbkdf2;
};

// Makes the file: a header of the layout of our containers with a UUID of its own and one keyslot.
// All its sectors are still unwritten, which other tools decrypt to noise. Not yet flushed. On any
// failure nothing is left. kInvalidArgument for a key that is no data key, and for a passphrase
// that cannot be typed. Takes some tenths of a second.
Status CreateFlatLuks2(const FlatLuks2Options& options, const Secret& data_key,
                       const Secret& passphrase);

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_FLAT_LUKS2_H_
