// Turns a native Status into the Fault class of src/fault.ts, and runs blocking work off the
// event loop.
#ifndef KEYVOL_BINDING_FAULT_H_
#define KEYVOL_BINDING_FAULT_H_

#include <napi.h>

#include <functional>

#include "status.h"

namespace keyvol {

// A `Fault` (the class that `setFaultClass` was given) for a Status that is not ok.
Napi::Value FaultOf(Napi::Env env, const Status& status);

// Throws the Fault into JavaScript and returns undefined.
Napi::Value ThrowFault(Napi::Env env, const Status& status);

// Runs `work`, requests on open disks, on libuv's pool (what else may wait: binding/async.h) and
// returns a promise: rejected with the Fault of its Status, or resolved with `result(env)`
// (undefined without one). `keep` objects stay referenced meanwhile.
Napi::Value RunAsync(Napi::Env env, std::function<Status()> work,
                     std::function<Napi::Value(Napi::Env)> result = nullptr,
                     std::vector<Napi::Object> keep = {});

}  // namespace keyvol

#endif  // KEYVOL_BINDING_FAULT_H_
