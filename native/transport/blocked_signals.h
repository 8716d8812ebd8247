// Keeps signals on Node's main thread.
#ifndef KEYVOL_TRANSPORT_BLOCKED_SIGNALS_H_
#define KEYVOL_TRANSPORT_BLOCKED_SIGNALS_H_

#include <pthread.h>
#include <signal.h>

namespace keyvol {

// While one lives, threads that its own one starts get no signals: a handler that ran there would
// find no JavaScript.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    // Raised by the thread itself, when a mapped file lost what it reads (mapped_file.h).
    sigdelset(&all, SIGBUS);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace keyvol

#endif  // KEYVOL_TRANSPORT_BLOCKED_SIGNALS_H_
