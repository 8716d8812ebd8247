// The locks of sectors and the map of who holds them. `Cells` have no lock of their own, so that
// TSan sees two threads in one group.
#include <algorithm>
#include <array>
#include <span>

#include "disk/sector_locks.h"
#include "disk/sector_map.h"
#include "threads/threads.h"

namespace {

using keyvol::kChunkSectors;
using keyvol::kGroupSectors;
using keyvol::LockMode;
using keyvol::Promise;
using keyvol::SectorLocks;
using keyvol::SectorMap;
using keyvol::threads::Random;
using keyvol::threads::Rounds;

constexpr unsigned kThreads = 4;
constexpr uint64_t kGroups = 600;  // more than there are stripes
constexpr uint64_t kLongestRun = 20;

struct Cells {
  SectorLocks locks;
  std::array<uint64_t, kGroups> values{};
};

void LockRuns(Cells& cells, unsigned thread) {
  Random random(thread);
  for (int round = Rounds(2000); round > 0; --round) {
    const uint64_t run = random.Chance(50) ? 300 : 1 + random.Below(kLongestRun);
    const uint64_t first = random.Below(kGroups - run);
    const auto cells_of_run = std::span(cells.values).subspan(first, run);
    if (random.Chance(3)) {
      const SectorLocks::Guard guard(cells.locks, first, first + run - 1, LockMode::kExclusive);
      for (uint64_t& cell : cells_of_run) cell = cells_of_run.front() + 1;
    } else {
      const SectorLocks::Guard guard(cells.locks, first, first + run - 1, LockMode::kShared);
      Promise(std::ranges::count(cells_of_run, ~0ull) == 0, "cells are read whole");
    }
  }
}

// Each thread has sectors of its own in groups that all share: every kThreads-th.
void MarkOwn(SectorMap& map, unsigned thread) {
  Random random(thread);
  std::vector<bool> present(map.sectors() / kThreads);
  for (int round = Rounds(20000); round > 0; --round) {
    const uint64_t index = random.Below(present.size());
    const uint64_t sector = index * kThreads + thread;
    const uint64_t group = sector / kGroupSectors;
    const bool is_present = map.Lookup(group).present >> sector % kGroupSectors & 1;
    Promise(is_present == present[index], "a sector is as it was marked");
    present[index] = random.Chance(2);
    present[index] ? map.MarkPresent(sector, 1) : map.MarkAbsent(sector, 1);
    if (random.Chance(8)) map.MarkKnown(group);
    if (random.Chance(64)) map.MarkChunkAbsent(sector / kChunkSectors);
  }
}

}  // namespace

int main() {
  Cells cells;
  SectorMap map(3 * kChunkSectors);
  std::vector<std::function<void()>> works;
  for (unsigned i = 0; i < kThreads; ++i) {
    works.push_back([&cells, i] { LockRuns(cells, i); });
    works.push_back([&map, i] { MarkOwn(map, i); });
  }
  keyvol::threads::RunTogether(works);
}
