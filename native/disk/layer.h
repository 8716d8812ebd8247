// One container's worth of sectors: its file, its cipher, and what is known of what it holds.
#ifndef KEYVOL_DISK_LAYER_H_
#define KEYVOL_DISK_LAYER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "container/block_file.h"
#include "disk/sector_map.h"
#include "secret/secret.h"
#include "status.h"
#include "xts/xts.h"

namespace keyvol {

struct LayerOptions {
  std::string path;
  uint64_t size_bytes = 0;           // a multiple of kSectorBytes, above zero
  std::shared_ptr<Secret> data_key;  // null: its cipher comes later
  bool preallocated = false;
};

// True when every byte is zero, which for ciphertext means: never written in this layer.
bool IsZero(std::span<const std::byte> bytes);

// Calls may come from many threads at once. On a layer that takes writes the caller holds the lock
// of every group it names: exclusive for those that write or deallocate, shared for the others.
class Layer {
 public:
  struct Run {
    uint64_t sectors;
    bool look;  // false: none of them is here
  };

  // A layer that takes writes is synced first, so that what the file tells about its holes can be
  // trusted for every group that has not been written since. The page cache of any is dropped, for
  // after a failed sync it shows data as clean which never reached the disk: of one that was the
  // top then and is below, or attached read-only, now too. What another disk of this process has
  // mapped of it cannot be dropped, and need not be: that one has dropped it before, and who loses
  // a sync unmaps it.
  static Status Open(const LayerOptions& options, bool takes_writes, std::shared_ptr<Layer>* layer);

  uint64_t sectors() const { return map_.sectors(); }
  bool frozen() const { return frozen_; }
  // From now on nobody writes it. Only while no request is running.
  void Freeze() { frozen_ = true; }

  // Only while no request is running; requests run only on layers with a cipher.
  void SetCipher(std::unique_ptr<XtsCipher> cipher) { cipher_ = std::move(cipher); }
  XtsCipher& cipher() { return *cipher_; }

  // How far, from first_sector, this layer is all worth looking into, or all not; at most
  // max_sectors.
  Run NextRun(uint64_t first_sector, uint64_t max_sectors);
  // The 64 bits of a group: 1 is worth looking into. Learns them where they are unknown.
  uint64_t Look(uint64_t group);
  // The first sector in [first_sector, end_sector) that may be here, or end_sector. Needs no lock:
  // it takes a group of which nothing is known, in a layer that takes writes, for held.
  uint64_t NextMaybe(uint64_t first_sector, uint64_t end_sector);
  bool Knows(uint64_t group) const { return map_.Lookup(group).known; }

  Status ReadCiphertext(uint64_t first_sector, std::span<std::byte> out);
  // How far, from the first sector on, `ciphertext` is all there, or all zeros: not written here.
  // What is there is decrypted into `out`, as long as the ciphertext; the same, or apart from it.
  Run DecryptRun(uint64_t first_sector, std::span<const std::byte> ciphertext,
                 std::span<std::byte> out);
  // The same of the ciphertext where it lies in the page cache. No sectors when it does not lie
  // there (BlockFile::Cached), or the cipher cannot read it from there.
  Run DecryptCachedRun(uint64_t first_sector, std::span<std::byte> out);
  Status WriteCiphertext(uint64_t first_sector, std::span<const std::byte> data);
  // Makes raw zeros of the sectors: "never written here". Gives the space back unless it was
  // preallocated.
  Status Deallocate(uint64_t first_sector, uint64_t sectors);
  // What a read has found out. Ignored on a layer that takes writes.
  void FoundAbsent(uint64_t first_sector, uint64_t sectors);

  Status Sync() { return file_->Sync(); }
  Status CheckInPlace() { return file_->CheckInPlace(); }
  void DropCache() { file_->DropCache(); }
  uint64_t allocated_bytes() const { return file_->allocated_bytes(); }

 private:
  Layer(const LayerOptions& options, bool takes_writes, std::unique_ptr<BlockFile> file);

  void LearnAbsentChunks(uint64_t first_chunk, uint64_t end_chunk);
  void Learn(uint64_t group);
  void LearnGroups(uint64_t first_group, uint64_t end_group);
  void TakeForData(uint64_t first_group, uint64_t hole_bytes);
  Status WriteRawZeros(uint64_t first_sector, uint64_t sectors);

  const bool preallocated_;
  bool frozen_;
  const std::unique_ptr<BlockFile> file_;
  std::unique_ptr<XtsCipher> cipher_;
  SectorMap map_;
};

}  // namespace keyvol

#endif  // KEYVOL_DISK_LAYER_H_
