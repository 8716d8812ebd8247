// Reading, writing, flushing.
#include "disk/layer_stack.h"

#include <string.h>

#include <algorithm>
#include <cassert>

#include "disk/pieces.h"

namespace keyvol {

namespace {

// One sector for read-modify-write, wiped after each use: it holds plaintext.
struct SectorBuffer {
  alignas(kSectorBytes) std::byte bytes[kSectorBytes];
};

class ScratchSector {
 public:
  ScratchSector() = default;
  ~ScratchSector() { explicit_bzero(buffer_.bytes, kSectorBytes); }
  ScratchSector(const ScratchSector&) = delete;
  ScratchSector& operator=(const ScratchSector&) = delete;
  std::span<std::byte> bytes() { return buffer_.bytes; }

 private:
  SectorBuffer buffer_;
};

void Zeros(std::span<std::byte> out) { std::fill(out.begin(), out.end(), std::byte{0}); }

std::span<std::byte> SectorAt(std::span<std::byte> data, uint64_t index) {
  return data.subspan(index * kSectorBytes, kSectorBytes);
}

}  // namespace

Status LayerStack::CheckRange(uint64_t offset_bytes, uint64_t length_bytes) const {
  const uint64_t size_bytes = size_bytes_;
  if (offset_bytes <= size_bytes && length_bytes <= size_bytes - offset_bytes) return Status::Ok();
  return Status::Error(Code::kOutOfRange, "the range lies outside the disk");
}

Status LayerStack::CheckWritable() const {
  if (!writable_) return Status::Error(Code::kReadOnly, "the disk is read-only");
  if (!poisoned_) return Status::Ok();
  return Status::Error(Code::kPoisoned, "the disk is poisoned: a flush failed; attach it again");
}

SectorLocks::Guard LayerStack::LockBytes(uint64_t offset_bytes, uint64_t length_bytes,
                                         LockMode mode) {
  constexpr uint64_t kGroupBytes = kGroupSectors * kSectorBytes;
  return SectorLocks::Guard(locks_, offset_bytes / kGroupBytes,
                            (offset_bytes + length_bytes - 1) / kGroupBytes, mode);
}

Status LayerStack::Read(uint64_t offset_bytes, std::span<std::byte> out) {
  return reads_.Measure([&] { return ReadAll(offset_bytes, out); });
}

Status LayerStack::ReadAll(uint64_t offset_bytes, std::span<std::byte> out) {
  GatePass pass(gate_, Access::kRead);
  RETURN_IF_ERROR(pass.status());
  RETURN_IF_ERROR(CheckRange(offset_bytes, out.size()));
  RETURN_IF_ERROR(
      ForEachPiece(offset_bytes, out.size(), kPieceBytes, [&](uint64_t at, uint64_t length) {
        const auto guard = LockBytes(at, length, LockMode::kShared);
        return ReadPiece(at, out.subspan(at - offset_bytes, length));
      }));
  read_bytes_.fetch_add(out.size(), std::memory_order_relaxed);
  return Status::Ok();
}

Status LayerStack::Write(uint64_t offset_bytes, std::span<std::byte> data) {
  return writes_.Measure(
      [&] { return space_.Retry([&] { return WriteAll(offset_bytes, data); }); });
}

Status LayerStack::WriteAll(uint64_t offset_bytes, std::span<std::byte> data) {
  GatePass pass(gate_, Access::kWrite);
  RETURN_IF_ERROR(pass.status());
  RETURN_IF_ERROR(CheckWritable());
  RETURN_IF_ERROR(CheckRange(offset_bytes, data.size()));
  uint64_t done_bytes = 0;
  const Status status =
      ForEachPiece(offset_bytes, data.size(), kPieceBytes, [&](uint64_t at, uint64_t length) {
        const auto guard = LockBytes(at, length, LockMode::kExclusive);
        return WritePiece(at, data.subspan(at - offset_bytes, length), &done_bytes);
      });
  changes_.fetch_add(1);
  if (SpaceWait::IsFull(status)) TakeBack(offset_bytes, data.first(done_bytes));
  if (status.ok()) written_bytes_.fetch_add(data.size(), std::memory_order_relaxed);
  return status;
}

Status LayerStack::Flush() {
  return flushes_.Measure([&] { return FlushAll(); });
}

Status LayerStack::FlushAll() {
  GatePass pass(gate_, Access::kFlush);
  if (pass.status().code() == Code::kGateClosed && gate_.closing() == Closing::kHoldWrites) {
    return FlushedByCutOff();
  }
  RETURN_IF_ERROR(pass.status());
  if (!writable_) return Status::Ok();
  RETURN_IF_ERROR(CheckWritable());
  return SyncTop();
}

Status LayerStack::ReadPiece(uint64_t offset_bytes, std::span<std::byte> out) {
  return ForEachPart(
      offset_bytes, out.size(),
      [&](uint64_t at, uint64_t length) {
        return ReadPartial(at, out.subspan(at - offset_bytes, length));
      },
      [&](uint64_t at, uint64_t length) {
        return ReadSectors(0, at / kSectorBytes, out.subspan(at - offset_bytes, length));
      });
}

Status LayerStack::ReadPartial(uint64_t offset_bytes, std::span<std::byte> out) {
  ScratchSector sector;
  RETURN_IF_ERROR(ReadSectors(0, offset_bytes / kSectorBytes, sector.bytes()));
  const auto part = sector.bytes().subspan(offset_bytes % kSectorBytes, out.size());
  std::copy(part.begin(), part.end(), out.begin());
  return Status::Ok();
}

// What the layers from layer_index downwards show.
Status LayerStack::ReadSectors(size_t layer_index, uint64_t first_sector,
                               std::span<std::byte> out) {
  for (; layer_index < layers_.size(); ++layer_index) {
    const uint64_t visible = visible_sectors_[layer_index];
    if (first_sector >= visible) break;
    const uint64_t sectors = std::min(out.size() / kSectorBytes, visible - first_sector);
    Zeros(out.subspan(sectors * kSectorBytes));
    out = out.first(sectors * kSectorBytes);
    const Layer::Run run = layers_[layer_index]->NextRun(first_sector, sectors);
    if (run.look || run.sectors < sectors) return ReadRuns(layer_index, first_sector, out);
  }
  Zeros(out);
  return Status::Ok();
}

Status LayerStack::ReadRuns(size_t layer_index, uint64_t first_sector, std::span<std::byte> out) {
  while (!out.empty()) {
    const Layer::Run run = layers_[layer_index]->NextRun(first_sector, out.size() / kSectorBytes);
    const auto part = out.first(run.sectors * kSectorBytes);
    RETURN_IF_ERROR(run.look ? ReadHere(layer_index, first_sector, part)
                             : ReadSectors(layer_index + 1, first_sector, part));
    first_sector += run.sectors;
    out = out.subspan(part.size());
  }
  return Status::Ok();
}

// Decrypts the layer's ciphertext, which decides: what is all zeros there belongs to those below.
Status LayerStack::ReadHere(size_t layer_index, uint64_t first_sector, std::span<std::byte> out) {
  Layer& layer = *layers_[layer_index];
  for (bool is_read = false; !out.empty();) {
    Layer::Run run = {};
    if (!is_read) run = layer.DecryptCachedRun(first_sector, out);
    if (run.sectors == 0) {
      if (!is_read) RETURN_IF_ERROR(layer.ReadCiphertext(first_sector, out));
      is_read = true;
      run = layer.DecryptRun(first_sector, out, out);
    }
    const auto part = out.first(run.sectors * kSectorBytes);
    if (!run.look) {
      layer.FoundAbsent(first_sector, run.sectors);
      RETURN_IF_ERROR(ReadSectors(layer_index + 1, first_sector, part));
    }
    first_sector += run.sectors;
    out = out.subspan(part.size());
  }
  return Status::Ok();
}

Status LayerStack::WritePiece(uint64_t offset_bytes, std::span<std::byte> data,
                              uint64_t* done_bytes) {
  const auto done = [&](const Status& status, uint64_t length) {
    if (status.ok()) *done_bytes += length;
    return status;
  };
  return ForEachPart(
      offset_bytes, data.size(),
      [&](uint64_t at, uint64_t length) {
        return done(WritePartial(at, data.subspan(at - offset_bytes, length)), length);
      },
      [&](uint64_t at, uint64_t length) {
        const auto part = data.subspan(at - offset_bytes, length);
        return done(WriteSectors(at / kSectorBytes, part), length);
      });
}

void LayerStack::TakeBack(uint64_t offset_bytes, std::span<std::byte> data) {
  XtsCipher& cipher = layers_.front()->cipher();
  // Parts of sectors were encrypted in a copy.
  static_cast<void>(ForEachPart(
      offset_bytes, data.size(), [](uint64_t, uint64_t) { return Status::Ok(); },
      [&](uint64_t at, uint64_t length) {
        cipher.Decrypt(at / kSectorBytes, data.subspan(at - offset_bytes, length));
        return Status::Ok();
      }));
}

Status LayerStack::WritePartial(uint64_t offset_bytes, std::span<const std::byte> data) {
  ScratchSector sector;
  const uint64_t number = offset_bytes / kSectorBytes;
  RETURN_IF_ERROR(ReadSectors(0, number, sector.bytes()));
  std::copy(data.begin(), data.end(), sector.bytes().begin() + offset_bytes % kSectorBytes);
  return WriteSectors(number, sector.bytes());
}

Status LayerStack::WriteSectors(uint64_t first_sector, std::span<std::byte> data) {
  Layer& top = *layers_.front();
  top.cipher().Encrypt(first_sector, data);
  for (uint64_t i = 0; i < data.size() / kSectorBytes; ++i) {
    // All zeros would mean "never written". By chance that happens once in 2^32768 sectors.
    if (IsZero(SectorAt(data, i))) {
      return Status::Error(Code::kInternal, "a sector encrypted to zeros; nothing was written");
    }
  }
  const Status status = top.WriteCiphertext(first_sector, data);
  if (!status.ok()) top.cipher().Decrypt(first_sector, data);
  return status;
}

}  // namespace keyvol
