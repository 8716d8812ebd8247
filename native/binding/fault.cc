#include "binding/fault.h"

#include <memory>
#include <utility>

#include "binding/registry.h"

namespace keyvol {

namespace {

struct FaultClass {
  Napi::FunctionReference constructor;
};

const char* NameOf(Code code) {
  switch (code) {
    case Code::kOk:
    case Code::kInternal:
      return "INTERNAL";
    case Code::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case Code::kOutOfRange:
      return "OUT_OF_RANGE";
    case Code::kIo:
      return "IO_ERROR";
    case Code::kNoSpace:
      return "NO_SPACE";
    case Code::kGateClosed:
      return "GATE_CLOSED";
    case Code::kPoisoned:
      return "DISK_POISONED";
    case Code::kReadOnly:
      return "READ_ONLY";
    case Code::kNotFound:
      return "FILE_NOT_FOUND";
    case Code::kExists:
      return "FILE_EXISTS";
    case Code::kBusy:
    case Code::kWouldWait:
    case Code::kInterrupted:
      return "BUSY";
    case Code::kIntegrity:
      return "INTEGRITY_FAILED";
    case Code::kHeaderInvalid:
      return "HEADER_INVALID";
    case Code::kKeyFileInvalid:
      return "KEY_FILE_INVALID";
    case Code::kUnsupported:
      return "UNSUPPORTED";
    case Code::kPermission:
      return "PERMISSION_DENIED";
  }
  return "INTERNAL";
}

class StatusWorker : public Napi::AsyncWorker {
 public:
  StatusWorker(Napi::Env env, std::function<Status()> work,
               std::function<Napi::Value(Napi::Env)> result, std::vector<Napi::Object> keep)
      : Napi::AsyncWorker(env),
        deferred_(Napi::Promise::Deferred::New(env)),
        work_(std::move(work)),
        result_(std::move(result)) {
    for (const Napi::Object& object : keep) kept_.push_back(Napi::Persistent(object));
  }

  Napi::Promise promise() const { return deferred_.Promise(); }

  // An exception would be swallowed and the promise never settle: better to end here.
  void Execute() noexcept override { status_ = work_(); }

  void OnOK() override {
    Napi::HandleScope scope(Env());
    if (!status_.ok()) {
      deferred_.Reject(FaultOf(Env(), status_));
      return;
    }
    deferred_.Resolve(result_ ? result_(Env()) : Env().Undefined());
  }

 private:
  Napi::Promise::Deferred deferred_;
  std::function<Status()> work_;
  std::function<Napi::Value(Napi::Env)> result_;
  std::vector<Napi::ObjectReference> kept_;
  Status status_ = Status::Ok();
};

Napi::Value SetFaultClass(const Napi::CallbackInfo& info) {
  FaultClass* fault_class = info.Env().GetInstanceData<FaultClass>();
  fault_class->constructor = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

void InitFaultBinding(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new FaultClass());
  exports.Set("setFaultClass", Napi::Function::New(env, SetFaultClass));
}

}  // namespace

Napi::Value FaultOf(Napi::Env env, const Status& status) {
  FaultClass* fault_class = env.GetInstanceData<FaultClass>();
  return fault_class->constructor.New(
      {Napi::String::New(env, NameOf(status.code())), Napi::String::New(env, status.message())});
}

Napi::Value ThrowFault(Napi::Env env, const Status& status) {
  napi_throw(env, FaultOf(env, status));
  return env.Undefined();
}

Napi::Value RunAsync(Napi::Env env, std::function<Status()> work,
                     std::function<Napi::Value(Napi::Env)> result, std::vector<Napi::Object> keep) {
  auto* worker = new StatusWorker(env, std::move(work), std::move(result), std::move(keep));
  Napi::Promise promise = worker->promise();
  worker->Queue();
  return promise;
}

KEYVOL_BINDING(InitFaultBinding);

}  // namespace keyvol
