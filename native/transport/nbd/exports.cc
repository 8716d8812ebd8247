#include "transport/nbd/exports.h"

#include <algorithm>
#include <utility>

namespace keyvol::nbd {

Status Exports::Add(const std::string& name, std::shared_ptr<const Export> added) {
  const std::lock_guard lock(mutex_);
  if (by_name_.emplace(name, std::move(added)).second) return Status::Ok();
  return Status::Error(Code::kExists, "an NBD export " + name + " exists already");
}

Status Exports::Rename(const std::string& id, const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto known = std::find_if(by_name_.begin(), by_name_.end(),
                                  [&id](const auto& entry) { return entry.second->id == id; });
  if (known == by_name_.end()) {
    return Status::Error(Code::kNotFound, "disk " + id + " is not exported");
  }
  if (known->first == name) return Status::Ok();
  if (by_name_.contains(name)) {
    return Status::Error(Code::kExists, "an NBD export " + name + " exists already");
  }
  auto entry = by_name_.extract(known);
  entry.key() = name;
  by_name_.insert(std::move(entry));
  return Status::Ok();
}

void Exports::Remove(const std::string& id) {
  const std::lock_guard lock(mutex_);
  for (auto entry = by_name_.begin(); entry != by_name_.end(); ++entry) {
    if (entry->second->id != id) continue;
    entry->second->removed = true;
    by_name_.erase(entry);
    return;
  }
}

std::shared_ptr<const Export> Exports::Find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto known = by_name_.find(name);
  return known == by_name_.end() ? nullptr : known->second;
}

std::vector<std::string> Exports::Names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, exported] : by_name_) names.push_back(name);
  return names;
}

}  // namespace keyvol::nbd
