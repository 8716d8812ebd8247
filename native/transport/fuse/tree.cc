#include "transport/fuse/tree.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <utility>

#include "transport/fuse/protocol.h"

namespace keyvol::fuse {

namespace {

constexpr uint64_t kVolumesNode = 2;
constexpr uint64_t kImagesNode = 3;
constexpr mode_t kWriteBits = 0222;

std::optional<Directory> DirectoryOf(uint64_t node_id) {
  if (node_id == kVolumesNode) return Directory::kVolumes;
  if (node_id == kImagesNode) return Directory::kImages;
  return std::nullopt;
}

const char* NameOf(uint64_t directory_id) {
  return directory_id == kVolumesNode ? "volumes" : directory_id == kImagesNode ? "images" : "";
}

Node DirectoryNode(uint64_t node_id, uid_t uid, gid_t gid) {
  return {.node_id = node_id,
          .name = NameOf(node_id),
          .mode = S_IFDIR | 0555,
          .uid = uid,
          .gid = gid,
          .disk = nullptr};
}

// The parent of a process; 0 when it is gone.
pid_t ParentOf(uint32_t process_id) {
  FILE* const file = fopen(("/proc/" + std::to_string(process_id) + "/stat").c_str(), "re");
  if (file == nullptr) return 0;
  char line[512] = {};
  const bool was_read = fgets(line, sizeof line, file) != nullptr;
  fclose(file);
  // "pid (name) state parent …", where the name may hold anything.
  const char* const end_of_name = was_read ? strrchr(line, ')') : nullptr;
  if (end_of_name == nullptr || strlen(end_of_name) < 4) return 0;
  return atoi(end_of_name + 4);
}

}  // namespace

Tree::Tree(std::shared_ptr<Ledger> ledger)
    : ledger_(std::move(ledger)), uid_(geteuid()), gid_(getegid()) {}

Status Tree::Add(FileSpec spec) {
  std::unique_lock lock(mutex_);
  if (FindById(spec.id) != nullptr) {
    return Status::Error(Code::kExists, "disk " + spec.id + " is already exported");
  }
  if (FindByName(spec.directory, spec.name) != nullptr) {
    return Status::Error(Code::kExists, "a disk named " + spec.name + " is already exported");
  }
  if (spec.id.size() > Ledger::kMaxIdBytes) {
    return Status::Error(Code::kInvalidArgument, "the id " + spec.id + " is too long");
  }
  Ledger::Node* node = ledger_->FindNode(spec.id);
  if (node == nullptr) node = ledger_->AddNode(spec.id);
  if (node == nullptr) return Status::Error(Code::kNoSpace, "too many disks are exported");
  files_.emplace(node->node_id, File{std::move(spec), node});
  return Status::Ok();
}

void Tree::Keep(const std::set<std::string>& ids) {
  std::unique_lock lock(mutex_);
  for (Ledger::Node* node : ledger_->Nodes()) {
    if (!ids.contains(node->disk_id)) node->node_id = 0;
  }
}

std::vector<uint64_t> Tree::NodeIds() const {
  std::shared_lock lock(mutex_);
  std::vector<uint64_t> ids;
  for (const Ledger::Node* node : ledger_->Nodes()) ids.push_back(node->node_id);
  return ids;
}

Status Tree::Rename(const std::string& id, const std::string& name) {
  std::unique_lock lock(mutex_);
  const File* file = FindById(id);
  if (file == nullptr) return Status::Error(Code::kNotFound, "disk " + id + " is not exported");
  const File* taken = FindByName(file->spec.directory, name);
  if (taken != nullptr && taken != file) {
    return Status::Error(Code::kExists, "a disk named " + name + " is already exported");
  }
  files_.at(file->node->node_id).spec.name = name;
  return Status::Ok();
}

Status Tree::Remove(const std::string& id) {
  std::unique_lock lock(mutex_);
  const File* file = FindById(id);
  if (file == nullptr) return Status::Error(Code::kNotFound, "disk " + id + " is not exported");
  Ledger::Node* const node = file->node;
  files_.erase(node->node_id);
  node->node_id = 0;
  return Status::Ok();
}

HandleCounts Tree::OpenHandles(const std::string& id) const {
  std::shared_lock lock(mutex_);
  HandleCounts counts = {};
  const File* file = FindById(id);
  if (file == nullptr) return counts;
  for (const Ledger::Handle* handle : ledger_->Handles()) {
    if (handle->node_id != file->node->node_id || handle->revoked) continue;
    (handle->own ? counts.own : counts.others)++;
  }
  return counts;
}

Status Tree::SetExclusive(const std::string& id, bool exclusive) {
  std::unique_lock lock(mutex_);
  const File* file = FindById(id);
  if (file == nullptr && !exclusive) return Status::Ok();
  if (file == nullptr) return Status::Error(Code::kNotFound, "disk " + id + " is not exported");
  for (const Ledger::Handle* handle : ledger_->Handles()) {
    const bool foreign_writer = handle->for_writing && !handle->own && !handle->revoked;
    if (exclusive && foreign_writer && handle->node_id == file->node->node_id) {
      return Status::Error(Code::kBusy,
                           "another program has " + file->spec.name + " open for writing");
    }
  }
  file->node->exclusive = exclusive;
  return Status::Ok();
}

void Tree::Revoke(const std::string& id, HandleOwner owner) {
  std::unique_lock lock(mutex_);
  const File* file = FindById(id);
  if (file == nullptr) return;
  for (Ledger::Handle* handle : ledger_->Handles()) {
    if (handle->node_id != file->node->node_id) continue;
    if (owner == HandleOwner::kAll || handle->own) handle->revoked = 1;
  }
}

std::optional<Node> Tree::Find(uint64_t node_id) const {
  std::shared_lock lock(mutex_);
  if (node_id == FUSE_ROOT_ID || DirectoryOf(node_id)) return DirectoryNode(node_id, uid_, gid_);
  const File* file = FindFile(node_id);
  if (file == nullptr) return std::nullopt;
  return NodeOf(*file);
}

std::optional<Node> Tree::FindChild(uint64_t parent_id, const std::string& name) const {
  std::shared_lock lock(mutex_);
  if (parent_id == FUSE_ROOT_ID) {
    for (uint64_t directory_id : {kVolumesNode, kImagesNode}) {
      if (name == NameOf(directory_id)) return DirectoryNode(directory_id, uid_, gid_);
    }
    return std::nullopt;
  }
  const std::optional<Directory> directory = DirectoryOf(parent_id);
  const File* file = directory ? FindByName(*directory, name) : nullptr;
  if (file == nullptr) return std::nullopt;
  return NodeOf(*file);
}

uint64_t Tree::NodeIdOf(const std::string& id) const {
  std::shared_lock lock(mutex_);
  const File* file = FindById(id);
  return file == nullptr ? 0 : file->node->node_id.load();
}

std::vector<Node> Tree::Children(uint64_t node_id) const {
  std::shared_lock lock(mutex_);
  if (node_id == FUSE_ROOT_ID) {
    return {DirectoryNode(kVolumesNode, uid_, gid_), DirectoryNode(kImagesNode, uid_, gid_)};
  }
  std::vector<Node> children;
  const std::optional<Directory> directory = DirectoryOf(node_id);
  if (!directory) return children;
  for (const auto& [number, file] : files_) {
    if (file.spec.directory == *directory) children.push_back(NodeOf(file));
  }
  return children;
}

bool Tree::IsOwn(uint32_t thread_id) const {
  if (thread_id == 0) return false;
  if (access(("/proc/self/task/" + std::to_string(thread_id)).c_str(), F_OK) == 0) return true;
  // A child of the holder has one thread, and waits for this answer.
  return thread_id == static_cast<uint32_t>(ledger_->holder()) ||
         ParentOf(thread_id) == ledger_->holder();
}

int Tree::Open(uint64_t node_id, bool for_writing, uint32_t thread_id, uint64_t unique,
               uint64_t* handle) {
  const bool own = IsOwn(thread_id);
  std::unique_lock lock(mutex_);
  if (node_id == FUSE_ROOT_ID || DirectoryOf(node_id)) return EISDIR;
  const File* file = FindFile(node_id);
  if (file == nullptr) return ENOENT;
  if (for_writing && file->spec.read_only) return EROFS;
  if ((unique & kResentBit) != 0) {
    const Ledger::Handle* known = ledger_->FindHandleOfOpen(unique & ~kResentBit, node_id);
    if (known != nullptr) {
      *handle = known->handle;
      return 0;
    }
  }
  if (for_writing && file->node->exclusive && !own) return EBUSY;
  *handle = ledger_->AddHandle(node_id, unique & ~kResentBit, own, for_writing);
  return *handle == 0 ? ENFILE : 0;
}

bool Tree::IsWritable(uint64_t node_id) const {
  std::shared_lock lock(mutex_);
  const File* file = FindFile(node_id);
  return file != nullptr && !file->spec.read_only;
}

bool Tree::IsCached(uint64_t node_id) const {
  std::shared_lock lock(mutex_);
  const File* file = FindFile(node_id);
  return file != nullptr && file->spec.cached;
}

void Tree::Release(uint64_t handle) {
  std::unique_lock lock(mutex_);
  Ledger::Handle* const open = ledger_->FindHandle(handle);
  if (open != nullptr) open->handle = 0;
}

std::shared_ptr<Disk> Tree::DiskOfHandle(uint64_t handle) const {
  std::shared_lock lock(mutex_);
  const Ledger::Handle* const open = ledger_->FindHandle(handle);
  if (open == nullptr || open->revoked) return nullptr;
  const File* file = FindFile(open->node_id);
  return file == nullptr ? nullptr : file->spec.disk;
}

Node Tree::NodeOf(const File& file) const {
  const FileSpec& spec = file.spec;
  const mode_t permissions = spec.read_only ? spec.mode & ~kWriteBits : spec.mode;
  return {.node_id = file.node->node_id,
          .name = spec.name,
          .mode = S_IFREG | (permissions & 0777),
          .uid = spec.uid,
          .gid = spec.gid,
          .disk = spec.disk};
}

const Tree::File* Tree::FindFile(uint64_t node_id) const {
  const auto file = files_.find(node_id);
  return file == files_.end() ? nullptr : &file->second;
}

const Tree::File* Tree::FindById(const std::string& id) const {
  for (const auto& [number, file] : files_) {
    if (file.spec.id == id) return &file;
  }
  return nullptr;
}

const Tree::File* Tree::FindByName(Directory directory, const std::string& name) const {
  for (const auto& [number, file] : files_) {
    if (file.spec.directory == directory && file.spec.name == name) return &file;
  }
  return nullptr;
}

}  // namespace keyvol::fuse
