// nextData of src/device/addon.ts.
#include <napi.h>

#include <memory>

#include "binding/arguments.h"
#include "binding/async.h"
#include "binding/registry.h"
#include "file_io.h"

namespace keyvol {

namespace {

Napi::Value NextDataAsync(const Napi::CallbackInfo& info) {
  const int fd = info[0].As<Napi::Number>().Int32Value();
  const auto offset_bytes = static_cast<uint64_t>(info[1].As<Napi::Number>().Int64Value());
  auto extent = std::make_shared<std::optional<Extent>>();
  return RunOnThread(
      info.Env(), [fd, offset_bytes, extent] { return NextData(fd, offset_bytes, extent.get()); },
      [extent](Napi::Env env) -> Napi::Value {
        if (!extent->has_value()) return env.Undefined();
        Napi::Object found = Napi::Object::New(env);
        found.Set("startBytes", static_cast<double>((*extent)->start_bytes));
        found.Set("endBytes", static_cast<double>((*extent)->end_bytes));
        return found;
      });
}

void InitFileBinding(Napi::Env env, Napi::Object exports) {
  exports.Set("nextData", Napi::Function::New(env, NextDataAsync));
}

}  // namespace

KEYVOL_BINDING(InitFileBinding);

}  // namespace keyvol
