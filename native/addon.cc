// Registers the bindings, nothing else.
#include <napi.h>

#include "binding/registry.h"

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) {
  for (keyvol::BindingInit init : keyvol::BindingInits()) init(env, exports);
  return exports;
}

NODE_API_MODULE(keyvol, InitAddon)
