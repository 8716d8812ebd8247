// Files read where they lie in the page cache, while they are written, cut short and unmapped.
#include "container/mapped_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "container/block_file.h"
#include "threads/threads.h"
#include "unique_fd.h"

namespace {

using keyvol::CachedBytes;
using keyvol::MappedFile;
using keyvol::Promise;
using keyvol::ReadUnlessLost;
using keyvol::UniqueFd;
using keyvol::threads::Random;
using keyvol::threads::Rounds;
using keyvol::threads::TempDirectory;

constexpr size_t kPageBytes = 4096;
constexpr size_t kPages = 256;
constexpr size_t kFileBytes = kPages * kPageBytes;

class File {
 public:
  // Without a name: a child that is ended by a signal leaves nothing behind.
  File() : fd_(open(TempDirectory().NewFile(kFileBytes).c_str(), O_RDWR)) { Fill(std::byte{1}); }
  int fd() const { return fd_.get(); }

  void Fill(std::byte value) const {
    const std::vector<std::byte> data(kFileBytes, value);
    Promise(pwrite(fd(), data.data(), data.size(), 0) == static_cast<ssize_t>(data.size()),
            "the file can be written");
  }
  void Cut(size_t pages) const {
    Promise(ftruncate(fd(), static_cast<off_t>(pages * kPageBytes)) == 0, "a file can be cut");
  }

 private:
  UniqueFd fd_;
};

bool IsAll(std::span<const std::byte> bytes, std::byte value) {
  return static_cast<size_t>(std::ranges::count(bytes, value)) == bytes.size();
}

void WhatIsThereIsGiven() {
  const File file;
  MappedFile mapped(file.fd(), kFileBytes);
  for (const std::byte value : {std::byte{1}, std::byte{2}}) {
    file.Fill(value);
    for (const size_t offset_bytes : {size_t{0}, size_t{1}, kPageBytes, kFileBytes - 1}) {
      const size_t length_bytes = kFileBytes - offset_bytes;
      const CachedBytes cached = mapped.Cached(offset_bytes, length_bytes);
      Promise(cached.bytes().size() == length_bytes, "what was written is cached");
      bool equal = false;
      Promise(ReadUnlessLost(cached.bytes(), [&] { equal = IsAll(cached.bytes(), value); }),
              "nothing was lost");
      Promise(equal, "what is cached is what was written last");
    }
  }
}

void WhatIsNotThereIsNot() {
  const File file;
  MappedFile mapped(file.fd(), kFileBytes);
  file.Cut(0);
  file.Cut(kPages);
  const std::byte one{1};
  Promise(pwrite(file.fd(), &one, 1, kPageBytes) == 1, "the file can be written");
  Promise(mapped.Cached(0, kFileBytes).bytes().empty(), "what nobody wrote or read is not cached");
  Promise(mapped.Cached(kPageBytes - 1, 2).bytes().empty(), "nor with something that is");
  Promise(!mapped.Cached(kPageBytes, kPageBytes).bytes().empty(), "what was written is");
  mapped.Unmap();
  Promise(mapped.Cached(0, kPageBytes).bytes().empty(), "once unmapped, nothing is");
  Promise(MappedFile(-1, kFileBytes).Cached(0, kPageBytes).bytes().empty(),
          "where nothing can be mapped, nothing is cached");
}

// Twice, since the signal must not stay blocked.
void LossIsNoticed() {
  const File file;
  MappedFile mapped(file.fd(), kFileBytes);
  for (int round = 0; round < 2; ++round) {
    file.Fill(std::byte{1});
    const CachedBytes cached = mapped.Cached(0, kFileBytes);
    Promise(!cached.bytes().empty(), "it is cached");
    file.Cut(1);
    bool ended = false;
    const auto read = [&] { ended = IsAll(cached.bytes(), std::byte{1}); };
    Promise(!ReadUnlessLost(cached.bytes(), read) && !ended, "what is lost cannot be read");
    const auto first = cached.bytes().first(kPageBytes);
    Promise(ReadUnlessLost(first, [&] { ended = IsAll(first, std::byte{1}); }) && ended,
            "what is left can");
  }
}

// Some way below the frame of the caller, for the sanitizers keep room between frames.
std::string StackBelow(const void* frame) {
  std::string stack(16384, 0);
  const UniqueFd memory(open("/proc/self/mem", O_RDONLY));
  const auto start = reinterpret_cast<off_t>(frame) - 4096 - static_cast<off_t>(stack.size());
  Promise(
      pread(memory.get(), stack.data(), stack.size(), start) == static_cast<ssize_t>(stack.size()),
      "the stack can be read");
  return stack;
}

void WhatIsLeftInTheMiddleIsWiped() {
  const File file;
  MappedFile mapped(file.fd(), kFileBytes);
  const CachedBytes cached = mapped.Cached(0, kFileBytes);
  file.Cut(0);
  const auto read = [&] {
    volatile char secret[12288];
    for (size_t i = 0; i < sizeof secret; ++i) secret[i] = "keyvol"[i % 6];
    static_cast<void>(*reinterpret_cast<const volatile std::byte*>(cached.bytes().data()));
  };
  Promise(!ReadUnlessLost(cached.bytes(), read), "it is lost");
  Promise(StackBelow(__builtin_frame_address(0)).find("keyvolkeyvol") == std::string::npos,
          "nothing of it is left");
}

uint64_t ResidentFileKib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssFile:")) return std::stoull(line.substr(8));
  }
  return 0;
}

// Or its page tables would grow with all that was ever read.
void ALargeFileIsMappedAfreshNowAndThen() {
  constexpr size_t kOnceBytes = 64 << 20;
  constexpr size_t kPieceBytes = MappedFile::kMaxBytes;
  const UniqueFd fd(open(TempDirectory().NewFile(kOnceBytes).c_str(), O_RDWR));
  const std::vector<std::byte> ones(kOnceBytes, std::byte{1});
  Promise(pwrite(fd.get(), ones.data(), ones.size(), 0) == static_cast<ssize_t>(ones.size()),
          "it can be written");
  MappedFile mapped(fd.get(), MappedFile::kMostMappedBytes + kOnceBytes);
  const auto read = [&](size_t offset_bytes) {
    const CachedBytes cached = mapped.Cached(offset_bytes, kPieceBytes);
    bool equal = false;
    Promise(ReadUnlessLost(cached.bytes(),
                           [&] {
                             equal = cached.bytes().size() == kPieceBytes &&
                                     cached.bytes().front() == std::byte{1} &&
                                     cached.bytes().back() == std::byte{1};
                           }) &&
                equal,
            "what is cached is right");
  };
  for (size_t at = 0; at < kOnceBytes; at += kPieceBytes) read(at);
  const uint64_t before_kib = ResidentFileKib();
  for (uint64_t bytes = 0; bytes <= MappedFile::kMostMappedBytes; bytes += kPieceBytes) read(0);
  Promise(ResidentFileKib() + 1024 < before_kib, "what was read before is not mapped any more");
}

void AfterAFailedSyncNothingIsCached() {
  TempDirectory directory;
  const std::string path = directory.NewFile(kFileBytes);
  std::unique_ptr<keyvol::BlockFile> file;
  Promise(keyvol::BlockFile::Open(path, true, kFileBytes, &file).ok(), "it can be opened");
  const std::vector<std::byte> data(kFileBytes, std::byte{1});
  Promise(file->Write(0, data).ok() && file->Sync().ok(), "it can be written");
  Promise(!file->Cached(0, kFileBytes).bytes().empty(), "it is cached");
  InjectBlockFault(keyvol::BlockOp::kSync, {});
  Promise(!file->Sync().ok(), "a sync fails as it was told");
  keyvol::ClearBlockFaults();
  Promise(file->Cached(0, kFileBytes).bytes().empty(), "the cache may hold what was lost");
  Promise(file->Sync().ok() && file->Cached(0, kFileBytes).bytes().empty(), "and goes on so");
}

// How a child ends that does this.
int EndOf(void (*work)()) {
  const pid_t child = fork();
  Promise(child >= 0, "a process can be started");
  if (child == 0) {
    // The sanitizers would report, and exit.
    MappedFile(-1, kPageBytes).Cached(0, 1);
    work();
    _exit(0);
  }
  int status = 0;
  Promise(waitpid(child, &status, 0) == child, "the child ends");
  return WIFSIGNALED(status) ? WTERMSIG(status) : -WEXITSTATUS(status);
}

void TouchWhatIsLost() {
  const File file;
  void* const other = mmap(nullptr, kPageBytes, PROT_READ, MAP_SHARED, file.fd(), 0);
  MappedFile mapped(file.fd(), kFileBytes);
  const CachedBytes cached = mapped.Cached(0, kPageBytes);
  file.Cut(0);
  ReadUnlessLost(cached.bytes(), [&] { static_cast<void>(*static_cast<volatile char*>(other)); });
}

void OtherBusErrorsEndTheProcess() {
  Promise(EndOf([] {}) == 0, "a child that does nothing ends well");
  Promise(EndOf(TouchWhatIsLost) != 0, "bytes that are not read with care");
  Promise(EndOf([] { raise(SIGBUS); }) != 0, "a signal that someone sends");
}

void ManyReadersLoseNothingUnnoticed() {
  const File file;
  MappedFile mapped(file.fd(), kFileBytes);
  std::atomic<int> left = 3;
  std::atomic<int> read = 0;
  const auto reader = [&](unsigned number) {
    Random random(number);
    for (int round = Rounds(300); round > 0; --round) {
      const size_t first = random.Below(kPages);
      const size_t pages = 1 + random.Below(kPages - first);
      const CachedBytes cached = mapped.Cached(first * kPageBytes, pages * kPageBytes);
      bool torn = false;
      const auto check = [&] {
        for (size_t page = 0; page < cached.bytes().size(); page += kPageBytes) {
          const auto bytes = cached.bytes().subspan(page, kPageBytes);
          // The one who writes stops at any byte.
          torn = torn || std::ranges::any_of(bytes, [](auto b) { return b > std::byte{1}; });
        }
      };
      if (!cached.bytes().empty() && ReadUnlessLost(cached.bytes(), check)) ++read;
      Promise(!torn, "nobody reads what was never there");
    }
    --left;
  };
  keyvol::threads::RunTogether({[&] { reader(1); }, [&] { reader(2); }, [&] { reader(3); },
                                [&] {
                                  Random random(0);
                                  while (left > 0) {
                                    file.Cut(random.Below(kPages));
                                    file.Fill(std::byte{1});
                                  }
                                }});
  Promise(read > 0, "some of it was read");
}

void UnmappingWaits() {
  for (int round = Rounds(50); round > 0; --round) {
    const File file;
    MappedFile mapped(file.fd(), kFileBytes);
    Promise(!mapped.Cached(0, kFileBytes).bytes().empty(), "it is mapped");
    const auto reader = [&] {
      for (;;) {
        const CachedBytes cached = mapped.Cached(0, kFileBytes);
        if (cached.bytes().empty()) return;
        Promise(
            ReadUnlessLost(cached.bytes(),
                           [&] { Promise(IsAll(cached.bytes(), std::byte{1}), "all is there"); }),
            "nothing is unmapped while it is read");
      }
    };
    keyvol::threads::RunTogether({reader, reader, [&] { mapped.Unmap(); }});
  }
}

}  // namespace

int main() {
  WhatIsThereIsGiven();
  WhatIsNotThereIsNot();
  LossIsNoticed();
  WhatIsLeftInTheMiddleIsWiped();
  ALargeFileIsMappedAfreshNowAndThen();
  AfterAFailedSyncNothingIsCached();
  OtherBusErrorsEndTheProcess();
  ManyReadersLoseNothingUnnoticed();
  UnmappingWaits();
}
