// FUSE requests of every opcode, length, name, handle and offset over disks in memory: each gets
// exactly the replies that the protocol has for it, and a disk is asked for nothing that it lacks.
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "fuzz/harness.h"
#include "fuzz/memory_disk.h"
#include "transport/fuse/requests.h"
#include "unique_fd.h"

namespace {

using keyvol::Promise;
using keyvol::UniqueFd;
using keyvol::fuse::Directory;
using keyvol::fuse::HandleOwner;
using keyvol::fuse::kMaxPayloadBytes;
using keyvol::fuse::Ledger;
using keyvol::fuse::Reply;
using keyvol::fuse::Request;
using keyvol::fuse::Tree;
using keyvol::fuzz::Input;
using keyvol::fuzz::MemoryDisk;

// Opcodes from here on are not the kernel's: they change the tree between two requests.
constexpr uint8_t kFirstTreeChange = 0xf0;

enum Flag : uint8_t { kWrongLength = 1, kRawHeader = 2, kOwnProcess = 4 };

// Collects what was written to a connection.
class Replies {
 public:
  Replies() : fd_(memfd_create("replies", MFD_CLOEXEC)) {
    Promise(fd_.valid(), "there is a memfd");
  }
  int fd() const { return fd_.get(); }
  void Clear() { Promise(lseek(fd(), 0, SEEK_SET) == 0, "a memfd seeks"); }
  std::vector<uint8_t> All() const {
    std::vector<uint8_t> bytes(static_cast<size_t>(lseek(fd(), 0, SEEK_CUR)));
    Promise(pread(fd(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
            "a memfd reads");
    return bytes;
  }

 private:
  const UniqueFd fd_;
};

bool GetsNoAnswer(uint32_t opcode) {
  return opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET || opcode == FUSE_INTERRUPT;
}

template <typename T>
T BodyOf(std::span<const std::byte> body) {
  T in = {};
  std::copy_n(body.begin(), std::min(sizeof in, body.size()), reinterpret_cast<std::byte*>(&in));
  return in;
}

// The entries of a READDIR reply fill it, each with a name and room for it.
void CheckDirectory(std::span<const uint8_t> entries) {
  while (!entries.empty()) {
    Promise(entries.size() >= FUSE_NAME_OFFSET, "a directory entry is whole");
    fuse_dirent entry;
    std::memcpy(&entry, entries.data(), FUSE_NAME_OFFSET);
    const size_t entry_bytes = FUSE_DIRENT_ALIGN(FUSE_NAME_OFFSET + entry.namelen);
    Promise(entry.namelen > 0 && entry.off > 0 && entry_bytes <= entries.size(),
            "a directory entry has its name");
    entries = entries.subspan(entry_bytes);
  }
}

void CheckData(const fuse_in_header& header, std::span<const std::byte> body,
               std::span<const uint8_t> data) {
  switch (header.opcode) {
    case FUSE_READ:
      Promise(data.size() <= BodyOf<fuse_read_in>(body).size, "no more is read than was asked for");
      break;
    case FUSE_READDIR:
      Promise(data.size() <= BodyOf<fuse_read_in>(body).size, "no more is read than was asked for");
      CheckDirectory(data);
      break;
    case FUSE_WRITE:
      if (!data.empty()) {
        Promise(
            BodyOf<fuse_write_out>(std::as_bytes(data)).size <= BodyOf<fuse_write_in>(body).size,
            "no more is written than was given");
      }
      break;
    default:
      break;
  }
}

void CheckReplies(const Reply& reply, const fuse_in_header& header, std::span<const std::byte> body,
                  const std::vector<uint8_t>& written) {
  const bool is_whole = header.len == sizeof header + body.size();
  if (reply.would_wait())
    return Promise(is_whole && written.empty(), "what would wait is not answered");
  if (written.empty()) return Promise(GetsNoAnswer(header.opcode), "requests are answered");
  Promise(written.size() >= sizeof(fuse_out_header), "a reply has a header");
  const auto out = BodyOf<fuse_out_header>(std::as_bytes(std::span(written)));
  Promise(out.len == written.size(), "a request has one reply of the length that it says");
  Promise(out.unique == header.unique, "a reply is that of its request");
  Promise(out.error <= 0 && out.error > -4096, "an error is a negative errno");
  Promise(out.error != 0 || is_whole, "a request of another length than it says is refused");
  Promise(out.error == 0 || written.size() == sizeof out, "an error has no data");
  CheckData(header, body, std::span(written).subspan(sizeof out));
}

// Making one takes longer than most inputs, so a few share it: what one leaves open is closed for
// ever when its files go.
std::shared_ptr<Ledger> FreshLedger() {
  constexpr int kUses = 64;
  static std::shared_ptr<Ledger> ledger;
  static int uses = 0;
  if (uses++ % kUses > 0) return ledger;
  UniqueFd memory;
  Promise(Ledger::Create(&memory).ok() && Ledger::Map(std::move(memory), &ledger).ok(),
          "there is memory for a ledger");
  return ledger;
}

class Mount {
 public:
  ~Mount() { tree_.Keep({}); }
  Mount() {
    Add("first", Directory::kVolumes, 64 << 10, false);
    Add("second", Directory::kImages, 64 << 10, true);
    Add("vast", Directory::kVolumes, ~0ull >> 1 & ~0xfffull, false);
  }

  void ChangeTree(uint8_t change, Input& input) {
    const std::string id = input.Byte() % 2 == 0 ? "first" : "vast";
    switch (change % 6) {
      case 0:
        (void)tree_.Remove(id).ok();
        break;
      case 1:
        (void)tree_.Rename(id, "n" + input.Text(input.Byte() % 64)).ok();
        break;
      case 2:
        tree_.Revoke(id, input.Byte() % 2 ? HandleOwner::kOwn : HandleOwner::kAll);
        break;
      case 3:
        (void)tree_.SetExclusive(id, input.Byte() % 2).ok();
        break;
      case 4:
        Add(id, Directory::kVolumes, 4096, false);
        break;
      default:
        disks_answer_->store(static_cast<keyvol::Code>(input.Byte() % 18));
    }
  }

  void Serve(fuse_in_header header, std::span<const uint8_t> given) {
    // A copy of just this length, so that a byte too many is seen.
    const std::span<const std::byte> bytes = std::as_bytes(given);
    std::vector<std::byte> body(bytes.begin(), bytes.end());
    const std::vector<std::byte> before = body;
    static std::vector<std::byte> reply_room(kMaxPayloadBytes);
    replies_.Clear();
    Reply reply(replies_.fd(), header.unique, reply_room, muted_);
    Dispatch(tree_, Request{header, body}, reply);
    CheckReplies(reply, header, before, replies_.All());
  }

 private:
  void Add(const std::string& id, Directory directory, uint64_t size_bytes, bool read_only) {
    auto disk = std::make_shared<MemoryDisk>(size_bytes, !read_only, disks_answer_);
    (void)tree_.Add({id, directory, id, std::move(disk), read_only, 0, 0, 0600}).ok();
  }

  const std::atomic<bool> muted_ = false;
  Tree tree_{FreshLedger()};
  Replies replies_;
  const std::shared_ptr<std::atomic<keyvol::Code>> disks_answer_ =
      std::make_shared<std::atomic<keyvol::Code>>(keyvol::Code::kOk);
};

fuse_in_header HeaderOf(uint8_t opcode, uint8_t flags, size_t body_bytes, Input& input) {
  fuse_in_header header = {};
  header.opcode = opcode;
  header.nodeid = input.Byte();
  header.unique = 0x0102030405060708;
  header.pid = flags & kOwnProcess ? static_cast<uint32_t>(getpid()) : 1;
  if (flags & kRawHeader) {
    header = BodyOf<fuse_in_header>(std::as_bytes(input.Bytes(sizeof header)));
  }
  header.len = static_cast<uint32_t>(sizeof header + body_bytes);
  if (flags & kWrongLength) header.len += 1 + input.Byte();
  return header;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  Mount mount;
  while (!input.empty()) {
    const uint8_t opcode = input.Byte();
    if (opcode >= kFirstTreeChange) {
      mount.ChangeTree(opcode - kFirstTreeChange, input);
      continue;
    }
    const uint8_t flags = input.Byte();
    const uint8_t body_bytes = input.Byte();
    const std::span<const uint8_t> body = input.Bytes(body_bytes);
    mount.Serve(HeaderOf(opcode, flags, body.size(), input), body);
  }
  return 0;
}
