// Work that may wait for other work, off the event loop and off libuv's pool.
#ifndef KEYVOL_BINDING_ASYNC_H_
#define KEYVOL_BINDING_ASYNC_H_

#include <napi.h>

#include <functional>

#include "status.h"

namespace keyvol {

// As RunAsync, on a thread of its own. libuv's few threads may all be taken by requests that wait
// for a held gate; what lets them go on must not queue behind them. `work` is destroyed, with all
// it holds, before the promise settles.
Napi::Value RunOnThread(Napi::Env env, std::function<Status()> work,
                        std::function<Napi::Value(Napi::Env)> result = nullptr);

// A promise that is rejected with the Fault of `status`.
Napi::Value Rejected(Napi::Env env, const Status& status);

// In a binding function that returns a promise: answers a rejected one if `expression` is not ok.
#define REJECT_IF_ERROR(env, expression)                                      \
  do {                                                                        \
    if (::keyvol::Status keyvol_status = (expression); !keyvol_status.ok()) { \
      return ::keyvol::Rejected(env, keyvol_status);                          \
    }                                                                         \
  } while (false)

}  // namespace keyvol

#endif  // KEYVOL_BINDING_ASYNC_H_
