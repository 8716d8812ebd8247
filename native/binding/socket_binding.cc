// connectedListener and receive of src/device/addon.ts.
#include <napi.h>

#include <utility>

#include "binding/async.h"
#include "binding/checks.h"
#include "binding/registry.h"
#include "host/local_socket.h"

namespace keyvol {

namespace {

Napi::Value Descriptor(Napi::Env env, UniqueFd fd) { return Napi::Number::New(env, fd.Release()); }

Napi::Value ConnectedListenerBinding(const Napi::CallbackInfo& info) {
  std::string path;
  THROW_IF_ERROR(info.Env(), PathArgument(info[0], "the socket", &path));
  UniqueFd listener, client;
  THROW_IF_ERROR(info.Env(), ConnectedListener(path, &listener, &client));
  Napi::Object pair = Napi::Object::New(info.Env());
  pair.Set("listener", Descriptor(info.Env(), std::move(listener)));
  pair.Set("client", Descriptor(info.Env(), std::move(client)));
  return pair;
}

Napi::Value ReceiveBinding(const Napi::CallbackInfo& info) {
  uint64_t fd = 0, patience_ms = 0;
  std::span<std::byte> out;
  REJECT_IF_ERROR(info.Env(), IntegerArgument(info[0], "the socket", &fd));
  REJECT_IF_ERROR(info.Env(), BufferArgument(info[1], "the buffer", &out));
  REJECT_IF_ERROR(info.Env(), IntegerArgument(info[2], "the patience", &patience_ms));
  return RunAsync(info.Env(),
                  [fd, out, patience_ms] {
                    return Receive(static_cast<int>(fd), out, static_cast<int>(patience_ms));
                  },
                  nullptr, {info[1].As<Napi::Object>()});
}

void InitSocketBinding(Napi::Env env, Napi::Object exports) {
  exports.Set("connectedListener", Napi::Function::New(env, ConnectedListenerBinding));
  exports.Set("receive", Napi::Function::New(env, ReceiveBinding));
}

}  // namespace

KEYVOL_BINDING(InitSocketBinding);

}  // namespace keyvol
