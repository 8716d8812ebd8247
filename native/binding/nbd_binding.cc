// `serveNbd` and the NbdServer of src/device/addon.ts.
#include <napi.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "binding/arguments.h"
#include "binding/async.h"
#include "binding/fault.h"
#include "binding/handles.h"
#include "binding/registry.h"
#include "host/tcp_socket.h"
#include "host/unix_socket.h"
#include "transport/nbd/server.h"
#include "transport/tls/credentials.h"

namespace keyvol {

namespace {

constexpr std::chrono::milliseconds kEndTimeout(5000);
constexpr std::chrono::milliseconds kExitTimeout(1000);

class NbdServerHandle : public Napi::ObjectWrap<NbdServerHandle> {
 public:
  static Napi::FunctionReference& Constructor() {
    static Napi::FunctionReference* constructor = new Napi::FunctionReference();
    return *constructor;
  }

  static void Define(Napi::Env env) {
    using Self = NbdServerHandle;
    Constructor() = Napi::Persistent(DefineClass(
        env, "NbdServer",
        {InstanceAccessor<&Self::SocketPath>("socketPath"),
         InstanceAccessor<&Self::TlsPort>("tlsPort"), InstanceMethod<&Self::ServeNow>("serve"),
         InstanceMethod<&Self::Add>("add"), InstanceMethod<&Self::Rename>("rename"),
         InstanceMethod<&Self::Remove>("remove"), InstanceMethod<&Self::Connections>("connections"),
         InstanceMethod<&Self::Disconnect>("disconnect"), InstanceMethod<&Self::EndAsync>("end")}));
  }

  explicit NbdServerHandle(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NbdServerHandle>(info),
        socket_path_(StringOf(info[0])),
        tls_port_(info[1].As<Napi::Number>().Uint32Value()),
        server_(*info[2].As<Napi::External<std::shared_ptr<nbd::Server>>>().Data()) {
    // Served until end(), whether or not JavaScript still holds the object.
    Ref();
    // At the end of the process, requests under way must not run into a library that is being
    // torn down.
    info.Env().AddCleanupHook([server = std::weak_ptr<nbd::Server>(server_)] {
      if (const auto running = server.lock()) running->Stop(kExitTimeout);
    });
  }

 private:
  Napi::Value SocketPath(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), socket_path_);
  }

  Napi::Value TlsPort(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), tls_port_);
  }

  Napi::Value ServeNow(const Napi::CallbackInfo& info) {
    return Finish(info.Env(), server_->Serve());
  }

  Napi::Value Add(const Napi::CallbackInfo& info) {
    const Napi::Object disk = info[0].As<Napi::Object>();
    const std::string name = StringOf(disk.Get("name"));
    std::shared_ptr<Disk> device = DiskOf(disk.Get("device"));
    if (!device) {
      return ThrowFault(info.Env(), Status::Error(Code::kInvalidArgument,
                                                  "the device of " + name + " is closed"));
    }
    const bool read_only = BoolOf(disk.Get("readOnly"));
    return Finish(info.Env(),
                  server_->Add(name, std::make_shared<const nbd::Export>(
                                         StringOf(disk.Get("id")), std::move(device), read_only)));
  }

  Napi::Value Rename(const Napi::CallbackInfo& info) {
    return Finish(info.Env(), server_->Rename(StringOf(info[0]), StringOf(info[1])));
  }

  Napi::Value Remove(const Napi::CallbackInfo& info) {
    server_->Remove(StringOf(info[0]));
    return info.Env().Undefined();
  }

  Napi::Value Connections(const Napi::CallbackInfo& info) {
    const size_t count = server_->ConnectionsTo(StringOf(info[0]));
    return Napi::Number::New(info.Env(), static_cast<double>(count));
  }

  Napi::Value Disconnect(const Napi::CallbackInfo& info) {
    server_->Disconnect(StringOf(info[0]));
    return info.Env().Undefined();
  }

  Napi::Value EndAsync(const Napi::CallbackInfo& info) {
    if (!ending_) {
      ending_ = true;
      Unref();
    }
    return RunOnThread(info.Env(), [server = server_, path = socket_path_] {
      unlink(path.c_str());
      if (server->Stop(kEndTimeout)) return Status::Ok();
      return Status::Error(Code::kBusy, "NBD requests are still under way");
    });
  }

  Napi::Value Finish(Napi::Env env, const Status& status) {
    return status.ok() ? env.Undefined() : ThrowFault(env, status);
  }

  const std::string socket_path_;
  const uint32_t tls_port_;
  const std::shared_ptr<nbd::Server> server_;
  bool ending_ = false;
};

std::optional<std::string> GreetHere(const UniqueFd& client) {
  return IsPeerTrusted(client) ? std::optional<std::string>("") : std::nullopt;
}

std::optional<std::string> GreetAnywhere(const UniqueFd& client) {
  KeepAlive(client);
  return PeerAddressOf(client);
}

struct NbdPlaces {
  std::string socket_path;
  std::string address;  // empty: only the socket
  uint16_t port = 0;    // 0: any that is free; then which one it is
  std::string tls_directory;
};

Status Serve(NbdPlaces* places, std::shared_ptr<nbd::Server>* server) {
  std::vector<nbd::Server::Listener> listeners(places->address.empty() ? 1 : 2);
  if (!places->address.empty()) {
    listeners[1].greet = GreetAnywhere;
    RETURN_IF_ERROR(tls::Credentials::Load(places->tls_directory, &listeners[1].credentials));
    RETURN_IF_ERROR(ListenOnTcp(places->address, places->port, &listeners[1].fd));
    RETURN_IF_ERROR(PortOf(listeners[1].fd, &places->port));
  }
  listeners[0].greet = GreetHere;
  RETURN_IF_ERROR(ListenOnUnixSocket(places->socket_path, SOCK_STREAM, &listeners[0].fd));
  return nbd::Server::Start(std::move(listeners), server);
}

Napi::Value ServeNbd(const Napi::CallbackInfo& info) {
  const Napi::Object options = info[0].As<Napi::Object>();
  NbdPlaces places = {.socket_path = StringOf(options.Get("socketPath"))};
  if (options.Get("tls").IsObject()) {
    const Napi::Object tls = options.Get("tls").As<Napi::Object>();
    places.address = StringOf(tls.Get("address"));
    places.port = static_cast<uint16_t>(IntegerOf(tls.Get("port")));
    places.tls_directory = StringOf(tls.Get("directory"));
  }
  std::shared_ptr<nbd::Server> server;
  if (const Status status = Serve(&places, &server); !status.ok()) {
    return ThrowFault(info.Env(), status);
  }
  return NbdServerHandle::Constructor().New(
      {Napi::String::New(info.Env(), places.socket_path),
       Napi::Number::New(info.Env(), places.port),
       Napi::External<std::shared_ptr<nbd::Server>>::New(info.Env(), &server)});
}

void InitNbdBinding(Napi::Env env, Napi::Object exports) {
  NbdServerHandle::Define(env);
  exports.Set("serveNbd", Napi::Function::New(env, ServeNbd));
}

}  // namespace

KEYVOL_BINDING(InitNbdBinding);

}  // namespace keyvol
