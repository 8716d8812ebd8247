// The disks that clients may ask for by name.
#ifndef KEYVOL_TRANSPORT_NBD_EXPORTS_H_
#define KEYVOL_TRANSPORT_NBD_EXPORTS_H_

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "disk/disk.h"

namespace keyvol::nbd {

struct Export {
  Export(std::string id, std::shared_ptr<Disk> disk, bool read_only)
      : id(std::move(id)), disk(std::move(disk)), read_only(read_only) {}

  const std::string id;
  const std::shared_ptr<Disk> disk;
  const bool read_only;
  // Set for good when it is; who finds it so must not begin to serve it.
  mutable std::atomic<bool> removed{false};
};

// All calls are safe from any thread.
class Exports {
 public:
  // kExists when the name is taken.
  Status Add(const std::string& name, std::shared_ptr<const Export> added);
  // kNotFound, kExists.
  Status Rename(const std::string& id, const std::string& name);
  void Remove(const std::string& id);
  // Null when there is none of that name.
  std::shared_ptr<const Export> Find(const std::string& name) const;
  std::vector<std::string> Names() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Export>> by_name_;
};

}  // namespace keyvol::nbd

#endif  // KEYVOL_TRANSPORT_NBD_EXPORTS_H_
