// The gate keeps requests apart from what changes while none is inside. `Guarded` has no lock of
// its own: were a request ever inside together with a change, TSan would see it.
#include "disk/gate.h"

#include <atomic>

#include "threads/threads.h"

namespace {

using keyvol::Access;
using keyvol::Closing;
using keyvol::Code;
using keyvol::Gate;
using keyvol::GatePass;
using keyvol::Interruptible;
using keyvol::Promise;
using keyvol::threads::Random;
using keyvol::threads::Rounds;

constexpr unsigned kRequesters = 4;
constexpr Access kAccesses[] = {Access::kRead, Access::kWrite, Access::kFlush};
constexpr Closing kClosings[] = {Closing::kRefuse, Closing::kHoldWrites, Closing::kSuspend};

struct Guarded {
  Gate gate;
  uint64_t first = 0;
  uint64_t second = 0;
  std::atomic<bool> ended = false;
};

void ReadGuarded(const Guarded& guarded) {
  Promise(guarded.first == guarded.second, "a request sees no half change");
}

void Request(Guarded& guarded, Access access, Code instead_of_waiting) {
#ifdef KEYVOL_PLANTED_BUG
  ReadGuarded(guarded);
#endif
  const GatePass pass(guarded.gate, access);
  if (pass.status().ok()) return ReadGuarded(guarded);
  const Code code = pass.status().code();
  Promise(code == Code::kGateClosed || code == instead_of_waiting,
          "a request is let in, or told why not");
}

void RequestAlways(Guarded& guarded, unsigned thread) {
  Random random(thread);
  std::atomic<bool> interrupted = false;
  while (!guarded.ended) {
    const Access access = kAccesses[random.Below(3)];
    if (random.Chance(2)) {
      interrupted = random.Chance(2);
      const Interruptible interruptible(interrupted);
      Request(guarded, access, interrupted ? Code::kInterrupted : Code::kGateClosed);
    } else {
      const keyvol::NoWaiting no_waiting;
      Request(guarded, access, Code::kWouldWait);
    }
  }
}

void Change(Guarded& guarded) {
  guarded.gate.Drain();
  guarded.first++;
  guarded.second++;
}

void Control(Guarded& guarded) {
  Random random(kRequesters);
  for (int round = Rounds(3000); round > 0; --round) {
    if (random.Chance(2)) {
      guarded.gate.Close(kClosings[random.Below(3)]);
      Promise(!guarded.gate.Hold(), "a closed gate is not held");
      Change(guarded);
      if (random.Chance(2)) guarded.gate.Close(kClosings[random.Below(3)]);
      guarded.gate.Open();
    } else {
      Promise(guarded.gate.Hold() && !guarded.gate.Hold(), "an open gate is held once");
      Change(guarded);
      // What was held may be closed, and opens all the same.
      if (random.Chance(2)) guarded.gate.Close(kClosings[random.Below(3)]);
      guarded.gate.Resume();
      guarded.gate.Open();
    }
    Promise(guarded.gate.state() == Gate::State::kOpen, "an opened gate is open");
  }
  guarded.ended = true;
}

}  // namespace

int main() {
  Guarded guarded;
  std::vector<std::function<void()>> works = {[&] { Control(guarded); }};
  for (unsigned i = 0; i < kRequesters; ++i) {
    works.push_back([&guarded, i] { RequestAlways(guarded, i); });
  }
  keyvol::threads::RunTogether(works);
}
