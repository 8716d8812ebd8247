// How many instructions the data path takes in user space: it needs no clock, so that it says the
// same on a busy machine. The work runs in a child, which is stepped through one instruction at a
// time; a system call counts as one. Each line of output is: what, a tab, the number.
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "container/container.h"
#include "disk/layer_stack.h"
#include "xts/xts.h"

namespace {

using keyvol::kSectorBytes;

constexpr size_t kRunSectors = 4;
constexpr uint64_t kDiskBytes = 1 << 20;
constexpr long kTrapInstruction = 0xcc;
constexpr int kNotHere = 3;  // how a child ends whose kernel does not work on this processor

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "instructions: %s\n", what.c_str());
  std::exit(1);
}

void MustBeOk(const keyvol::Status& status) {
  if (!status.ok()) Fail(status.message());
}

// The two between which instructions are counted.
__attribute__((always_inline)) inline void Mark() { asm volatile("int3" ::: "memory"); }

// In the child. Once before, so that everything is loaded, bound and known.
[[noreturn]] void RunMarked(const std::function<void()>& work) {
  work();
  ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
  Mark();
  work();
  Mark();
  _exit(0);
}

bool IsAtMark(pid_t child) {
  user_regs_struct registers{};
  if (ptrace(PTRACE_GETREGS, child, nullptr, &registers) != 0) Fail("no registers");
  const long word = ptrace(PTRACE_PEEKTEXT, child, registers.rip, nullptr);
  return (word & 0xff) == kTrapInstruction;
}

void WaitForTrap(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP) {
    Fail("the work ended before its time");
  }
}

bool IsNotHere(pid_t child) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WSTOPPED | WNOWAIT) == 0 &&
         info.si_code == CLD_EXITED && info.si_status == kNotHere;
}

// Nothing when the work ended with kNotHere. Secrets are not inherited: only children have any.
std::optional<size_t> Count(const std::function<void()>& work) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child < 0) Fail("no process");
  if (child == 0) RunMarked(work);
  if (IsNotHere(child)) {
    waitpid(child, nullptr, 0);
    return std::nullopt;
  }
  WaitForTrap(child);  // behind the first mark
  size_t instructions = 0;
  for (; !IsAtMark(child); ++instructions) {
    if (ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) != 0) Fail("no step");
    WaitForTrap(child);
  }
  ptrace(PTRACE_KILL, child, nullptr, nullptr);
  waitpid(child, nullptr, 0);
  return instructions;
}

void Print(const std::string& what, const std::function<void()>& work) {
  const std::optional<size_t> instructions = Count(work);
  if (instructions) std::printf("%s\t%zu\n", what.c_str(), *instructions);
}

std::shared_ptr<keyvol::Secret> NewKey() {
  std::shared_ptr<keyvol::Secret> key;
  MustBeOk(keyvol::Secret::Random(keyvol::kXtsKeyBytes, &key));
  return key;
}

std::shared_ptr<keyvol::XtsCipher> NewCipher(const keyvol::XtsOptions& options) {
  std::unique_ptr<keyvol::XtsCipher> cipher;
  const keyvol::Status status = keyvol::XtsCipher::Create(*NewKey(), options, &cipher);
  if (status.code() == keyvol::Code::kUnsupported) _exit(kNotHere);
  MustBeOk(status);
  return cipher;
}

void CountKernel(const std::string& kernel, size_t sector_bytes) {
  std::vector<std::byte> data(kRunSectors * sector_bytes);
  const std::string each = kernel + " " + std::to_string(sector_bytes) + " B, ";
  for (const bool encrypts : {true, false}) {
    for (const size_t sectors : {size_t{1}, kRunSectors}) {
      const std::string what =
          each + (encrypts ? "encrypt " : "decrypt ") + std::to_string(sectors);
      Print(what, [&, cipher = std::shared_ptr<keyvol::XtsCipher>()]() mutable {
        if (!cipher) cipher = NewCipher({sector_bytes, kernel});
        const std::span<std::byte> run(data.data(), sectors * sector_bytes);
        encrypts ? cipher->Encrypt(0, run) : cipher->Decrypt(0, run);
      });
    }
  }
}

// A disk of `depth` layers, all whose sectors are in the lowest.
std::shared_ptr<keyvol::LayerStack> OpenStack(const std::string& directory, size_t depth) {
  keyvol::StackOptions options;
  for (size_t i = 0; i < depth; ++i) {
    const std::string path = directory + "/" + std::to_string(depth) + "-" + std::to_string(i);
    options.layers.push_back({.path = path, .size_bytes = kDiskBytes, .data_key = NewKey()});
    std::FILE* file = std::fopen(path.c_str(), "w");
    if (file == nullptr) Fail("cannot make " + path);
    const uint64_t end_bytes = keyvol::kDataOffsetBytes + kDiskBytes;
    if (ftruncate(fileno(file), static_cast<off_t>(end_bytes)) != 0) Fail("cannot size " + path);
    if (i == depth - 1) {
      const std::vector<std::byte> noise(kDiskBytes, std::byte{0x5a});
      std::fseek(file, keyvol::kDataOffsetBytes, SEEK_SET);
      if (std::fwrite(noise.data(), 1, noise.size(), file) != noise.size()) Fail("cannot write");
    }
    std::fclose(file);
  }
  options.writable = depth == 1;
  std::shared_ptr<keyvol::LayerStack> stack;
  MustBeOk(keyvol::LayerStack::Open(options, &stack));
  return stack;
}

void CountDisk(const std::string& directory, size_t depth) {
  std::vector<std::byte> data(kSectorBytes, std::byte{1});
  std::shared_ptr<keyvol::LayerStack> stack;
  const auto opened = [&] {
    if (!stack) stack = OpenStack(directory, depth);
    return stack;
  };
  const std::string through = "4 KiB through " + std::to_string(depth);
  Print("read " + through, [&] { MustBeOk(opened()->Read(8 * kSectorBytes, data)); });
  if (depth > 1) return;
  Print("write " + through, [&] { MustBeOk(opened()->Write(8 * kSectorBytes, data)); });
}

}  // namespace

// The directory is for layers, and is left with them.
int main(int argc, char** argv) {
  if (argc != 2) Fail("usage: instructions DIRECTORY");
  for (const char* kernel : {"vaes512", "vaes256", "aesni"}) {
    CountKernel(kernel, 512);
    CountKernel(kernel, kSectorBytes);
  }
  // The same everywhere, so that what is left is the layers'.
  setenv("KEYVOL_XTS", "aesni", 1);
  for (const size_t depth : {1, 8, 32}) CountDisk(argv[1], depth);
}
