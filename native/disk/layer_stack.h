// A chain of layers read as one disk. Only the top is ever written.
#ifndef KEYVOL_DISK_LAYER_STACK_H_
#define KEYVOL_DISK_LAYER_STACK_H_

#include <atomic>
#include <bitset>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "disk/disk.h"
#include "disk/gate.h"
#include "disk/layer.h"
#include "disk/operation_stats.h"
#include "disk/sector_locks.h"
#include "disk/space_wait.h"

namespace keyvol {

struct StackOptions {
  std::vector<LayerOptions> layers;  // top first
  bool writable = false;
  std::optional<Closing> closed;  // without keys, then, until Restore
};

struct CutOffReport {
  bool flushed = false;  // false: what was acknowledged is not durable
  // The flush had not ended at the deadline and goes on; only where nobody is refused a write.
  bool running = false;
  uint64_t took_ms = 0;
};

struct StackStats {
  Gate::State gate = Gate::State::kOpen;
  bool poisoned = false;
  size_t layers = 0;
  uint64_t allocated_bytes = 0;
  uint64_t read_bytes = 0;
  uint64_t written_bytes = 0;
  // Since when writes have been waiting for space (Unix time); 0 when none is.
  uint64_t full_since_ms = 0;
};

// A sector belongs to the first layer, from the top, whose ciphertext of it is not all zeros, as
// long as no layer above that one is too small to have it; else it reads as zeros.
//
// Requests (layer_stack.cc, layer_stack_zero.cc) run inside the gate. While none is inside, the
// control calls (layer_stack_control.cc) change the layers and their keys.
class LayerStack : public Disk, public std::enable_shared_from_this<LayerStack> {
 public:
  static Status Open(const StackOptions& options, std::shared_ptr<LayerStack>* stack);

  uint64_t size_bytes() const override { return size_bytes_; }
  bool writable() const override { return writable_; }
  Status Read(uint64_t offset_bytes, std::span<std::byte> out) override;
  Status Write(uint64_t offset_bytes, std::span<std::byte> data) override;
  Status Flush() override;
  Status Discard(uint64_t offset_bytes, uint64_t length_bytes) override;
  Status WriteZeroes(uint64_t offset_bytes, uint64_t length_bytes) override;
  Status SeekData(uint64_t offset_bytes, uint64_t* result_bytes) override;
  Status SeekHole(uint64_t offset_bytes, uint64_t* result_bytes) override;
  uint64_t allocated_bytes() const override;

  // New requests wait, running ones end, the top is durable. kBusy when held already, kNoSpace
  // while writes wait for space. Whatever fails, requests go on.
  Status Hold();
  // Between Hold and Resume: opens the empty layer that SwapTop will put on top, so that nothing
  // can fail any more once the records say so. kBusy when not held.
  Status StageTop(const LayerOptions& layer);
  // The staged layer takes the writes and decides the size. Allowed too when a cut-off came
  // between: the records may already say so, and a restore then brings the new layer's key. kBusy
  // when no layer is staged, which needs no I/O.
  Status SwapTop();
  // Never waits for I/O.
  void Resume();
  // As Device.cutOff in src/device/addon.ts.
  CutOffReport CutOff(std::chrono::milliseconds deadline, Closing closing);
  // Keys top first, one a layer. kBusy when the gate is not closed, or when the requests or the
  // flush of the cut-off have not ended within ten seconds.
  Status Restore(const std::vector<std::shared_ptr<Secret>>& keys);
  // Drains, flushes, destroys the keys, closes the files; all but the flush is certain. A second
  // call waits for the first and answers the same.
  Status Close();
  StackStats Stats() const;
  // What requests have come to, refused ones included, since the disk was opened.
  struct Operations {
    OperationStats::Snapshot read;
    OperationStats::Snapshot write;
    OperationStats::Snapshot flush;
    OperationStats::Snapshot discard;  // and write-zeroes
  };
  Operations ReadOperations() const;

 private:
  // Requests are cut into pieces that end at multiples of this and hold their locks one by one.
  static constexpr uint64_t kPieceBytes = 1048576;
  // A discard on a disk of one layer has nothing to read or write, only holes to punch.
  static constexpr uint64_t kPunchPieceBytes = 8 * kPieceBytes;
  using HeldSectors = std::bitset<kPunchPieceBytes / kSectorBytes>;

  explicit LayerStack(bool writable) : writable_(writable) {}

  Status CheckRange(uint64_t offset_bytes, uint64_t length_bytes) const;
  Status CheckWritable() const;

  // The requests of Disk, unmeasured. These enter the gate.
  Status ReadAll(uint64_t offset_bytes, std::span<std::byte> out);
  Status WriteAll(uint64_t offset_bytes, std::span<std::byte> data);
  Status FlushAll();
  // What a flush answers while writes wait at the closed gate: all that was acknowledged was
  // flushed by the cut-off, or was not.
  Status FlushedByCutOff();
  Status ZeroAll(uint64_t offset_bytes, uint64_t length_bytes);
  // Advances offset_bytes, at most to end_bytes.
  Status ZeroNextPiece(uint64_t* offset_bytes, uint64_t end_bytes);

  // The functions below run under the locks of the groups that they touch.
  Status ReadPiece(uint64_t offset_bytes, std::span<std::byte> out);
  // *done_bytes grows by what was written, all of which may have been encrypted where it lies.
  Status WritePiece(uint64_t offset_bytes, std::span<std::byte> data, uint64_t* done_bytes);
  Status ZeroPiece(uint64_t offset_bytes, uint64_t length_bytes);
  Status ReadSectors(size_t layer_index, uint64_t first_sector, std::span<std::byte> out);
  Status ReadRuns(size_t layer_index, uint64_t first_sector, std::span<std::byte> out);
  Status ReadHere(size_t layer_index, uint64_t first_sector, std::span<std::byte> out);
  Status ReadPartial(uint64_t offset_bytes, std::span<std::byte> out);
  // On failure the data is as it was.
  Status WriteSectors(uint64_t first_sector, std::span<std::byte> data);
  Status WritePartial(uint64_t offset_bytes, std::span<const std::byte> data);
  Status ZeroSectors(uint64_t first_sector, uint64_t sectors);
  Status ZeroPartial(uint64_t offset_bytes, uint64_t length_bytes);
  Status WriteEncryptedZeros(uint64_t first_sector, uint64_t sectors);
  Status RemoveFromTop(uint64_t first_sector, uint64_t sectors);
  // Sets the bit of each sector that a layer from first_layer downwards holds and shows.
  Status FindHeld(size_t first_layer, uint64_t first_sector, uint64_t sectors, HeldSectors* held);
  Status FindHeldHere(Layer& layer, uint64_t first_sector, uint64_t sectors, uint64_t first_bit,
                      HeldSectors* held);

  // Makes plaintext again of what a write has encrypted where it lies.
  void TakeBack(uint64_t offset_bytes, std::span<std::byte> data);

  // These take locks themselves.
  SectorLocks::Guard LockBytes(uint64_t offset_bytes, uint64_t length_bytes, LockMode mode);
  uint64_t NextMaybe(uint64_t first_sector);
  // On to the next data or hole, at most to the end of a chunk. False when it lies further on.
  bool WalkToData(uint64_t* sector);
  bool WalkToHole(uint64_t* sector);
  uint64_t EndOfChunk(uint64_t sector) const;
  uint64_t LookThrough(uint64_t group);

  Status SyncTop();
  // Where the answer of one cut-off stands as soon as there is one.
  using ReportSlot = std::shared_ptr<std::optional<CutOffReport>>;
  void FinishCutOff(std::chrono::steady_clock::time_point started, const ReportSlot& report);
  void DropPoisonedCache();
  void OpenedClosed(Closing closing);
  void LayersChanged();
  void DropKeys();
  Status CheckRestorable(std::unique_lock<std::mutex>& state, size_t key_count);

  const bool writable_;
  Gate gate_;
  SectorLocks locks_;
  SpaceWait space_;

  // Changed only under state_mutex_ while nobody is inside the gate: requests need no lock.
  std::vector<std::shared_ptr<Layer>> layers_;
  // Sectors from here on do not show through from layer i: the smallest size of layers 0..i.
  std::vector<uint64_t> visible_sectors_;
  std::atomic<uint64_t> size_bytes_{0};

  // Counts changes to the top, after each has been made and before it is acknowledged.
  std::atomic<uint64_t> changes_{0};
  std::atomic<uint64_t> durable_changes_{0};
  std::atomic<bool> poisoned_{false};
  // One sync at a time: the kernel tells of a failed write-back only once, and whoever waited for
  // it must not answer ok.
  std::mutex sync_mutex_;

  std::atomic<uint64_t> read_bytes_{0};
  std::atomic<uint64_t> written_bytes_{0};
  OperationStats reads_;
  OperationStats writes_;
  OperationStats flushes_;
  OperationStats discards_;

  enum class CutOffState { kNone, kRunning, kEnded };
  // Held throughout Hold, StageTop and Restore; taken before state_mutex_.
  std::mutex control_mutex_;
  // Never held during I/O.
  mutable std::mutex state_mutex_;
  std::condition_variable cut_off_changed_;
  CutOffState cut_off_ = CutOffState::kNone;
  ReportSlot report_;  // of the last cut-off
  bool hold_granted_ = false;
  std::shared_ptr<Layer> staged_top_;  // only while held
  bool closed_ = false;
  std::optional<Status> close_status_;  // once closed, to the last step
};

}  // namespace keyvol

#endif  // KEYVOL_DISK_LAYER_STACK_H_
