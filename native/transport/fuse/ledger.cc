#include "transport/fuse/ledger.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <new>
#include <span>

namespace keyvol::fuse {

namespace {

constexpr uint64_t kMagic = 0x72656764656c766b;  // "kvledger"
constexpr uint32_t kVersion = 1;
// 1 is the root; the directories and what may come have the rest.
constexpr uint64_t kFirstFileNode = 16;
constexpr unsigned kIndexBits = 16;

static_assert(Ledger::kMaxHandles <= 1 << kIndexBits);
static_assert(std::atomic<uint64_t>::is_always_lock_free);

}  // namespace

struct Ledger::Layout {
  uint64_t magic;
  uint32_t version;
  std::atomic<int32_t> holder;
  std::atomic<uint64_t> next_node_id;
  std::atomic<uint64_t> next_serial;
  // Slots at or above these were never used.
  std::atomic<uint64_t> used_nodes;
  std::atomic<uint64_t> used_handles;
  Node nodes[kMaxNodes];
  Handle handles[kMaxHandles];

  std::span<Node> UsedNodes() {
    return std::span(nodes).first(std::min(kMaxNodes, used_nodes.load()));
  }
  std::span<Handle> UsedHandles() {
    return std::span(handles).first(std::min(kMaxHandles, used_handles.load()));
  }
};

Status Ledger::Create(UniqueFd* fd) {
  *fd = UniqueFd(memfd_create("keyvol-ledger", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!fd->valid()) return Status::FromErrno(errno, "make the ledger");
  if (ftruncate(fd->get(), sizeof(Layout)) != 0 ||
      fcntl(fd->get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return Status::FromErrno(errno, "size the ledger");
  }
  void* memory = mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd->get(), 0);
  if (memory == MAP_FAILED) return Status::FromErrno(errno, "map the ledger");
  auto* layout = static_cast<Layout*>(memory);  // zeros, which is what empty slots are
  layout->version = kVersion;
  layout->next_node_id = kFirstFileNode;
  layout->next_serial = 1;
  layout->magic = kMagic;
  munmap(memory, sizeof(Layout));
  return Status::Ok();
}

Status Ledger::Map(UniqueFd fd, std::shared_ptr<Ledger>* ledger) {
  struct stat attributes = {};
  if (fstat(fd.get(), &attributes) != 0) return Status::FromErrno(errno, "stat the ledger");
  if (attributes.st_size != sizeof(Layout)) {
    return Status::Error(Code::kUnsupported, "the holder's ledger is of another version");
  }
  void* memory =
      mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd.get(), 0);
  if (memory == MAP_FAILED) return Status::FromErrno(errno, "map the ledger");
  ledger->reset(new Ledger(std::move(fd), static_cast<Layout*>(memory)));
  const Layout& layout = *(*ledger)->layout_;
  if (layout.magic == kMagic && layout.version == kVersion) return Status::Ok();
  return Status::Error(Code::kUnsupported, "the holder's ledger is of another version");
}

Ledger::~Ledger() { munmap(layout_, sizeof(Layout)); }

void Ledger::SetHolder(pid_t pid) { layout_->holder = pid; }
pid_t Ledger::holder() const { return layout_->holder; }

Ledger::Node* Ledger::FindNode(const std::string& disk_id) {
  for (Node& node : layout_->UsedNodes()) {
    if (node.node_id != 0 && disk_id == node.disk_id) return &node;
  }
  return nullptr;
}

Ledger::Node* Ledger::AddNode(const std::string& disk_id) {
  assert(disk_id.size() <= kMaxIdBytes);
  size_t index = 0;
  while (index < kMaxNodes && layout_->nodes[index].node_id != 0) ++index;
  if (index == kMaxNodes) return nullptr;
  Node& node = layout_->nodes[index];
  memset(node.disk_id, 0, sizeof node.disk_id);
  memcpy(node.disk_id, disk_id.data(), disk_id.size());
  node.exclusive = 0;
  if (layout_->used_nodes <= index) layout_->used_nodes = index + 1;
  node.node_id = layout_->next_node_id++;
  return &node;
}

std::vector<Ledger::Node*> Ledger::Nodes() {
  std::vector<Node*> nodes;
  for (Node& node : layout_->UsedNodes()) {
    if (node.node_id != 0) nodes.push_back(&node);
  }
  return nodes;
}

Ledger::Handle* Ledger::FindHandle(uint64_t handle) {
  const size_t index = handle & ((1 << kIndexBits) - 1);
  if (handle == 0 || index >= kMaxHandles) return nullptr;
  Handle& found = layout_->handles[index];
  return found.handle == handle ? &found : nullptr;
}

Ledger::Handle* Ledger::FindHandleOfOpen(uint64_t unique, uint64_t node_id) {
  for (Handle& handle : layout_->UsedHandles()) {
    if (handle.handle != 0 && handle.unique == unique && handle.node_id == node_id) return &handle;
  }
  return nullptr;
}

uint64_t Ledger::AddHandle(uint64_t node_id, uint64_t unique, bool own, bool for_writing) {
  size_t index = 0;
  while (index < kMaxHandles && layout_->handles[index].handle != 0) ++index;
  if (index == kMaxHandles) return 0;
  Handle& handle = layout_->handles[index];
  handle.node_id = node_id;
  handle.unique = unique;
  handle.own = own;
  handle.for_writing = for_writing;
  handle.revoked = 0;
  if (layout_->used_handles <= index) layout_->used_handles = index + 1;
  const uint64_t number = layout_->next_serial++ << kIndexBits | index;
  handle.handle = number;
  return number;
}

std::vector<Ledger::Handle*> Ledger::Handles() {
  std::vector<Handle*> handles;
  for (Handle& handle : layout_->UsedHandles()) {
    if (handle.handle != 0) handles.push_back(&handle);
  }
  return handles;
}

}  // namespace keyvol::fuse
