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
#include "host/mount.h"
#include "host/unix_socket.h"
#include "transport/fuse/holder/host_operations.h"
#include "transport/fuse/holder_messages.h"
#include "transport/fuse/ledger.h"
#include "transport/fuse/negotiation.h"

namespace keyvol::fuse {

namespace {

// Whoever connects speaks at once.
constexpr std::chrono::milliseconds kFirstWords(2000);
constexpr int kChildFd = 3;

constexpr int kChildRootFd = 4;

[[noreturn]] void RunChild(const std::vector<std::string>& fields, int answers, int root) {
  // A child that is stuck must keep neither the mount nor a connection alive.
  const int moved = fcntl(answers, F_DUPFD, kChildRootFd + 1);
  const int moved_root = root < 0 ? -1 : fcntl(root, F_DUPFD, kChildRootFd + 1);
  dup2(moved, kChildFd);
  const UniqueFd kept(moved_root < 0 ? -1 : dup2(moved_root, kChildRootFd));
  close_range(kept.valid() ? kChildRootFd + 1 : kChildFd + 1, ~0U, 0);
  std::string result;
  const Status status = kept.valid() ? DoOnRoot(fields[1], kept)
                                     : DoOnHost({fields.begin() + 1, fields.end()}, &result);
  const std::string answer = status.ok() ? Joined({kDone, result}) : MessageOf(status);
  const bool said = write(kChildFd, answer.data(), answer.size()) >= 0;
  _exit(said ? 0 : 1);
}

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
  ThawAll();
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
  if (fields[0] == kDo && fields.size() > 1) return StartChild(std::move(peer), fields);
  if (fields[0] == kFrozen) return Answer(peer, Status::Ok(), Joined(Frozen()));
  if (fields[0] == kKeep && fields.size() == 3) {
    return Answer(peer, KeepRoot(fields[1], fields[2]), kDone);
  }
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

void Holder::StartChild(UniqueFd peer, const std::vector<std::string>& fields) {
  Child child;
  int root = -1;
  if (const Status status = RootFor(fields, &child, &root); !status.ok()) {
    return Answer(peer, status, kDone);
  }
  int ends[2];
  const int piped = pipe2(ends, O_CLOEXEC);
  const pid_t pid = piped == 0 ? fork() : -1;
  if (pid < 0) return Answer(peer, Status::FromErrno(errno, "start a process"), kDone);
  if (pid == 0) RunChild(fields, ends[1], root);
  close(ends[1]);
  child.peer = std::move(peer);
  child.answer = UniqueFd(ends[0]);
  children_[pid] = std::move(child);
}

Status Holder::RootFor(const std::vector<std::string>& fields, Child* child, int* root) {
  if (fields[1] != kFreeze && fields[1] != kThaw) return Status::Ok();
  if (fields.size() != 4) return NotUnderstood();
  child->freezes = fields[1] == kFreeze;
  child->root_key = Joined({fields[2], fields[3]});
  child->was_kept = roots_.contains(child->root_key);
  RETURN_IF_ERROR(KeepRoot(fields[2], fields[3]));
  *root = roots_[child->root_key].get();
  return Status::Ok();
}

Status Holder::KeepRoot(const std::string& directory, const std::string& source) {
  const std::string key = Joined({directory, source});
  if (roots_.contains(key)) return Status::Ok();
  UniqueFd fd;
  RETURN_IF_ERROR(OpenRoot(directory, source, &fd));
  roots_[key] = std::move(fd);
  return Status::Ok();
}

void Holder::BuryChildren() {
  TakeSignal(signals_.of_children);
  while (!children_.empty()) {
    const pid_t ended = waitpid(-1, nullptr, WNOHANG);
    if (ended <= 0) return;
    if (const auto child = children_.extract(ended)) Bury(child.mapped());
  }
  for (const UniqueFd& peer : settling_) Answer(peer, Status::Ok(), kDone);
  settling_.clear();
}

void Holder::Bury(const Child& child) {
  char answer[kMaxPacketBytes];
  const ssize_t length = read(child.answer.get(), answer, sizeof answer);
  const std::string said = length > 0 ? std::string(answer, static_cast<size_t>(length))
                                      : MessageOf(Status::Error(Code::kInternal, "it was killed"));
  const std::vector<std::string> fields = Fields(said);
  const Status status = fields[0] == kDone ? Status::Ok() : StatusOf(fields);
  // What was not frozen, or by another, is not ours.
  const bool stays = child.freezes ? status.ok() || child.was_kept
                                   : !status.ok() && status.code() != Code::kInvalidArgument;
  if (!child.root_key.empty() && !stays) roots_.erase(child.root_key);
  static_cast<void>(SendPacket(child.peer, said));
}

std::vector<std::string> Holder::Frozen() const {
  std::vector<std::string> answer = {kDone};
  for (const auto& [key, root] : roots_) {
    const auto is_of_root = [&key](const auto& child) { return child.second.root_key == key; };
    if (std::any_of(children_.begin(), children_.end(), is_of_root)) continue;
    for (std::string& field : Fields(key)) answer.push_back(std::move(field));
  }
  return answer;
}

void Holder::ThawAll() {
  // Nobody answers any more: what a thaw writes fails at once, for the connection ends with these.
  fds_.clear();
  for (const auto& [key, root] : roots_) {
    if (fork() != 0) continue;
    static_cast<void>(ThawFilesystem(root));
    _exit(0);
  }
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
