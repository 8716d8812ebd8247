#include "transport/fuse/holder/host_operations.h"

#include <sys/resource.h>

#include <cstdlib>

#include "host/loop.h"
#include "host/mount.h"

namespace keyvol::fuse {

namespace {

constexpr int kHighestPriority = -20;

using Arguments = std::vector<std::string>;

Status AttachLoopOf(const Arguments& all, std::string* result) {
  return AttachLoop(all[1], all[2] == "1", static_cast<uint32_t>(atoi(all[3].c_str())), result);
}

Status GrowLoopOf(const Arguments& all, std::string*) { return GrowLoop(all[1], all[2]); }

Status MountFilesystemOf(const Arguments& all, std::string*) {
  return MountFilesystem({.source = all[1],
                          .directory = all[2],
                          .filesystem = all[3],
                          .read_only = all[4] == "1",
                          .options = all[5]});
}

Status UnmountFilesystemOf(const Arguments& all, std::string*) {
  return UnmountFilesystem(all[1], all[2] == "1");
}

template <Status (*operation)(const std::string&)>
Status OnPath(const Arguments& all, std::string*) {
  return operation(all[1]);
}

Status DropCachesOf(const Arguments&, std::string*) { return DropCaches(); }

struct Operation {
  const char* name;
  size_t fields;
  Status (*run)(const Arguments& all, std::string* result);
};

constexpr Operation kOperations[] = {
    {"attachLoop", 4, AttachLoopOf},
    {"growLoop", 3, GrowLoopOf},
    {"detachLoop", 2, OnPath<DetachLoop>},
    {"mountFilesystem", 6, MountFilesystemOf},
    {"unmountFilesystem", 3, UnmountFilesystemOf},
    {"syncFilesystem", 2, OnPath<SyncFilesystem>},
    {"checkFilesystem", 2, OnPath<CheckFilesystem>},
    {"dropCaches", 1, DropCachesOf},
};

}  // namespace

Status DoOnHost(const Arguments& fields, std::string* result) {
  for (const Operation& operation : kOperations) {
    if (fields[0] != operation.name || fields.size() != operation.fields) continue;
    return operation.run(fields, result);
  }
  return Status::Error(Code::kInvalidArgument, "the holder cannot do " + fields[0]);
}

Status DoOnRoot(const std::string& operation, const UniqueFd& root) {
  if (operation == kThaw) return ThawFilesystem(root);
  // The second of a key's loss runs.
  static_cast<void>(setpriority(PRIO_PROCESS, 0, kHighestPriority));
  return FreezeFilesystem(root);
}

}  // namespace keyvol::fuse
