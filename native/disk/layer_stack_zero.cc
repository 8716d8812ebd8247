// Discarding, writing zeros, and telling data from holes.
#include <algorithm>
#include <bit>
#include <cassert>

#include "disk/layer_stack.h"
#include "disk/pieces.h"

namespace keyvol {

namespace {

// Enough for good throughput, little enough to keep one a thread.
constexpr uint64_t kScratchSectors = 32;

std::span<std::byte> Scratch() {
  alignas(kSectorBytes) static thread_local std::byte bytes[kScratchSectors * kSectorBytes];
  return bytes;
}

// The end of the run of equal bits that starts at `first`.
template <typename Bits>
uint64_t RunEnd(const Bits& bits, uint64_t first, uint64_t end) {
  uint64_t last = first + 1;
  while (last < end && bits[last] == bits[first]) ++last;
  return last;
}

}  // namespace

Status LayerStack::Discard(uint64_t offset_bytes, uint64_t length_bytes) {
  return discards_.Measure(
      [&] { return space_.Retry([&] { return ZeroAll(offset_bytes, length_bytes); }); });
}

Status LayerStack::WriteZeroes(uint64_t offset_bytes, uint64_t length_bytes) {
  return Discard(offset_bytes, length_bytes);
}

// With the gate's leave for each piece: a long one must hold up neither a snapshot nor a cut-off.
Status LayerStack::ZeroAll(uint64_t offset_bytes, uint64_t length_bytes) {
  const uint64_t end_bytes = offset_bytes + length_bytes;
  do {
    if (Interruptible::IsSet()) return Interruptible::Interrupted();
    RETURN_IF_ERROR(ZeroNextPiece(&offset_bytes, end_bytes));
  } while (offset_bytes < end_bytes);
  return Status::Ok();
}

Status LayerStack::ZeroNextPiece(uint64_t* offset_bytes, uint64_t end_bytes) {
  GatePass pass(gate_, Access::kWrite);
  RETURN_IF_ERROR(pass.status());
  RETURN_IF_ERROR(CheckWritable());
  RETURN_IF_ERROR(CheckRange(*offset_bytes, end_bytes - *offset_bytes));
  const uint64_t piece_bytes = layers_.size() == 1 ? kPunchPieceBytes : kPieceBytes;
  // What nobody holds is zeros already: trimming an empty disk must not walk its sectors.
  const uint64_t next_bytes = NextMaybe(*offset_bytes / kSectorBytes) * kSectorBytes;
  const uint64_t first_bytes = std::max(*offset_bytes, next_bytes);
  *offset_bytes = std::min(end_bytes, first_bytes + piece_bytes - first_bytes % piece_bytes);
  if (first_bytes >= end_bytes) return Status::Ok();
  const auto guard = LockBytes(first_bytes, *offset_bytes - first_bytes, LockMode::kExclusive);
  const Status status = ZeroPiece(first_bytes, *offset_bytes - first_bytes);
  changes_.fetch_add(1);
  return status;
}

Status LayerStack::ZeroPiece(uint64_t offset_bytes, uint64_t length_bytes) {
  return ForEachPart(
      offset_bytes, length_bytes,
      [&](uint64_t at, uint64_t length) { return ZeroPartial(at, length); },
      [&](uint64_t at, uint64_t length) {
        return ZeroSectors(at / kSectorBytes, length / kSectorBytes);
      });
}

Status LayerStack::ZeroPartial(uint64_t offset_bytes, uint64_t length_bytes) {
  static constexpr std::byte kZeros[kSectorBytes] = {};
  HeldSectors held;
  RETURN_IF_ERROR(FindHeld(0, offset_bytes / kSectorBytes, 1, &held));
  if (!held[0]) return Status::Ok();
  return WritePartial(offset_bytes, std::span(kZeros, length_bytes));
}

Status LayerStack::ZeroSectors(uint64_t first_sector, uint64_t sectors) {
  HeldSectors held_below;
  RETURN_IF_ERROR(FindHeld(1, first_sector, sectors, &held_below));
  for (uint64_t first = 0; first < sectors;) {
    const uint64_t end = RunEnd(held_below, first, sectors);
    RETURN_IF_ERROR(held_below[first] ? WriteEncryptedZeros(first_sector + first, end - first)
                                      : RemoveFromTop(first_sector + first, end - first));
    first = end;
  }
  return Status::Ok();
}

Status LayerStack::WriteEncryptedZeros(uint64_t first_sector, uint64_t sectors) {
  while (sectors > 0) {
    const uint64_t count = std::min(sectors, kScratchSectors);
    const auto zeros = Scratch().first(count * kSectorBytes);
    std::fill(zeros.begin(), zeros.end(), std::byte{0});
    RETURN_IF_ERROR(WriteSectors(first_sector, zeros));
    first_sector += count;
    sectors -= count;
  }
  return Status::Ok();
}

// One hole from the first sector that may be in the top to the last, whatever lies between.
Status LayerStack::RemoveFromTop(uint64_t first_sector, uint64_t sectors) {
  Layer& top = *layers_.front();
  const uint64_t end = first_sector + sectors;
  uint64_t hole_first = end;
  uint64_t hole_end = end;
  for (uint64_t sector = first_sector; sector < end;) {
    const Layer::Run run = top.NextRun(sector, end - sector);
    if (run.look) {
      hole_first = std::min(hole_first, sector);
      hole_end = sector + run.sectors;
    }
    sector += run.sectors;
  }
  return hole_first == end ? Status::Ok() : top.Deallocate(hole_first, hole_end - hole_first);
}

Status LayerStack::FindHeld(size_t first_layer, uint64_t first_sector, uint64_t sectors,
                            HeldSectors* held) {
  assert(sectors <= held->size());
  for (size_t i = first_layer; i < layers_.size() && first_sector < visible_sectors_[i]; ++i) {
    const uint64_t visible = std::min(sectors, visible_sectors_[i] - first_sector);
    for (uint64_t bit = 0; bit < visible;) {
      const Layer::Run run = layers_[i]->NextRun(first_sector + bit, visible - bit);
      const uint64_t end = std::min(bit + run.sectors, RunEnd(*held, bit, visible));
      // What a layer above holds need not be asked of this one.
      if (run.look && !(*held)[bit]) {
        RETURN_IF_ERROR(FindHeldHere(*layers_[i], first_sector + bit, end - bit, bit, held));
      }
      bit = end;
    }
  }
  return Status::Ok();
}

Status LayerStack::FindHeldHere(Layer& layer, uint64_t first_sector, uint64_t sectors,
                                uint64_t first_bit, HeldSectors* held) {
  for (uint64_t done = 0; done < sectors;) {
    const uint64_t count = std::min(sectors - done, kScratchSectors);
    const auto ciphertext = Scratch().first(count * kSectorBytes);
    RETURN_IF_ERROR(layer.ReadCiphertext(first_sector + done, ciphertext));
    for (uint64_t i = 0; i < count; ++i) {
      if (!IsZero(ciphertext.subspan(i * kSectorBytes, kSectorBytes))) {
        held->set(first_bit + done + i);
      }
    }
    done += count;
  }
  return Status::Ok();
}

// The first sector from first_sector on that any layer may hold, or the disk's end.
uint64_t LayerStack::NextMaybe(uint64_t first_sector) {
  uint64_t next = size_bytes_ / kSectorBytes;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const uint64_t end = std::min(next, visible_sectors_[i]);
    if (first_sector >= end) break;
    const uint64_t sector = layers_[i]->NextMaybe(first_sector, end);
    if (sector < end) next = sector;
  }
  return next;
}

// The bits of a group: 1 where any layer may hold the sector.
uint64_t LayerStack::LookThrough(uint64_t group) {
  const auto guard = SectorLocks::Guard(locks_, group, group, LockMode::kShared);
  const uint64_t first = group * kGroupSectors;
  uint64_t bits = 0;
  for (size_t i = 0; i < layers_.size() && first < visible_sectors_[i]; ++i) {
    const uint64_t visible = visible_sectors_[i] - first;
    const uint64_t shown = visible >= kGroupSectors ? ~0ull : (1ull << visible) - 1;
    bits |= layers_[i]->Look(group) & shown;
  }
  return bits;
}

// With the gate's leave for each chunk: a walk through all of a large disk must not hold up a
// cut-off.
Status LayerStack::SeekData(uint64_t offset_bytes, uint64_t* result_bytes) {
  uint64_t sector = offset_bytes / kSectorBytes;
  for (bool is_found = false; !is_found;) {
    GatePass pass(gate_, Access::kRead);
    RETURN_IF_ERROR(pass.status());
    is_found = WalkToData(&sector);
    if (is_found && (offset_bytes >= size_bytes_ || sector >= size_bytes_ / kSectorBytes)) {
      return Status::Error(Code::kOutOfRange, "there is no data from here on");
    }
  }
  *result_bytes = std::max(offset_bytes, sector * kSectorBytes);
  return Status::Ok();
}

Status LayerStack::SeekHole(uint64_t offset_bytes, uint64_t* result_bytes) {
  uint64_t sector = offset_bytes / kSectorBytes;
  for (bool is_found = false; !is_found;) {
    GatePass pass(gate_, Access::kRead);
    RETURN_IF_ERROR(pass.status());
    if (offset_bytes >= size_bytes_) {
      return Status::Error(Code::kOutOfRange, "the offset lies outside the disk");
    }
    is_found = WalkToHole(&sector);
    *result_bytes = std::min<uint64_t>(std::max(offset_bytes, sector * kSectorBytes), size_bytes_);
  }
  return Status::Ok();
}

// Learns on the way what is unknown about the top.
bool LayerStack::WalkToData(uint64_t* sector) {
  const uint64_t end = size_bytes_ / kSectorBytes;
  const uint64_t part_end = EndOfChunk(*sector);
  while (*sector < part_end) {
    *sector = NextMaybe(*sector);
    if (*sector >= end || layers_.front()->Knows(*sector / kGroupSectors)) return true;
    LookThrough(*sector / kGroupSectors);
  }
  return *sector >= end;
}

bool LayerStack::WalkToHole(uint64_t* sector) {
  const uint64_t part_end = EndOfChunk(*sector);
  while (*sector < part_end) {
    const uint64_t in_group = *sector % kGroupSectors;
    const uint64_t held = std::countr_one(LookThrough(*sector / kGroupSectors) >> in_group);
    *sector += std::min<uint64_t>(held, kGroupSectors - in_group);
    if (held < kGroupSectors - in_group) return true;
  }
  return *sector >= size_bytes_ / kSectorBytes;
}

uint64_t LayerStack::EndOfChunk(uint64_t sector) const {
  return std::min((sector / kChunkSectors + 1) * kChunkSectors, size_bytes_ / kSectorBytes);
}

}  // namespace keyvol
