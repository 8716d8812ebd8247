// A disk under many threads that read, write, discard and flush, while others swap its top, cut it
// off and restore it. Sectors are filled with one byte each, so that a torn one shows.
#include "disk/layer_stack.h"

#include <algorithm>

#include "container/container.h"
#include "threads/threads.h"

namespace {

using keyvol::Closing;
using keyvol::Code;
using keyvol::kDataOffsetBytes;
using keyvol::kSectorBytes;
using keyvol::LayerOptions;
using keyvol::LayerStack;
using keyvol::Promise;
using keyvol::Secret;
using keyvol::Status;
using keyvol::threads::MustBeOk;
using keyvol::threads::Random;
using keyvol::threads::Rounds;
using keyvol::threads::TempDirectory;

constexpr unsigned kThreads = 4;
constexpr uint64_t kSectors = 2048;
constexpr uint64_t kOwnSectors = kSectors / (kThreads + 1);  // the last part is for all
constexpr uint64_t kLongestRun = 24;
constexpr Closing kClosings[] = {Closing::kRefuse, Closing::kHoldWrites, Closing::kSuspend};

class Disk {
 public:
  Disk() {
    keyvol::StackOptions options = {.layers = {NewLayer(), NewLayer()}, .writable = true};
    std::ranges::reverse(keys_);
    MustBeOk(LayerStack::Open(options, &stack_));
  }
  LayerStack& stack() { return *stack_; }
  std::atomic<bool>& ended() { return ended_; }

  void Swap() {
    const LayerOptions layer = NewLayer();
    MustBeOk(stack_->Hold());
    MustBeOk(stack_->StageTop(layer));
    MustBeOk(stack_->SwapTop());
    stack_->Resume();
  }

  void CutOffAndRestore(Closing closing) {
    Promise(stack_->CutOff(std::chrono::seconds(60), closing).flushed, "a cut-off flushes");
    MustBeOk(stack_->Restore(keys_));
  }

 private:
  LayerOptions NewLayer() {
    std::shared_ptr<Secret> key;
    MustBeOk(Secret::Random(64, &key));
    keys_.insert(keys_.begin(), key);
    return {.path = directory_.NewFile(kDataOffsetBytes + kSectors * kSectorBytes),
            .size_bytes = kSectors * kSectorBytes,
            .data_key = key};
  }

  TempDirectory directory_;
  std::vector<std::shared_ptr<Secret>> keys_;  // top first
  std::shared_ptr<LayerStack> stack_;
  std::atomic<bool> ended_ = false;
};

// False when the gate refused it, which is all that may go wrong.
bool WasServed(const Status& status) {
  if (status.code() != Code::kGateClosed) MustBeOk(status);
  return status.ok();
}

// The byte that each sector is full of; nothing when refused.
std::vector<std::byte> ReadMarks(LayerStack& stack, uint64_t first, uint64_t sectors) {
  std::vector<std::byte> data(sectors * kSectorBytes);
  if (!WasServed(stack.Read(first * kSectorBytes, data))) return {};
  std::vector<std::byte> marks;
  for (uint64_t i = 0; i < sectors; ++i) {
    const auto sector = std::span(data).subspan(i * kSectorBytes, kSectorBytes);
    Promise(keyvol::IsZero(sector) || std::ranges::count(sector, sector.front()) == kSectorBytes,
            "no sector is torn");
    marks.push_back(sector.front());
  }
  return marks;
}

bool Mark(LayerStack& stack, uint64_t first, uint64_t sectors, std::byte mark) {
  std::vector<std::byte> data(sectors * kSectorBytes, mark);
  return WasServed(stack.Write(first * kSectorBytes, data));
}

bool Clear(LayerStack& stack, uint64_t first, uint64_t sectors, bool discard) {
  const uint64_t offset_bytes = first * kSectorBytes;
  const uint64_t length_bytes = sectors * kSectorBytes;
  return WasServed(discard ? stack.Discard(offset_bytes, length_bytes)
                           : stack.WriteZeroes(offset_bytes, length_bytes));
}

void ChangeOwn(LayerStack& stack, std::span<std::byte> expected, uint64_t first, Random& random) {
  const uint64_t run = 1 + random.Below(kLongestRun);
  const uint64_t at = random.Below(expected.size() - run);
  const uint64_t kind = random.Below(4);
  const auto mark = static_cast<std::byte>(kind < 2 ? 1 + random.Below(255) : 0);
  const auto change = [&] {
    return kind < 2 ? Mark(stack, first + at, run, mark) : Clear(stack, first + at, run, kind == 2);
  };
  while (!change()) std::this_thread::yield();
  std::ranges::fill(expected.subspan(at, run), mark);
}

void CheckOwn(LayerStack& stack, std::span<const std::byte> expected, uint64_t first,
              Random& random) {
  const uint64_t run = 1 + random.Below(kLongestRun);
  const uint64_t at = random.Below(expected.size() - run);
  const std::vector<std::byte> marks = ReadMarks(stack, first + at, run);
  Promise(marks.empty() || std::ranges::equal(marks, expected.subspan(at, run)),
          "what was written is read");
}

void UseShared(LayerStack& stack, Random& random) {
  const uint64_t run = 1 + random.Below(kLongestRun);
  const uint64_t at = kThreads * kOwnSectors + random.Below(kOwnSectors - run);
  uint64_t found = 0;
  switch (random.Below(6)) {
    case 0:
      Mark(stack, at, run, static_cast<std::byte>(random.Below(256)));
      break;
    case 1:
      Clear(stack, at, run, random.Chance(2));
      break;
    case 2:
      WasServed(stack.Flush());
      break;
    case 3:
      (void)stack.SeekData(at * kSectorBytes, &found).ok();
      break;
    case 4:
      (void)stack.SeekHole(at * kSectorBytes, &found).ok();
      break;
    default:
      ReadMarks(stack, at, run);
  }
}

void Request(Disk& disk, unsigned thread) {
  Random random(thread);
  std::vector<std::byte> expected(kOwnSectors);
  const uint64_t first = thread * kOwnSectors;
  while (!disk.ended()) {
    ChangeOwn(disk.stack(), expected, first, random);
    CheckOwn(disk.stack(), expected, first, random);
    UseShared(disk.stack(), random);
  }
  const std::vector<std::byte> marks = ReadMarks(disk.stack(), first, kOwnSectors);
  Promise(std::ranges::equal(marks, expected), "what was written is read");
}

void Control(Disk& disk) {
  Random random(kThreads);
  for (int round = Rounds(40); round > 0; --round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(random.Below(10)));
    random.Chance(2) ? disk.Swap() : disk.CutOffAndRestore(kClosings[random.Below(3)]);
  }
  disk.ended() = true;
}

void Watch(Disk& disk) {
  while (!disk.ended()) {
    Promise(!disk.stack().Stats().poisoned, "nothing poisons the disk");
    (void)disk.stack().allocated_bytes();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// Whatever stands at the gate or inside while it closes for ever ends.
void CloseUnderRequests(Disk& disk) {
  std::vector<std::function<void()>> works = {[&] { MustBeOk(disk.stack().Close()); },
                                              [&] { MustBeOk(disk.stack().Close()); }};
  for (unsigned i = 0; i < kThreads; ++i) {
    works.push_back([&disk, i] {
      Random random(i);
      while (!ReadMarks(disk.stack(), 0, kLongestRun).empty()) UseShared(disk.stack(), random);
    });
  }
  keyvol::threads::RunTogether(works);
  Promise(disk.stack().Stats().layers == 0, "a closed disk has no layers");
}

}  // namespace

int main() {
  Disk disk;
  std::vector<std::function<void()>> works = {[&] { Control(disk); }, [&] { Watch(disk); }};
  for (unsigned i = 0; i < kThreads; ++i) works.push_back([&disk, i] { Request(disk, i); });
  keyvol::threads::RunTogether(works);
  CloseUnderRequests(disk);
}
