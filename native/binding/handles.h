// The JavaScript classes that hold native objects, as far as other bindings need to look inside.
#ifndef KEYVOL_BINDING_HANDLES_H_
#define KEYVOL_BINDING_HANDLES_H_

#include <napi.h>

#include <memory>

#include "disk/disk.h"
#include "secret/secret.h"

namespace keyvol {

// The Secret inside a JavaScript `Secret` handle; null if `value` is none or was released.
std::shared_ptr<Secret> SecretOf(const Napi::Value& value);
// A new JavaScript handle. The handle's release() drops its reference; the garbage collector
// does so too, later.
Napi::Value NewSecretHandle(Napi::Env env, std::shared_ptr<Secret> secret);

// The Disk inside a JavaScript `Device` handle; null if `value` is none or was closed.
std::shared_ptr<Disk> DiskOf(const Napi::Value& value);

}  // namespace keyvol

#endif  // KEYVOL_BINDING_HANDLES_H_
