#include "disk/layer.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cstring>
#include <utility>

#include "container/container.h"

namespace keyvol {

namespace {

constexpr uint64_t kGroupBytes = kGroupSectors * kSectorBytes;
constexpr uint64_t kZeroRunBytes = 64 * 1024;
alignas(kSectorBytes) constexpr std::byte kZeroRun[kZeroRunBytes] = {};

uint64_t OffsetOf(uint64_t sector) { return kDataOffsetBytes + sector * kSectorBytes; }

Status CheckOptions(const LayerOptions& options) {
  if (options.size_bytes == 0 || options.size_bytes % kSectorBytes != 0) {
    return Status::Error(Code::kInvalidArgument,
                         "layer " + options.path + " has a size that is not a multiple of 4096");
  }
  return Status::Ok();
}

}  // namespace

bool IsZero(std::span<const std::byte> bytes) {
  assert(!bytes.empty());
  // Comparing the bytes with themselves, one further, stops at the first that differs.
  return bytes[0] == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

Layer::Layer(const LayerOptions& options, bool takes_writes, std::unique_ptr<BlockFile> file)
    : preallocated_(options.preallocated),
      frozen_(!takes_writes),
      file_(std::move(file)),
      map_(options.size_bytes / kSectorBytes) {}

Status Layer::Open(const LayerOptions& options, bool takes_writes, std::shared_ptr<Layer>* layer) {
  RETURN_IF_ERROR(CheckOptions(options));
  std::unique_ptr<BlockFile> file;
  RETURN_IF_ERROR(
      BlockFile::Open(options.path, takes_writes, kDataOffsetBytes + options.size_bytes, &file));
  const Status synced = takes_writes ? file->Sync() : Status::Ok();
  file->DropCache();
  RETURN_IF_ERROR(synced);
  std::unique_ptr<XtsCipher> cipher;
  if (options.data_key) RETURN_IF_ERROR(XtsCipher::Create(*options.data_key, &cipher));
  layer->reset(new Layer(options, takes_writes, std::move(file)));
  (*layer)->SetCipher(std::move(cipher));
  // Later nobody may mark a whole chunk absent, for that would need every lock.
  if (takes_writes) {
    (*layer)->LearnAbsentChunks(0, ((*layer)->sectors() + kChunkSectors - 1) / kChunkSectors);
  }
  return Status::Ok();
}

Layer::Run Layer::NextRun(uint64_t first_sector, uint64_t max_sectors) {
  const uint64_t end = first_sector + max_sectors;
  // One load decides for the first sector: another reader may clear its bit meanwhile.
  uint64_t bits = Look(first_sector / kGroupSectors) >> first_sector % kGroupSectors;
  const bool look = bits & 1;
  for (uint64_t sector = first_sector;;) {
    const uint64_t left = kGroupSectors - sector % kGroupSectors;
    const uint64_t same = look ? std::countr_one(bits) : std::countr_zero(bits);
    sector += std::min(same, left);
    if (same < left || sector >= end) return {std::min(sector, end) - first_sector, look};
    bits = Look(sector / kGroupSectors);
  }
}

uint64_t Layer::Look(uint64_t group) {
  SectorMap::Group bits = map_.Lookup(group);
  if (!bits.known) {
    Learn(group);
    bits = map_.Lookup(group);
  }
  return bits.present;
}

uint64_t Layer::NextMaybe(uint64_t first_sector, uint64_t end_sector) {
  for (uint64_t sector = first_sector; sector < end_sector;) {
    if (map_.ChunkIsAbsent(sector / kChunkSectors)) {
      sector = (sector / kChunkSectors + 1) * kChunkSectors;
      continue;
    }
    const uint64_t group = sector / kGroupSectors;
    if (frozen_) Look(group);
    const SectorMap::Group bits = map_.Lookup(group);
    const uint64_t rest = (bits.known ? bits.present : ~0ull) >> sector % kGroupSectors;
    if (rest != 0) return std::min<uint64_t>(sector + std::countr_zero(rest), end_sector);
    sector = (group + 1) * kGroupSectors;
  }
  return end_sector;
}

Status Layer::ReadCiphertext(uint64_t first_sector, std::span<std::byte> out) {
  assert(first_sector + out.size() / kSectorBytes <= sectors());
  return file_->Read(OffsetOf(first_sector), out);
}

Layer::Run Layer::DecryptRun(uint64_t first_sector, std::span<const std::byte> ciphertext,
                             std::span<std::byte> out) {
  const auto is_here = [&](uint64_t i) {
    return !IsZero(ciphertext.subspan(i * kSectorBytes, kSectorBytes));
  };
  const uint64_t sectors = ciphertext.size() / kSectorBytes;
  const bool here = is_here(0);
  uint64_t end = 1;
  while (end < sectors && is_here(end) == here) ++end;
  const uint64_t bytes = end * kSectorBytes;
  if (here) cipher_->DecryptTo(first_sector, ciphertext.first(bytes), out.first(bytes));
  return {end, here};
}

Layer::Run Layer::DecryptCachedRun(uint64_t first_sector, std::span<std::byte> out) {
  if (!cipher_->owns_nothing_at_work()) return {};
  const CachedBytes cached = file_->Cached(OffsetOf(first_sector), out.size());
  if (cached.bytes().empty()) return {};
  Run run = {};
  const auto decrypt = [&] { run = DecryptRun(first_sector, cached.bytes(), out); };
  return ReadUnlessLost(cached.bytes(), decrypt) ? run : Run{};
}

Status Layer::WriteCiphertext(uint64_t first_sector, std::span<const std::byte> data) {
  assert(!frozen_ && first_sector + data.size() / kSectorBytes <= sectors());
  // Before the write: a failed one may have written some of it, and "present" only costs a look.
  map_.MarkPresent(first_sector, data.size() / kSectorBytes);
  return file_->Write(OffsetOf(first_sector), data);
}

Status Layer::Deallocate(uint64_t first_sector, uint64_t sectors) {
  assert(!frozen_ && first_sector + sectors <= this->sectors());
  const uint64_t offset_bytes = OffsetOf(first_sector);
  const uint64_t length_bytes = sectors * kSectorBytes;
  Status status = preallocated_ ? file_->ZeroRange(offset_bytes, length_bytes)
                                : file_->PunchHole(offset_bytes, length_bytes);
  if (status.code() == Code::kUnsupported) status = WriteRawZeros(first_sector, sectors);
  RETURN_IF_ERROR(status);
  map_.MarkAbsent(first_sector, sectors);
  return Status::Ok();
}

void Layer::FoundAbsent(uint64_t first_sector, uint64_t sectors) {
  if (frozen_) map_.MarkAbsent(first_sector, sectors);
}

Status Layer::WriteRawZeros(uint64_t first_sector, uint64_t sectors) {
  uint64_t offset_bytes = OffsetOf(first_sector);
  for (uint64_t left = sectors * kSectorBytes; left > 0;) {
    const uint64_t length_bytes = std::min(left, kZeroRunBytes);
    RETURN_IF_ERROR(file_->Write(offset_bytes, std::span(kZeroRun, length_bytes)));
    offset_bytes += length_bytes;
    left -= length_bytes;
  }
  return Status::Ok();
}

// Marks chunks absent that lie wholly in a hole of the file; leaves the others unknown.
void Layer::LearnAbsentChunks(uint64_t first_chunk, uint64_t end_chunk) {
  for (uint64_t chunk = first_chunk; chunk < end_chunk; ++chunk) {
    uint64_t data_bytes = 0;
    const Status status = file_->SeekData(OffsetOf(chunk * kChunkSectors), &data_bytes);
    if (!status.ok() && status.code() != Code::kOutOfRange) return;
    const uint64_t next_chunk =
        status.ok() ? (data_bytes - kDataOffsetBytes) / kSectorBytes / kChunkSectors : end_chunk;
    for (; chunk < std::min(next_chunk, end_chunk); ++chunk) map_.MarkChunkAbsent(chunk);
  }
}

void Layer::Learn(uint64_t group) {
  if (!frozen_) {
    LearnGroups(group, group + 1);
    return;
  }
  // Nobody writes a frozen layer, so that its chunk can be learnt at once.
  const uint64_t chunk = group / kChunkGroups;
  LearnAbsentChunks(chunk, chunk + 1);
  if (map_.ChunkIsAbsent(chunk)) return;
  const uint64_t groups = (sectors() + kGroupSectors - 1) / kGroupSectors;
  LearnGroups(chunk * kChunkGroups, std::min((chunk + 1) * kChunkGroups, groups));
}

// Takes what the file calls data for present and its holes for absent. Bits that a write has set
// meanwhile stay set.
void Layer::LearnGroups(uint64_t first_group, uint64_t end_group) {
  const uint64_t end = std::min(end_group * kGroupSectors, sectors());
  for (uint64_t sector = first_group * kGroupSectors; sector < end;) {
    uint64_t data_bytes = 0;
    const Status found = file_->SeekData(OffsetOf(sector), &data_bytes);
    if (found.code() == Code::kOutOfRange) break;
    uint64_t hole_bytes = 0;
    // A filesystem that cannot tell: all of it is worth looking into.
    if (!found.ok()) data_bytes = OffsetOf(sector);
    if (!found.ok() || !file_->SeekHole(data_bytes, &hole_bytes).ok()) hole_bytes = OffsetOf(end);
    const uint64_t first = (data_bytes - kDataOffsetBytes) / kSectorBytes;
    if (first >= end) break;
    const uint64_t last_end =
        std::min((hole_bytes - kDataOffsetBytes + kSectorBytes - 1) / kSectorBytes, end);
    map_.MarkPresent(first, last_end - first);
    if (last_end == end) TakeForData(end_group, hole_bytes);
    sector = last_end;
  }
  for (uint64_t group = first_group; group < end_group; ++group) map_.MarkKnown(group);
}

// Some filesystems walk through all of a run of data to tell where it ends, which must not be asked
// again for each group of it. A group that is taken to be worth looking into as a whole needs no
// lock: at worst it costs a look.
void Layer::TakeForData(uint64_t first_group, uint64_t hole_bytes) {
  const uint64_t end_group = std::min((hole_bytes - kDataOffsetBytes) / kGroupBytes,
                                      (first_group / kChunkGroups + 1) * kChunkGroups);
  for (uint64_t group = first_group; group < end_group; ++group) {
    if (Knows(group)) continue;
    map_.MarkPresent(group * kGroupSectors, kGroupSectors);
    map_.MarkKnown(group);
  }
}

}  // namespace keyvol
