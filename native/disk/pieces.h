// How a request of any offset and length falls into pieces, whole sectors and partial ones.
#ifndef KEYVOL_DISK_PIECES_H_
#define KEYVOL_DISK_PIECES_H_

#include <algorithm>
#include <cstdint>

#include "status.h"
#include "xts/xts.h"

namespace keyvol {

// Calls visit(offset_bytes, length_bytes) for consecutive parts that end at multiples of
// piece_bytes, until one fails.
template <typename Visit>
Status ForEachPiece(uint64_t offset_bytes, uint64_t length_bytes, uint64_t piece_bytes,
                    Visit visit) {
  while (length_bytes > 0) {
    const uint64_t part_bytes = std::min(length_bytes, piece_bytes - offset_bytes % piece_bytes);
    RETURN_IF_ERROR(visit(offset_bytes, part_bytes));
    offset_bytes += part_bytes;
    length_bytes -= part_bytes;
  }
  return Status::Ok();
}

// Calls partial(offset_bytes, length_bytes) for a part that lies within one sector and is not all
// of it, whole(offset_bytes, length_bytes) for the run of whole sectors between.
template <typename Partial, typename Whole>
Status ForEachPart(uint64_t offset_bytes, uint64_t length_bytes, Partial partial, Whole whole) {
  while (length_bytes > 0) {
    const uint64_t in_sector = offset_bytes % kSectorBytes;
    const bool is_whole = in_sector == 0 && length_bytes >= kSectorBytes;
    const uint64_t part_bytes = is_whole ? length_bytes / kSectorBytes * kSectorBytes
                                         : std::min(length_bytes, kSectorBytes - in_sector);
    RETURN_IF_ERROR(is_whole ? whole(offset_bytes, part_bytes) : partial(offset_bytes, part_bytes));
    offset_bytes += part_bytes;
    length_bytes -= part_bytes;
  }
  return Status::Ok();
}

}  // namespace keyvol

#endif  // KEYVOL_DISK_PIECES_H_
