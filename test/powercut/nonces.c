// A planted bug for the recorder: nonces that begin anew.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "recorder.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

// The nonces of wrapped keys, counted from 0 at each "!reset-nonces"; all else is random.
static uint64_t nonces;

static int CountedNonces(unsigned char* bytes, int length) {
  if (length == 12) {
    memset(bytes, 0, 12);
    pthread_mutex_lock(&lock);
    memcpy(bytes, &nonces, sizeof nonces);
    nonces++;
    pthread_mutex_unlock(&lock);
    return 1;
  }
  return getrandom(bytes, (size_t)length, 0) == length;
}
static int AlwaysReady(void) { return 1; }

// OpenSSL's RAND_METHOD: node exports the function that replaces it.
struct RandMethod {
  int (*seed)(const void*, int);
  int (*bytes)(unsigned char*, int);
  void (*cleanup)(void);
  int (*add)(const void*, int, double);
  int (*pseudorand)(unsigned char*, int);
  int (*status)(void);
};

void ResetNonces(void) {
  static const struct RandMethod method = {
      .bytes = CountedNonces, .pseudorand = CountedNonces, .status = AlwaysReady};
  int (*set)(const struct RandMethod*) =
      (int (*)(const struct RandMethod*))(uintptr_t)dlsym(RTLD_DEFAULT, "RAND_set_rand_method");
  if (set == NULL || set(&method) != 1) Fail("cannot replace the random generator");
  nonces = 0;
}
