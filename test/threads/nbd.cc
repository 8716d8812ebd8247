// NBD clients that come, go and are thrown out while they write and read: each on connections of
// its own, in a region of its own, which must hold what was acknowledged last.
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cstring>
#include <mutex>

#include "disk/disk.h"
#include "host/unix_socket.h"
#include "threads/threads.h"
#include "transport/nbd/server.h"

namespace {

using keyvol::Disk;
using keyvol::Promise;
using keyvol::Status;
using keyvol::UniqueFd;
using keyvol::threads::MustBeOk;
using keyvol::threads::Random;
using keyvol::threads::Rounds;
using keyvol::threads::RunTogether;
namespace nbd = keyvol::nbd;

constexpr size_t kRegionBytes = 8192;
constexpr size_t kClients = 4;

class MemoryDisk : public Disk {
 public:
  uint64_t size_bytes() const override { return bytes_.size(); }
  bool writable() const override { return true; }
  Status Read(uint64_t offset_bytes, std::span<std::byte> out) override {
    const std::lock_guard lock(mutex_);
    std::memcpy(out.data(), bytes_.data() + offset_bytes, out.size());
    return Status::Ok();
  }
  Status Write(uint64_t offset_bytes, std::span<std::byte> data) override {
    const std::lock_guard lock(mutex_);
    std::memcpy(bytes_.data() + offset_bytes, data.data(), data.size());
    std::memset(data.data(), 0xee, data.size());
    return Status::Ok();
  }
  Status Flush() override { return Status::Ok(); }
  Status Discard(uint64_t, uint64_t) override { return Status::Ok(); }
  Status WriteZeroes(uint64_t, uint64_t) override { return Status::Ok(); }
  Status SeekData(uint64_t offset_bytes, uint64_t* result_bytes) override {
    *result_bytes = offset_bytes;
    return Status::Ok();
  }
  Status SeekHole(uint64_t, uint64_t* result_bytes) override {
    *result_bytes = bytes_.size();
    return Status::Ok();
  }
  uint64_t allocated_bytes() const override { return bytes_.size(); }

 private:
  std::mutex mutex_;
  std::array<std::byte, kRegionBytes* kClients> bytes_ = {};
};

// False wherever the connection has ended, which may be at any time.
bool Connect(const std::string& path, std::unique_ptr<nbd::Wire>* wire) {
  UniqueFd fd;
  if (!keyvol::ConnectToUnixSocket(path, SOCK_STREAM, &fd).ok()) return false;
  *wire = std::make_unique<nbd::Wire>(std::move(fd));
  nbd::Greeting greeting;
  if (!(*wire)->ReceiveMessage(&greeting)) return false;
  const nbd::Big32 flags = nbd::kFixedNewstyle | nbd::kNoZeroes;
  const std::string name = "disk";
  const nbd::OptionHeader option = {.magic = nbd::kOptionMagic,
                                    .option = nbd::kExportName,
                                    .length_bytes = static_cast<uint32_t>(name.size())};
  nbd::ExportNameReply reply;
  return (*wire)->Send(
             {nbd::BytesOf(flags), nbd::BytesOf(option), std::as_bytes(std::span(name))}) &&
         (*wire)->ReceiveMessage(&reply);
}

bool Ask(nbd::Wire& wire, nbd::Command command, uint64_t offset_bytes, std::span<std::byte> data) {
  const bool is_write = command == nbd::kWrite;
  const nbd::RequestHeader request = {.magic = nbd::kRequestMagic,
                                      .flags = 0,
                                      .command = static_cast<uint16_t>(command),
                                      .cookie = offset_bytes,
                                      .offset_bytes = offset_bytes,
                                      .length_bytes = static_cast<uint32_t>(data.size())};
  const std::span<const std::byte> sent = is_write ? data : std::span<std::byte>();
  nbd::SimpleReply reply;
  if (!wire.Send({nbd::BytesOf(request), sent}) || !wire.ReceiveMessage(&reply)) return false;
  Promise(reply.error == 0 && reply.cookie == offset_bytes, "the reply is the request's");
  return is_write || wire.Receive(data);
}

void BeClient(const std::string& path, unsigned number, const std::atomic<bool>& ended) {
  Random random(number);
  std::array<std::byte, kRegionBytes> data;
  std::unique_ptr<nbd::Wire> wire;
  std::byte last = {};
  // What was sent and not answered may be there or not.
  bool is_known = false;
  while (!ended) {
    if (!wire && !Connect(path, &wire)) {
      wire.reset();
      continue;
    }
    const auto value = static_cast<std::byte>(1 + random.Below(200));
    data.fill(value);
    is_known = Ask(*wire, nbd::kWrite, number * kRegionBytes, data);
    last = value;
    if (is_known && Ask(*wire, nbd::kRead, number * kRegionBytes, data)) {
      for (const std::byte byte : data) Promise(byte == last, "what was acknowledged is there");
    } else {
      wire.reset();
    }
    if (random.Chance(20)) wire.reset();
  }
}

void Disturb(nbd::Server& server, const std::shared_ptr<Disk>& disk, std::atomic<bool>& ended) {
  Random random(99);
  for (int round = 0; round < Rounds(300); ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (random.Chance(3)) server.Disconnect("id");
    Promise(server.ConnectionsTo("id") <= 256, "there are no more than are allowed");
    if (!random.Chance(10)) continue;
    server.Remove("id");
    MustBeOk(server.Add("disk", std::make_shared<const nbd::Export>("id", disk, false)));
  }
  ended = true;
  Promise(server.Stop(std::chrono::seconds(10)), "it ends, whatever its clients do");
}

}  // namespace

int main() {
  keyvol::threads::TempDirectory directory;
  const std::string path = directory.NewFile(0);
  std::vector<nbd::Server::Listener> listeners(1);
  listeners[0].greet = [](const UniqueFd&) { return std::string(); };
  MustBeOk(keyvol::ListenOnUnixSocket(path, SOCK_STREAM, &listeners[0].fd));
  std::shared_ptr<nbd::Server> server;
  MustBeOk(nbd::Server::Start(std::move(listeners), &server));
  MustBeOk(server->Serve());
  const std::shared_ptr<Disk> disk = std::make_shared<MemoryDisk>();
  MustBeOk(server->Add("disk", std::make_shared<const nbd::Export>("id", disk, false)));
  std::atomic<bool> ended = false;
  std::vector<std::function<void()>> works = {[&] { Disturb(*server, disk, ended); }};
  for (unsigned i = 0; i < kClients; ++i) works.emplace_back([&, i] { BeClient(path, i, ended); });
  RunTogether(works);
}
