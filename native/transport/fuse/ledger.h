// What must outlast a daemon that serves a FUSE mount: the kernel goes on using the node numbers
// and handles that it was given, so the next daemon must mean the same by them. Lies in a memfd
// that the holder keeps and every daemon maps.
#ifndef KEYVOL_TRANSPORT_FUSE_LEDGER_H_
#define KEYVOL_TRANSPORT_FUSE_LEDGER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "status.h"
#include "unique_fd.h"

namespace keyvol::fuse {

// Set in the `unique` of a request that the kernel sends again.
constexpr uint64_t kResentBit = 1ULL << 63;

// A process that maps it may be killed between any two instructions. So a slot is filled first and
// then published by one atomic store of its number, and freed by storing zero there. One process
// at a time writes: the daemon, under its Tree's lock.
class Ledger {
 public:
  static constexpr size_t kMaxNodes = 4096;
  static constexpr size_t kMaxHandles = 16384;
  static constexpr size_t kMaxIdBytes = 48;

  struct Node {
    std::atomic<uint64_t> node_id;  // 0: free
    std::atomic<uint32_t> exclusive;
    char disk_id[kMaxIdBytes + 4];
  };
  struct Handle {
    std::atomic<uint64_t> handle;  // 0: free; else its serial number << 16 | its index
    uint64_t node_id;
    uint64_t unique;  // of the OPEN that made it
    uint8_t own;
    uint8_t for_writing;
    std::atomic<uint8_t> revoked;
  };

  // A new, empty one; the memory goes with its last descriptor and mapping.
  static Status Create(UniqueFd* fd);
  // kUnsupported when it was made by a version of another layout.
  static Status Map(UniqueFd fd, std::shared_ptr<Ledger>* ledger);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  int fd() const { return fd_.get(); }

  // The process that keeps the mount, and whose children open files for the daemon (loop devices).
  void SetHolder(pid_t pid);
  pid_t holder() const;

  // The node of a disk, null if it has none.
  Node* FindNode(const std::string& disk_id);
  // Null when all slots are taken.
  Node* AddNode(const std::string& disk_id);
  std::vector<Node*> Nodes();

  // Null when it is not open.
  Handle* FindHandle(uint64_t handle);
  Handle* FindHandleOfOpen(uint64_t unique, uint64_t node_id);
  // 0 when all slots are taken.
  uint64_t AddHandle(uint64_t node_id, uint64_t unique, bool own, bool for_writing);
  std::vector<Handle*> Handles();

 private:
  struct Layout;

  Ledger(UniqueFd fd, Layout* layout) : fd_(std::move(fd)), layout_(layout) {}

  const UniqueFd fd_;
  Layout* const layout_;
};

}  // namespace keyvol::fuse

#endif  // KEYVOL_TRANSPORT_FUSE_LEDGER_H_
