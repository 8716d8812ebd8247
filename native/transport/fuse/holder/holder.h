// Keeps one FUSE mount alive while no daemon serves it.
#ifndef KEYVOL_TRANSPORT_FUSE_HOLDER_HOLDER_H_
#define KEYVOL_TRANSPORT_FUSE_HOLDER_HOLDER_H_

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "host/packets.h"
#include "status.h"
#include "unique_fd.h"

namespace keyvol::fuse {

// Reads nothing of what goes through the mount: it only keeps the descriptors, so that requests
// wait in the kernel until the next daemon takes them. What a daemon does to the host is done by
// children of ours: a daemon that is killed never waits on its own disks, and what it began ends.
// One thread; every call is short.
class Holder {
 public:
  struct Signals {
    UniqueFd to_end;
    UniqueFd of_children;
  };

  Holder(UniqueFd listener, Signals signals, std::chrono::seconds timeout)
      : listener_(std::move(listener)), signals_(std::move(signals)), timeout_(timeout) {}

  // Until the mount is given up: a daemon said so, none came within the timeout, or a signal came
  // while there was none.
  void Run();

 private:
  using Clock = std::chrono::steady_clock;

  struct Child {
    UniqueFd peer;    // who asked; answered once it is known what is kept after it
    UniqueFd answer;  // what the child says
    // Of those that freeze or thaw.
    std::string root_key;
    bool freezes = false;
    bool was_kept = false;  // the root, before
  };

  int MillisecondsLeft() const;
  void Accept();
  // False when the daemon's connection has ended.
  bool HearDaemon();
  void Answer(const UniqueFd& peer, const Status& status, const std::string& done);
  void AnswerVisitor(UniqueFd peer, Packet packet);
  // The root on which an operation is done; -1 for one that is done on none. Borrowed.
  Status RootFor(const std::vector<std::string>& fields, Child* child, int* root);
  Status KeepRoot(const std::string& directory, const std::string& source);
  void StartChild(UniqueFd peer, const std::vector<std::string>& fields);
  void BuryChildren();
  void Bury(const Child& child);
  std::vector<std::string> Frozen() const;
  // Who waits on a frozen filesystem must not wait for ever.
  void ThawAll();
  Status Release();
  Status Claim(const std::vector<std::string>& fields, bool* kept);
  Status Adopt(const std::vector<std::string>& fields, std::vector<UniqueFd> fds);
  Status MountAnew(const std::vector<std::string>& fields);
  Status SignLedger();
  bool IsMountAlive() const;

  const UniqueFd listener_;
  const Signals signals_;
  const std::chrono::seconds timeout_;
  UniqueFd daemon_;  // the connection that has claimed the mount
  Clock::time_point alone_since_ = Clock::now();
  std::string directory_;
  UniqueFd ledger_;
  std::vector<UniqueFd> fds_;  // of the mount; empty when there is none
  std::map<pid_t, Child> children_;
  // Kept from before a freeze until after the thaw, for a daemon that is killed in between.
  std::map<std::string, UniqueFd> roots_;  // by directory and source, joined
  std::vector<UniqueFd> settling_;         // who waits until there are none
  bool ended_ = false;
};

}  // namespace keyvol::fuse

#endif  // KEYVOL_TRANSPORT_FUSE_HOLDER_HOLDER_H_
