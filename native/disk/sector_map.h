// What is known about which sectors a layer holds: a hint, the ciphertext is the truth.
#ifndef KEYVOL_DISK_SECTOR_MAP_H_
#define KEYVOL_DISK_SECTOR_MAP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace keyvol {

inline constexpr uint64_t kGroupSectors = 64;     // 256 KiB: the unit of locking and of knowing
inline constexpr uint64_t kChunkSectors = 32768;  // 128 MiB: the unit of memory
inline constexpr uint64_t kChunkGroups = kChunkSectors / kGroupSectors;

// One bit a sector (1: look into the layer, 0: absent if its group is known) and one bit a group
// (known). A chunk of which nothing is known, or all is absent, takes only its pointer: 32.5 MiB
// per TiB that is written, 64 KiB per TiB that is not. Calls may come from many threads; who marks
// a sector absent must keep writers of that sector away.
class SectorMap {
 public:
  struct Group {
    bool known;
    uint64_t present;  // bit n: sector n of the group
  };

  explicit SectorMap(uint64_t sectors);
  ~SectorMap();
  SectorMap(const SectorMap&) = delete;
  SectorMap& operator=(const SectorMap&) = delete;

  uint64_t sectors() const { return sectors_; }
  Group Lookup(uint64_t group) const;
  bool ChunkIsAbsent(uint64_t chunk) const;

  void MarkPresent(uint64_t first_sector, uint64_t sectors);
  void MarkAbsent(uint64_t first_sector, uint64_t sectors);
  // The present bits of the group are complete from now on.
  void MarkKnown(uint64_t group);
  // Does nothing unless nothing was known about the chunk.
  void MarkChunkAbsent(uint64_t chunk);

 private:
  struct Chunk {
    std::atomic<uint64_t> present[kChunkGroups];
    std::atomic<uint64_t> known[kChunkGroups / 64];
  };

  static_assert(sizeof(Chunk) * (1ull << 40) / (kChunkSectors * 4096) <= 40ull << 20,
                "at most 40 MiB per TiB that is written");

  // Stands for every chunk that is wholly absent; never read or written.
  static Chunk absent_chunk_;

  Chunk& Ensure(uint64_t chunk);

  const uint64_t sectors_;
  const uint64_t chunk_count_;
  const std::unique_ptr<std::atomic<Chunk*>[]> chunks_;
};

}  // namespace keyvol

#endif  // KEYVOL_DISK_SECTOR_MAP_H_
