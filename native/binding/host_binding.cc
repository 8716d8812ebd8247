// The host functions of src/device/addon.ts: mounts, loop devices, hardening.
#include <napi.h>

#include <memory>
#include <string>

#include "binding/arguments.h"
#include "binding/async.h"
#include "binding/fault.h"
#include "binding/registry.h"
#include "host/hardening.h"
#include "host/loop.h"
#include "host/mount.h"

namespace keyvol {

namespace {

Napi::Value AttachLoopAsync(const Napi::CallbackInfo& info) {
  const Napi::Object options = info[0].As<Napi::Object>();
  auto device = std::make_shared<std::string>();
  return RunOnThread(
      info.Env(),
      [path = StringOf(options.Get("path")), read_only = BoolOf(options.Get("readOnly")),
       sector_bytes = options.Get("sectorBytes").As<Napi::Number>().Uint32Value(),
       device] { return AttachLoop(path, read_only, sector_bytes, device.get()); },
      [device](Napi::Env env) { return Napi::String::New(env, *device); });
}

Napi::Value GrowLoopAsync(const Napi::CallbackInfo& info) {
  return RunOnThread(info.Env(), [device = StringOf(info[0]), path = StringOf(info[1])] {
    return GrowLoop(device, path);
  });
}

Napi::Value MountFilesystemAsync(const Napi::CallbackInfo& info) {
  const Napi::Object options = info[0].As<Napi::Object>();
  MountRequest request = {.source = StringOf(options.Get("source")),
                          .directory = StringOf(options.Get("directory")),
                          .filesystem = StringOf(options.Get("filesystem")),
                          .read_only = BoolOf(options.Get("readOnly")),
                          .options = StringOf(options.Get("options"))};
  return RunOnThread(info.Env(),
                     [request = std::move(request)] { return MountFilesystem(request); });
}

Napi::Value UnmountFilesystemAsync(const Napi::CallbackInfo& info) {
  return RunOnThread(info.Env(), [directory = StringOf(info[0]), lazy = BoolOf(info[1])] {
    return UnmountFilesystem(directory, lazy);
  });
}

template <Status (*operation)(const std::string&)>
Napi::Value OnPathAsync(const Napi::CallbackInfo& info) {
  return RunOnThread(info.Env(), [path = StringOf(info[0])] { return operation(path); });
}

template <Status (*operation)(const UniqueFd&)>
Napi::Value OnRootAsync(const Napi::CallbackInfo& info) {
  return RunOnThread(info.Env(), [directory = StringOf(info[0]), source = StringOf(info[1])] {
    UniqueFd root;
    RETURN_IF_ERROR(OpenRoot(directory, source, &root));
    return operation(root);
  });
}

Napi::Value DropCachesAsync(const Napi::CallbackInfo& info) {
  return RunOnThread(info.Env(), [] { return DropCaches(); });
}

Napi::Value HardenProcessSync(const Napi::CallbackInfo& info) {
  const Status status = HardenProcess();
  return status.ok() ? info.Env().Undefined() : ThrowFault(info.Env(), status);
}

Napi::Value KeepAliveUnderPressureSync(const Napi::CallbackInfo& info) {
  KeepAliveUnderPressure();
  return info.Env().Undefined();
}

Napi::Value BootTimeMsSync(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(BootTimeMs()));
}

void InitHostBinding(Napi::Env env, Napi::Object exports) {
  exports.Set("attachLoop", Napi::Function::New(env, AttachLoopAsync));
  exports.Set("growLoop", Napi::Function::New(env, GrowLoopAsync));
  exports.Set("detachLoop", Napi::Function::New(env, OnPathAsync<DetachLoop>));
  exports.Set("mountFilesystem", Napi::Function::New(env, MountFilesystemAsync));
  exports.Set("unmountFilesystem", Napi::Function::New(env, UnmountFilesystemAsync));
  exports.Set("abortFuseMount", Napi::Function::New(env, OnPathAsync<AbortFuseMount>));
  exports.Set("syncFilesystem", Napi::Function::New(env, OnPathAsync<SyncFilesystem>));
  exports.Set("checkFilesystem", Napi::Function::New(env, OnPathAsync<CheckFilesystem>));
  exports.Set("freezeFilesystem", Napi::Function::New(env, OnRootAsync<FreezeFilesystem>));
  exports.Set("thawFilesystem", Napi::Function::New(env, OnRootAsync<ThawFilesystem>));
  exports.Set("dropCaches", Napi::Function::New(env, DropCachesAsync));
  exports.Set("hardenProcess", Napi::Function::New(env, HardenProcessSync));
  exports.Set("keepAliveUnderPressure", Napi::Function::New(env, KeepAliveUnderPressureSync));
  exports.Set("bootTimeMs", Napi::Function::New(env, BootTimeMsSync));
}

}  // namespace

KEYVOL_BINDING(InitHostBinding);

}  // namespace keyvol
