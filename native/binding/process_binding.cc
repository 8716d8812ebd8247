// lockFile, replaceProcess and notifyServiceManager of src/device/addon.ts.
#include <napi.h>

#include <string>
#include <vector>

#include "binding/arguments.h"
#include "binding/fault.h"
#include "binding/registry.h"
#include "host/process.h"
#include "host/service_manager.h"

namespace keyvol {

namespace {

std::vector<std::string> StringsOf(const Napi::Value& value) {
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (uint32_t index = 0; index < array.Length(); ++index) {
    strings.push_back(StringOf(array.Get(index)));
  }
  return strings;
}

Napi::Value LockFileSync(const Napi::CallbackInfo& info) {
  int fd = -1;
  const Status status = LockFile(StringOf(info[0]), &fd);
  return status.ok() ? Napi::Number::New(info.Env(), fd) : ThrowFault(info.Env(), status);
}

Napi::Value ReplaceProcessSync(const Napi::CallbackInfo& info) {
  return ThrowFault(info.Env(),
                    ReplaceProcess(StringOf(info[0]), StringsOf(info[1]), StringsOf(info[2])));
}

Napi::Value NotifyServiceManagerSync(const Napi::CallbackInfo& info) {
  bool sent = false;
  const Status status = NotifyServiceManager(StringOf(info[0]), &sent);
  return status.ok() ? Napi::Boolean::New(info.Env(), sent) : ThrowFault(info.Env(), status);
}

void InitProcessBinding(Napi::Env env, Napi::Object exports) {
  exports.Set("lockFile", Napi::Function::New(env, LockFileSync));
  exports.Set("notifyServiceManager", Napi::Function::New(env, NotifyServiceManagerSync));
  exports.Set("replaceProcess", Napi::Function::New(env, ReplaceProcessSync));
}

}  // namespace

KEYVOL_BINDING(InitProcessBinding);

}  // namespace keyvol
