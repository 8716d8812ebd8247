// What holds for every run. A broken promise ends the process, which is how libFuzzer and the
// tests of threads learn of it.
#ifndef KEYVOL_TEST_SUPPORT_PROMISE_H_
#define KEYVOL_TEST_SUPPORT_PROMISE_H_

#include <cstdio>
#include <cstdlib>

namespace keyvol {

inline void Promise(bool kept, const char* promise) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

}  // namespace keyvol

#endif  // KEYVOL_TEST_SUPPORT_PROMISE_H_
