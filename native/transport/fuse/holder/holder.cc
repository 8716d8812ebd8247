#include "transport/fuse/holder/holder.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

#include "host/fuse_mount.h"
#include "transport/fuse/holder/host_operations.h"
#include "transport/fuse/holder_messages.h"
#include "transport/fuse/ledger.h"
#include "transport/fuse/negotiation.h"

namespace keyvol::fuse {

namespace {

// Whoever connects speaks at once.
constexpr std::chrono::milliseconds kFirstWords(2000);
constexpr int kChildFd = 3;

Status NotUnderstood() {
  return Status::Error(Code::kInvalidArgument, "the holder does not understand the daemon");
}

bool TakeSignal(const UniqueFd& signals) {
  struct signalfd_siginfo signal;
  return read(signals.get(), &signal, sizeof signal) == sizeof signal;
}

}  // namespace

void Holder::Run() {
  while (!ended_) {
    struct pollfd waits[] = {{signals_.to_end.get(), POLLIN, 0},
                             {signals_.of_children.get(), POLLIN, 0},
                             {daemon_.get(), POLLIN, 0},
                             {listener_.get(), POLLIN, 0}};
    if (poll(waits, std::size(waits), MillisecondsLeft()) < 0) continue;
    if (waits[1].revents != 0) BuryChildren();
    if (waits[2].revents != 0 && !HearDaemon()) {
      daemon_.Reset();
      alone_since_ = Clock::now();
      if (!IsMountAlive()) break;
    }
    const bool is_told_to_end = waits[0].revents != 0 && TakeSignal(signals_.to_end);
    // A daemon that is there ends the mount in its own order.
    if (!daemon_.valid() && (is_told_to_end || MillisecondsLeft() == 0)) break;
    if (waits[3].revents != 0 && !ended_) Accept();
  }
  // What is still open ends with the descriptors, in errors; the mount stays in the tree for the
  // next daemon, which tells by it what there is to clean up.
  static_cast<void>(Release());
}

int Holder::MillisecondsLeft() const {
  if (daemon_.valid()) return -1;
  const auto left =
      std::chrono::ceil<std::chrono::milliseconds>(alone_since_ + timeout_ - Clock::now());
  return static_cast<int>(std::max<int64_t>(0, left.count()));
}

void Holder::Accept() {
  UniqueFd peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  Packet packet;
  if (!peer.valid() || !IsPeerTrusted(peer)) return;
  if (ReceivePacket(peer, kFirstWords, &packet).ok()) {
    AnswerVisitor(std::move(peer), std::move(packet));
  }
}

void Holder::AnswerVisitor(UniqueFd peer, Packet packet) {
  const std::vector<std::string> fields = Fields(packet.bytes);
  if (fields[0] == kDo && fields.size() > 1) return StartChild(peer, fields);
  if (fields[0] == kSettle) {
    settling_.push_back(std::move(peer));
    return BuryChildren();
  }
  if (daemon_.valid()) {
    return Answer(peer, Status::Error(Code::kBusy, "another daemon has claimed the mount"), kDone);
  }
  if (fields[0] == kRelease) {
    const Status status = Release();
    ended_ = status.ok();
    return Answer(peer, status, kDone);
  }
  bool kept = false;
  const bool is_claim = fields[0] == kClaim && fields.size() == 5;
  const bool is_adoption = fields[0] == kAdopt && fields.size() == 2;
  const Status status = is_claim      ? Claim(fields, &kept)
                        : is_adoption ? Adopt(fields, std::move(packet.fds))
                                      : NotUnderstood();
  Answer(peer, status, is_adoption ? kDone : kept ? kKept : kMounted);
  if (status.ok()) daemon_ = std::move(peer);
  if (!status.ok() && fds_.empty()) ended_ = true;  // who started us tells why
}

void Holder::StartChild(const UniqueFd& peer, const std::vector<std::string>& fields) {
  const pid_t child = fork();
  if (child < 0) return Answer(peer, Status::FromErrno(errno, "start a process"), kDone);
  ++children_;
  if (child > 0) return;
  // A child that is stuck must keep neither the mount nor the daemon's connection alive.
  const UniqueFd alone(dup2(peer.get(), kChildFd));
  close_range(kChildFd + 1, ~0U, 0);
  std::string result;
  const Status status = DoOnHost({fields.begin() + 1, fields.end()}, &result);
  Answer(alone, status, Joined({kDone, result}));
  _exit(0);
}

void Holder::BuryChildren() {
  TakeSignal(signals_.of_children);
  while (children_ > 0 && waitpid(-1, nullptr, WNOHANG) > 0) --children_;
  if (children_ > 0) return;
  for (const UniqueFd& peer : settling_) Answer(peer, Status::Ok(), kDone);
  settling_.clear();
}

bool Holder::HearDaemon() {
  Packet packet;
  if (!ReceivePacket(daemon_, kFirstWords, &packet).ok()) return false;
  const bool is_end = Fields(packet.bytes)[0] == kUnmount;
  const Status status = is_end ? UnmountFuse(directory_) : NotUnderstood();
  Answer(daemon_, status, kDone);
  ended_ = is_end && status.ok();
  return true;
}

void Holder::Answer(const UniqueFd& peer, const Status& status, const std::string& done) {
  std::vector<int> fds;
  if (status.ok() && (done == kMounted || done == kKept)) {
    fds.push_back(ledger_.get());
    for (const UniqueFd& fd : fds_) fds.push_back(fd.get());
  }
  // A daemon that is gone already is seen at its connection.
  static_cast<void>(SendPacket(peer, status.ok() ? done : MessageOf(status), fds));
}

Status Holder::Claim(const std::vector<std::string>& fields, bool* kept) {
  *kept = IsMountAlive() && directory_ == fields[1];
  if (*kept) return SignLedger();
  if (fds_.empty()) return MountAnew(fields);
  ended_ = true;
  return Status::Error(Code::kNotFound, "the mount has been aborted");
}

Status Holder::MountAnew(const std::vector<std::string>& fields) {
  const FuseMountRequest request = {.directory = fields[1],
                                    .descriptors = atoi(fields[2].c_str()),
                                    .allow_other = fields[3] == "1",
                                    .max_read_bytes = strtoul(fields[4].c_str(), nullptr, 10)};
  if (request.descriptors < 1 || static_cast<size_t>(request.descriptors) >= kMaxPacketFds) {
    return NotUnderstood();
  }
  RETURN_IF_ERROR(Ledger::Create(&ledger_));
  RETURN_IF_ERROR(MountFuse(request, &fds_));
  directory_ = request.directory;
  Status status = AnswerInit(fds_.front().get());
  if (status.ok()) status = SignLedger();
  if (!status.ok()) static_cast<void>(UnmountFuse(directory_));
  return status;
}

Status Holder::Adopt(const std::vector<std::string>& fields, std::vector<UniqueFd> fds) {
  if (fds.size() < 2 || !fds_.empty()) return NotUnderstood();
  directory_ = fields[1];
  ledger_ = std::move(fds.front());
  fds_.assign(std::make_move_iterator(fds.begin() + 1), std::make_move_iterator(fds.end()));
  return SignLedger();
}

// So that the daemon knows the files that our children open.
Status Holder::SignLedger() {
  std::shared_ptr<Ledger> ledger;
  RETURN_IF_ERROR(Ledger::Map(UniqueFd(fcntl(ledger_.get(), F_DUPFD_CLOEXEC, 0)), &ledger));
  ledger->SetHolder(getpid());
  return Status::Ok();
}

Status Holder::Release() { return IsMountAlive() ? UnmountIdleFuse(directory_) : Status::Ok(); }

bool Holder::IsMountAlive() const {
  if (fds_.empty()) return false;
  struct pollfd mount = {.fd = fds_.front().get(), .events = 0, .revents = 0};
  return poll(&mount, 1, 0) >= 0 && (mount.revents & POLLERR) == 0;
}

}  // namespace keyvol::fuse
