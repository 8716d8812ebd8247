// Requests about names and attributes.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "transport/fuse/requests.h"

namespace keyvol::fuse {

namespace {

constexpr uint32_t kMaxNameBytes = 64;
constexpr uint64_t kStatUnitBytes = 512;
// How long the kernel may keep the two directories; files are asked for afresh every time, since
// their names and sizes can change.
constexpr uint64_t kDirectoryValidSeconds = 3600;

uint64_t ValidSeconds(const Node& node) { return node.disk ? 0 : kDirectoryValidSeconds; }

fuse_attr AttributesOf(const Node& node) {
  static const time_t started = time(nullptr);
  fuse_attr attributes = {};
  attributes.ino = node.node_id;
  attributes.mode = node.mode;
  attributes.nlink = node.disk ? 1 : 2;
  attributes.uid = node.uid;
  attributes.gid = node.gid;
  attributes.blksize = kPageBytes;
  // Disks keep no times; the start of the mount is as good as any and never jumps.
  attributes.atime = attributes.mtime = attributes.ctime = static_cast<uint64_t>(started);
  if (node.disk) {
    attributes.size = node.disk->size_bytes();
    attributes.blocks = node.disk->allocated_bytes() / kStatUnitBytes;
  }
  return attributes;
}

void SendAttributes(const Node& node, Reply& reply) {
  fuse_attr_out out = {};
  out.attr_valid = ValidSeconds(node);
  out.attr = AttributesOf(node);
  reply.SendStruct(out);
}

struct DirectoryEntry {
  uint64_t node_id;
  std::string name;
  mode_t mode;
};

// Appends one fuse_dirent; false when there is no room. `next_offset` is where a later READDIR
// goes on after this entry.
bool AppendEntry(const DirectoryEntry& entry, uint64_t next_offset, std::span<std::byte> room,
                 size_t* used_bytes) {
  const size_t entry_bytes = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.name.size());
  if (*used_bytes + entry_bytes > room.size()) return false;
  std::byte* at = room.data() + *used_bytes;
  memset(at, 0, entry_bytes);
  fuse_dirent out = {};
  out.ino = entry.node_id;
  out.off = next_offset;
  out.namelen = static_cast<uint32_t>(entry.name.size());
  out.type = (entry.mode & S_IFMT) >> 12;
  memcpy(at, &out, FUSE_NAME_OFFSET);
  memcpy(at + FUSE_NAME_OFFSET, entry.name.data(), entry.name.size());
  *used_bytes += entry_bytes;
  return true;
}

}  // namespace

void HandleLookup(Tree& tree, const Request& request, Reply& reply) {
  const std::optional<Node> node = tree.FindChild(request.header.nodeid, request.Name());
  if (!node) return reply.Errno(ENOENT);
  fuse_entry_out out = {};
  out.nodeid = node->node_id;
  out.entry_valid = out.attr_valid = ValidSeconds(*node);
  out.attr = AttributesOf(*node);
  reply.SendStruct(out);
}

void HandleGetattr(Tree& tree, const Request& request, Reply& reply) {
  const std::optional<Node> node = tree.Find(request.header.nodeid);
  if (node) return SendAttributes(*node, reply);
  const bool by_handle = (request.As<fuse_getattr_in>().getattr_flags & FUSE_GETATTR_FH) != 0;
  reply.Errno(by_handle ? EIO : ENOENT);
}

// A disk's size, owner and mode belong to keyvol. Truncation and times are accepted and change
// nothing: `dd of=disk` truncates first and must not fail for it; chmod and chown must fail,
// since a caller relies on them.
void HandleSetattr(Tree& tree, const Request& request, Reply& reply) {
  const auto& in = request.As<fuse_setattr_in>();
  const std::optional<Node> node = tree.Find(request.header.nodeid);
  if (!node) return reply.Errno((in.valid & FATTR_FH) != 0 ? EIO : ENOENT);
  if ((in.valid & (FATTR_MODE | FATTR_UID | FATTR_GID)) != 0) return reply.Errno(EPERM);
  if ((in.valid & FATTR_SIZE) != 0 && !tree.IsWritable(node->node_id)) return reply.Errno(EROFS);
  SendAttributes(*node, reply);
}

void HandleStatfs(Tree& tree, const Request&, Reply& reply) {
  uint64_t size_bytes = 0;
  uint64_t allocated_bytes = 0;
  fuse_statfs_out out = {};
  for (const Node& directory : tree.Children(FUSE_ROOT_ID)) {
    for (const Node& node : tree.Children(directory.node_id)) {
      size_bytes += node.disk->size_bytes();
      allocated_bytes += std::min(node.disk->allocated_bytes(), node.disk->size_bytes());
      out.st.files++;
    }
  }
  out.st.bsize = out.st.frsize = kPageBytes;
  out.st.blocks = size_bytes / kPageBytes;
  // What the disks have not taken up of their sizes yet, so that `df` shows what they have.
  out.st.bfree = out.st.bavail = (size_bytes - allocated_bytes) / kPageBytes;
  out.st.namelen = kMaxNameBytes;
  reply.SendStruct(out);
}

void HandleOpendir(Tree& tree, const Request& request, Reply& reply) {
  const std::optional<Node> node = tree.Find(request.header.nodeid);
  if (!node) return reply.Errno(ENOENT);
  if (node->disk) return reply.Errno(ENOTDIR);
  reply.SendStruct(fuse_open_out{});
}

// Offsets: 1 is after ".", 2 after "..", a node number + 2 after that child; so files that come
// or go between two calls move nobody else.
void HandleReaddir(Tree& tree, const Request& request, Reply& reply) {
  const auto& in = request.As<fuse_read_in>();
  const uint64_t self = request.header.nodeid;
  const std::span<std::byte> room =
      reply.buffer().first(std::min<size_t>(in.size, kMaxPayloadBytes));
  size_t used_bytes = 0;
  bool has_room = true;
  const auto append = [&](const DirectoryEntry& entry, uint64_t next_offset) {
    if (has_room && next_offset > in.offset) {
      has_room = AppendEntry(entry, next_offset, room, &used_bytes);
    }
  };
  append({self, ".", S_IFDIR}, 1);
  append({FUSE_ROOT_ID, "..", S_IFDIR}, 2);
  for (const Node& child : tree.Children(self)) {
    append({child.node_id, child.name, child.mode}, child.node_id + 2);
  }
  reply.SendBuffer(used_bytes);
}

}  // namespace keyvol::fuse
