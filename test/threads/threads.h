// What the programs of this folder share. Each runs native code from many threads at once; what
// goes wrong is seen by the sanitizer that it is built with, or is a broken promise.
#ifndef KEYVOL_TEST_THREADS_THREADS_H_
#define KEYVOL_TEST_THREADS_THREADS_H_

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <latch>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "status.h"
#include "support/promise.h"

namespace keyvol::threads {

// `rounds`, times KEYVOL_THREAD_ROUNDS.
inline int Rounds(int rounds) {
  const char* times = std::getenv("KEYVOL_THREAD_ROUNDS");
  return rounds * (times == nullptr ? 1 : std::atoi(times));
}

// KEYVOL_SEED or a fresh one, which is printed: what threads do with it still depends on when.
inline unsigned Seed() {
  static const unsigned seed = [] {
    const char* given = std::getenv("KEYVOL_SEED");
    const unsigned chosen = given == nullptr ? std::random_device()() : std::atoi(given);
    std::printf("KEYVOL_SEED=%u\n", chosen);
    return chosen;
  }();
  return seed;
}

class Random {
 public:
  explicit Random(unsigned thread) : engine_(Seed() + thread) {}
  uint64_t Below(uint64_t limit) { return engine_() % limit; }
  bool Chance(uint64_t one_in) { return Below(one_in) == 0; }

 private:
  std::mt19937_64 engine_;
};

// Runs all of them at the same time, each in a thread of its own, until the last has ended.
inline void RunTogether(const std::vector<std::function<void()>>& works) {
  std::latch ready(static_cast<ptrdiff_t>(works.size()));
  std::vector<std::thread> running;
  for (const std::function<void()>& work : works) {
    running.emplace_back([&ready, &work] {
      ready.arrive_and_wait();
      work();
    });
  }
  for (std::thread& thread : running) thread.join();
}

inline void MustBeOk(const Status& status) { Promise(status.ok(), status.message().c_str()); }

// A directory that goes with the object, and sparse files in it.
class TempDirectory {
 public:
  TempDirectory() {
    path_ = std::filesystem::temp_directory_path() / "threads-XXXXXX";
    Promise(mkdtemp(path_.data()) != nullptr, "there is a temporary directory");
  }
  ~TempDirectory() { std::filesystem::remove_all(path_); }

  const std::string& path() const { return path_; }

  std::string NewFile(uint64_t size_bytes) {
    const std::string path = path_ + "/" + std::to_string(++files_);
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    Promise(fd >= 0 && ftruncate(fd, static_cast<off_t>(size_bytes)) == 0, "a file can be made");
    close(fd);
    return path;
  }

 private:
  std::string path_;
  int files_ = 0;
};

}  // namespace keyvol::threads

#endif  // KEYVOL_TEST_THREADS_THREADS_H_
