// Keeps one FUSE mount alive while no daemon serves it.
#ifndef KEYVOL_TRANSPORT_FUSE_HOLDER_HOLDER_H_
#define KEYVOL_TRANSPORT_FUSE_HOLDER_HOLDER_H_

#include <chrono>
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

  int MillisecondsLeft() const;
  void Accept();
  // False when the daemon's connection has ended.
  bool HearDaemon();
  void Answer(const UniqueFd& peer, const Status& status, const std::string& done);
  void AnswerVisitor(UniqueFd peer, Packet packet);
  void StartChild(const UniqueFd& peer, const std::vector<std::string>& fields);
  void BuryChildren();
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
  size_t children_ = 0;
  std::vector<UniqueFd> settling_;  // who waits until there are none
  bool ended_ = false;
};

}  // namespace keyvol::fuse

#endif  // KEYVOL_TRANSPORT_FUSE_HOLDER_HOLDER_H_
