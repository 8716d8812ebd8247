// The two binary headers of a LUKS2 file (LUKS2 on-disk format 1.1.3, chapter 2), as far as
// telling good copies from bad ones needs.
#ifndef KEYVOL_CONTAINER_HEADER_COPIES_H_
#define KEYVOL_CONTAINER_HEADER_COPIES_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "container/container.h"
#include "status.h"

namespace keyvol {

// One copy: the binary header of 4096 bytes and its JSON. The second one follows the first.
inline constexpr size_t kHeaderCopyBytes = 16384;

struct HeaderCopies {
  CopyState first = CopyState::kDamaged;
  CopyState second = CopyState::kDamaged;
};

// `header` is the start of the file, at least both copies long. kHeaderInvalid, saying what the
// file seems to be instead, when no copy of our layout has a right checksum.
Status InspectHeaderCopies(std::span<const std::byte> header, const std::string& path,
                           HeaderCopies* copies);

// Whether two good copies say the same: all but what each has of its own.
bool SameHeader(std::span<const std::byte> header);

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_HEADER_COPIES_H_
