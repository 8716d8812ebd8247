#include "disk/sector_map.h"

#include <algorithm>
#include <cassert>

namespace keyvol {

namespace {

// Calls mark(group, bits) for each group that the range touches.
template <typename Mark>
void ForEachGroup(uint64_t first_sector, uint64_t sectors, Mark mark) {
  const uint64_t end = first_sector + sectors;
  for (uint64_t sector = first_sector; sector < end;) {
    const uint64_t in_group = sector % kGroupSectors;
    const uint64_t count = std::min(kGroupSectors - in_group, end - sector);
    const uint64_t ones = count == kGroupSectors ? ~0ull : (1ull << count) - 1;
    mark(sector / kGroupSectors, ones << in_group);
    sector += count;
  }
}

}  // namespace

SectorMap::Chunk SectorMap::absent_chunk_;

SectorMap::SectorMap(uint64_t sectors)
    : sectors_(sectors),
      chunk_count_((sectors + kChunkSectors - 1) / kChunkSectors),
      chunks_(new std::atomic<Chunk*>[chunk_count_]()) {}

SectorMap::~SectorMap() {
  for (uint64_t i = 0; i < chunk_count_; ++i) {
    Chunk* chunk = chunks_[i].load();
    if (chunk != &absent_chunk_) delete chunk;
  }
}

SectorMap::Group SectorMap::Lookup(uint64_t group) const {
  assert(group / kChunkGroups < chunk_count_);
  const Chunk* chunk = chunks_[group / kChunkGroups].load(std::memory_order_acquire);
  if (chunk == nullptr) return {false, 0};
  if (chunk == &absent_chunk_) return {true, 0};
  const uint64_t index = group % kChunkGroups;
  const bool known = ((chunk->known[index / 64].load(std::memory_order_acquire) >> index % 64) & 1);
  return {known, chunk->present[index].load(std::memory_order_acquire)};
}

bool SectorMap::ChunkIsAbsent(uint64_t chunk) const {
  assert(chunk < chunk_count_);
  return chunks_[chunk].load(std::memory_order_acquire) == &absent_chunk_;
}

void SectorMap::MarkPresent(uint64_t first_sector, uint64_t sectors) {
  assert(first_sector + sectors <= chunk_count_ * kChunkSectors);
  ForEachGroup(first_sector, sectors, [this](uint64_t group, uint64_t bits) {
    Ensure(group / kChunkGroups).present[group % kChunkGroups].fetch_or(bits);
  });
}

void SectorMap::MarkAbsent(uint64_t first_sector, uint64_t sectors) {
  assert(first_sector + sectors <= chunk_count_ * kChunkSectors);
  ForEachGroup(first_sector, sectors, [this](uint64_t group, uint64_t bits) {
    Chunk* chunk = chunks_[group / kChunkGroups].load(std::memory_order_acquire);
    if (chunk == nullptr || chunk == &absent_chunk_) return;
    chunk->present[group % kChunkGroups].fetch_and(~bits);
  });
}

void SectorMap::MarkKnown(uint64_t group) {
  const uint64_t index = group % kChunkGroups;
  Ensure(group / kChunkGroups).known[index / 64].fetch_or(1ull << index % 64);
}

void SectorMap::MarkChunkAbsent(uint64_t chunk) {
  assert(chunk < chunk_count_);
  Chunk* unknown = nullptr;
  chunks_[chunk].compare_exchange_strong(unknown, &absent_chunk_);
}

SectorMap::Chunk& SectorMap::Ensure(uint64_t chunk) {
  std::atomic<Chunk*>& slot = chunks_[chunk];
  for (Chunk* current = slot.load();;) {
    if (current != nullptr && current != &absent_chunk_) return *current;
    auto fresh = std::make_unique<Chunk>();
    if (current == &absent_chunk_) {
      for (auto& word : fresh->known) word.store(~0ull);
    }
    if (slot.compare_exchange_strong(current, fresh.get())) return *fresh.release();
  }
}

}  // namespace keyvol
