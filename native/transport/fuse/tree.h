// The files of one FUSE mount: a root with the directories volumes/ and images/, one regular file
// a disk, and the handles that are open on them.
#ifndef KEYVOL_TRANSPORT_FUSE_TREE_H_
#define KEYVOL_TRANSPORT_FUSE_TREE_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <vector>

#include "disk/disk.h"
#include "transport/fuse/ledger.h"

namespace keyvol::fuse {

enum class Directory { kVolumes, kImages };

struct FileSpec {
  std::string id;
  Directory directory;
  std::string name;
  std::shared_ptr<Disk> disk;
  bool read_only;
  bool cached;  // the kernel may keep pages of it
  uid_t uid;
  gid_t gid;
  mode_t mode;  // permission bits
};

// One file or directory as requests see it, copied out of the tree.
struct Node {
  uint64_t node_id;
  std::string name;
  mode_t mode;  // with S_IFREG or S_IFDIR
  uid_t uid;
  gid_t gid;
  std::shared_ptr<Disk> disk;  // null for a directory
};

struct HandleCounts {
  uint32_t own;     // opened by us: this process, its predecessors, the holder
  uint32_t others;  // opened by any other
};

enum class HandleOwner { kOwn, kAll };

// Every call is safe from any thread and short: no disk is touched under the lock. Node numbers
// are never used twice, so the kernel's reference counts (FORGET) need not be kept. What the
// kernel holds on to is in the ledger: a tree over the ledger of a dead process goes on from there.
class Tree {
 public:
  explicit Tree(std::shared_ptr<Ledger> ledger);

  // A disk that the ledger knows gets its old node, and the handles open on it. kExists when the
  // id or the name in that directory is taken, kNoSpace when there are too many files.
  Status Add(FileSpec spec);
  // Of the ledger's disks only these ids can come back. Until they are added, their handles answer
  // EIO; those of all others do so for ever.
  void Keep(const std::set<std::string>& ids);
  // The numbers of all files that the ledger knows.
  std::vector<uint64_t> NodeIds() const;
  // kNotFound for an unknown id, kExists for a taken name.
  Status Rename(const std::string& id, const std::string& name);
  // The file disappears, its handles answer EIO, and the tree's reference to its disk is gone;
  // a request that is running keeps its own. kNotFound for an unknown id.
  Status Remove(const std::string& id);
  // Handles that are open and not revoked. None for an unknown id.
  HandleCounts OpenHandles(const std::string& id) const;
  // While exclusive, only we may open the file for writing. kBusy, and nothing changes,
  // when another has it open so; kNotFound for an unknown id, unless this ends it.
  Status SetExclusive(const std::string& id, bool exclusive);
  // Handles opened so far answer EIO for ever.
  void Revoke(const std::string& id, HandleOwner owner);

  std::optional<Node> Find(uint64_t node_id) const;
  std::optional<Node> FindChild(uint64_t parent_id, const std::string& name) const;
  // The number of the file behind an id, 0 when there is none.
  uint64_t NodeIdOf(const std::string& id) const;
  // In order of their node numbers; nothing for what is no directory.
  std::vector<Node> Children(uint64_t node_id) const;

  // Whether the thread that made a request belongs to us or to the holder.
  bool IsOwn(uint32_t thread_id) const;
  // 0 and a new handle, or an errno: ENOENT, EISDIR, EROFS, EBUSY, ENFILE. An OPEN that the kernel
  // sends again, for its answer was lost, gets the handle it had.
  int Open(uint64_t node_id, bool for_writing, uint32_t thread_id, uint64_t unique,
           uint64_t* handle);
  bool IsWritable(uint64_t node_id) const;
  bool IsCached(uint64_t node_id) const;
  void Release(uint64_t handle);
  // The disk behind an open handle; null when it was revoked or its file removed.
  std::shared_ptr<Disk> DiskOfHandle(uint64_t handle) const;

 private:
  struct File {
    FileSpec spec;
    Ledger::Node* node;
  };

  Node NodeOf(const File& file) const;
  const File* FindFile(uint64_t node_id) const;
  const File* FindById(const std::string& id) const;
  const File* FindByName(Directory directory, const std::string& name) const;

  mutable std::shared_mutex mutex_;
  std::map<uint64_t, File> files_;
  const std::shared_ptr<Ledger> ledger_;
  const uid_t uid_;
  const gid_t gid_;
};

}  // namespace keyvol::fuse

#endif  // KEYVOL_TRANSPORT_FUSE_TREE_H_
