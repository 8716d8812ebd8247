// openDevice and the class Device of src/device/addon.ts.
#include <string.h>

#include <chrono>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "binding/async.h"
#include "binding/checks.h"
#include "binding/registry.h"
#include "disk/layer_stack.h"

namespace keyvol {

namespace {

constexpr napi_type_tag kDeviceTag = {0x6b65792076656c6fULL, 0x6465766963652031ULL};

// A copy of the caller's plaintext, which the stack encrypts in place; wiped after.
class PlainCopy {
 public:
  explicit PlainCopy(std::span<const std::byte> bytes)
      : bytes_(bytes.size()), data_(std::make_unique<Sector[]>(bytes_ / sizeof(Sector) + 1)) {
    // An empty buffer has no address, which memcpy must not be given.
    if (bytes_ > 0) std::memcpy(data_.get(), bytes.data(), bytes_);
  }
  ~PlainCopy() { explicit_bzero(data_.get(), bytes_); }
  PlainCopy(const PlainCopy&) = delete;
  PlainCopy& operator=(const PlainCopy&) = delete;
  std::span<std::byte> bytes() { return {data_[0].bytes, bytes_}; }

 private:
  struct alignas(64) Sector {
    std::byte bytes[64];
  };
  size_t bytes_;
  std::unique_ptr<Sector[]> data_;
};

const char* NameOf(Gate::State state) {
  switch (state) {
    case Gate::State::kOpen:
      return "open";
    case Gate::State::kHeld:
      return "held";
    case Gate::State::kClosed:
      return "closed";
  }
  return "closed";
}

Napi::Value NumberOf(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

double SecondsOf(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

Napi::Object OperationObject(Napi::Env env, const OperationStats::Snapshot& operation) {
  Napi::Array buckets = Napi::Array::New(env);
  for (size_t i = 0; i < operation.buckets.size(); ++i) {
    const bool bounded = i < OperationStats::kBounds.size();
    Napi::Object bucket = Napi::Object::New(env);
    bucket.Set("upToSeconds", bounded ? SecondsOf(OperationStats::kBounds[i])
                                      : std::numeric_limits<double>::infinity());
    bucket.Set("count", NumberOf(env, operation.buckets[i]));
    buckets.Set(static_cast<uint32_t>(i), bucket);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("errors", NumberOf(env, operation.errors));
  object.Set("seconds", SecondsOf(operation.total));
  object.Set("buckets", buckets);
  return object;
}

Status LayerArgument(const Napi::Value& value, bool with_key, LayerOptions* layer) {
  if (!value.IsObject()) return BadArgument("a layer is not an object");
  const auto object = value.As<Napi::Object>();
  RETURN_IF_ERROR(PathArgument(object.Get("path"), "a layer's path", &layer->path));
  RETURN_IF_ERROR(IntegerArgument(object.Get("sizeBytes"), "a layer's size", &layer->size_bytes));
  layer->preallocated = object.Get("preallocated").ToBoolean();
  if (!with_key) return Status::Ok();
  return SecretArgument(object.Get("dataKey"), "a layer's data key", &layer->data_key);
}

Status ClosingArgument(const Napi::Value& value, Closing* closing) {
  const std::string name = value.IsString() ? value.As<Napi::String>().Utf8Value() : "";
  if (name == "hold-writes") {
    *closing = Closing::kHoldWrites;
  } else if (name == "suspend") {
    *closing = Closing::kSuspend;
  } else if (name != "refuse" && !value.IsUndefined()) {
    return BadArgument("a cut-off refuses, holds writes or suspends");
  }
  return Status::Ok();
}

Status StackArgument(const Napi::Value& value, StackOptions* options) {
  if (!value.IsObject()) return BadArgument("the device's options are not an object");
  const auto object = value.As<Napi::Object>();
  options->writable = object.Get("writable").ToBoolean();
  if (!object.Get("closed").IsUndefined()) {
    RETURN_IF_ERROR(ClosingArgument(object.Get("closed"), &options->closed.emplace()));
  }
  if (!object.Get("layers").IsArray()) return BadArgument("the device's layers are not an array");
  const auto layers = object.Get("layers").As<Napi::Array>();
  for (uint32_t i = 0; i < layers.Length(); ++i) {
    LayerOptions& layer = options->layers.emplace_back();
    RETURN_IF_ERROR(LayerArgument(layers.Get(i), !options->closed, &layer));
  }
  return Status::Ok();
}

Status KeysArgument(const Napi::Value& value, std::vector<std::shared_ptr<Secret>>* keys) {
  if (!value.IsArray()) return BadArgument("the data keys are not an array");
  const auto array = value.As<Napi::Array>();
  for (uint32_t i = 0; i < array.Length(); ++i) {
    RETURN_IF_ERROR(SecretArgument(array.Get(i), "a data key", &keys->emplace_back()));
  }
  return Status::Ok();
}

class DeviceHandle : public Napi::ObjectWrap<DeviceHandle> {
 public:
  static Napi::Function DefineIn(Napi::Env env);

  // Only openDevice passes a stack; a handle that JavaScript constructs holds none, and throws.
  explicit DeviceHandle(const Napi::CallbackInfo& info) : ObjectWrap(info) {
    if (info.Length() == 0 || !info[0].IsExternal()) {
      ThrowFault(info.Env(), BadArgument("a device comes from openDevice"));
      return;
    }
    info.This().As<Napi::Object>().TypeTag(&kDeviceTag);
    stack_ = *info[0].As<Napi::External<std::shared_ptr<LayerStack>>>().Data();
  }

  // Null once close() was called.
  std::shared_ptr<Disk> disk() const { return closed_ ? nullptr : stack_; }

 private:
  using SeekCall = Status (LayerStack::*)(uint64_t, uint64_t*);
  using ZeroCall = Status (LayerStack::*)(uint64_t, uint64_t);

  Napi::Value SizeBytes(const Napi::CallbackInfo& info) {
    return NumberOf(info.Env(), stack_->size_bytes());
  }
  Napi::Value Writable(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), stack_->writable());
  }
  Napi::Value Read(const Napi::CallbackInfo& info);
  Napi::Value Write(const Napi::CallbackInfo& info);
  Napi::Value Flush(const Napi::CallbackInfo& info);
  Napi::Value Discard(const Napi::CallbackInfo& info) { return Zero(info, &LayerStack::Discard); }
  Napi::Value WriteZeroes(const Napi::CallbackInfo& info) {
    return Zero(info, &LayerStack::WriteZeroes);
  }
  Napi::Value SeekData(const Napi::CallbackInfo& info) { return Seek(info, &LayerStack::SeekData); }
  Napi::Value SeekHole(const Napi::CallbackInfo& info) { return Seek(info, &LayerStack::SeekHole); }
  Napi::Value Zero(const Napi::CallbackInfo& info, ZeroCall call);
  Napi::Value Seek(const Napi::CallbackInfo& info, SeekCall call);
  Napi::Value Hold(const Napi::CallbackInfo& info);
  Napi::Value StageTop(const Napi::CallbackInfo& info);
  Napi::Value SwapTop(const Napi::CallbackInfo& info);
  Napi::Value Resume(const Napi::CallbackInfo& info);
  Napi::Value CutOff(const Napi::CallbackInfo& info);
  Napi::Value Restore(const Napi::CallbackInfo& info);
  Napi::Value Close(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  Napi::Value Operations(const Napi::CallbackInfo& info);

  std::shared_ptr<LayerStack> stack_;
  bool closed_ = false;
};

Napi::Function DeviceHandle::DefineIn(Napi::Env env) {
  return DefineClass(
      env, "Device",
      {InstanceAccessor<&DeviceHandle::SizeBytes>("sizeBytes"),
       InstanceAccessor<&DeviceHandle::Writable>("writable"),
       InstanceMethod<&DeviceHandle::Read>("read"), InstanceMethod<&DeviceHandle::Write>("write"),
       InstanceMethod<&DeviceHandle::Flush>("flush"),
       InstanceMethod<&DeviceHandle::Discard>("discard"),
       InstanceMethod<&DeviceHandle::WriteZeroes>("writeZeroes"),
       InstanceMethod<&DeviceHandle::SeekData>("seekData"),
       InstanceMethod<&DeviceHandle::SeekHole>("seekHole"),
       InstanceMethod<&DeviceHandle::Hold>("hold"),
       InstanceMethod<&DeviceHandle::StageTop>("stageTop"),
       InstanceMethod<&DeviceHandle::SwapTop>("swapTop"),
       InstanceMethod<&DeviceHandle::Resume>("resume"),
       InstanceMethod<&DeviceHandle::CutOff>("cutOff"),
       InstanceMethod<&DeviceHandle::Restore>("restore"),
       InstanceMethod<&DeviceHandle::Close>("close"), InstanceMethod<&DeviceHandle::Stats>("stats"),
       InstanceMethod<&DeviceHandle::Operations>("operations")});
}

Napi::Value DeviceHandle::Read(const Napi::CallbackInfo& info) {
  std::span<std::byte> out;
  uint64_t offset_bytes = 0;
  REJECT_IF_ERROR(info.Env(), BufferArgument(info[0], "the buffer", &out));
  REJECT_IF_ERROR(info.Env(), IntegerArgument(info[1], "the offset", &offset_bytes));
  return RunAsync(info.Env(),
                  [stack = stack_, offset_bytes, out] { return stack->Read(offset_bytes, out); },
                  nullptr, {info[0].As<Napi::Object>()});
}

Napi::Value DeviceHandle::Write(const Napi::CallbackInfo& info) {
  std::span<std::byte> data;
  uint64_t offset_bytes = 0;
  REJECT_IF_ERROR(info.Env(), BufferArgument(info[0], "the buffer", &data));
  REJECT_IF_ERROR(info.Env(), IntegerArgument(info[1], "the offset", &offset_bytes));
  auto write = [stack = stack_, offset_bytes, data] {
    PlainCopy copy(data);
    return stack->Write(offset_bytes, copy.bytes());
  };
  return RunAsync(info.Env(), write, nullptr, {info[0].As<Napi::Object>()});
}

Napi::Value DeviceHandle::Flush(const Napi::CallbackInfo& info) {
  return RunAsync(info.Env(), [stack = stack_] { return stack->Flush(); });
}

Napi::Value DeviceHandle::Zero(const Napi::CallbackInfo& info, ZeroCall call) {
  uint64_t offset_bytes = 0;
  uint64_t length_bytes = 0;
  REJECT_IF_ERROR(info.Env(), IntegerArgument(info[0], "the offset", &offset_bytes));
  REJECT_IF_ERROR(info.Env(), IntegerArgument(info[1], "the length", &length_bytes));
  return RunAsync(info.Env(), [stack = stack_, call, offset_bytes, length_bytes] {
    return (stack.get()->*call)(offset_bytes, length_bytes);
  });
}

Napi::Value DeviceHandle::Seek(const Napi::CallbackInfo& info, SeekCall call) {
  uint64_t offset_bytes = 0;
  REJECT_IF_ERROR(info.Env(), IntegerArgument(info[0], "the offset", &offset_bytes));
  auto found = std::make_shared<std::optional<uint64_t>>();
  auto seek = [stack = stack_, call, offset_bytes, found] {
    uint64_t result_bytes = 0;
    Status status = (stack.get()->*call)(offset_bytes, &result_bytes);
    if (status.ok()) *found = result_bytes;
    return status.code() == Code::kOutOfRange ? Status::Ok() : status;
  };
  return RunAsync(info.Env(), seek, [found](Napi::Env env) {
    return found->has_value() ? NumberOf(env, **found) : env.Undefined();
  });
}

Napi::Value DeviceHandle::Hold(const Napi::CallbackInfo& info) {
  return RunOnThread(info.Env(), [stack = stack_] { return stack->Hold(); });
}

Napi::Value DeviceHandle::StageTop(const Napi::CallbackInfo& info) {
  LayerOptions layer;
  REJECT_IF_ERROR(info.Env(), LayerArgument(info[0], true, &layer));
  return RunOnThread(info.Env(),
                     [stack = stack_, layer = std::move(layer)] { return stack->StageTop(layer); });
}

Napi::Value DeviceHandle::SwapTop(const Napi::CallbackInfo& info) {
  THROW_IF_ERROR(info.Env(), stack_->SwapTop());
  return info.Env().Undefined();
}

Napi::Value DeviceHandle::Resume(const Napi::CallbackInfo& info) {
  stack_->Resume();
  return info.Env().Undefined();
}

Napi::Value DeviceHandle::CutOff(const Napi::CallbackInfo& info) {
  uint64_t deadline_ms = 0;
  REJECT_IF_ERROR(info.Env(), IntegerArgument(info[0], "the deadline", &deadline_ms));
  Closing closing = Closing::kRefuse;
  REJECT_IF_ERROR(info.Env(), ClosingArgument(info[1], &closing));
  // A day is longer than anybody waits, and no clock overflows.
  const std::chrono::milliseconds deadline(std::min<uint64_t>(deadline_ms, 86'400'000));
  auto report = std::make_shared<CutOffReport>();
  auto cut_off = [stack = stack_, deadline, closing, report] {
    *report = stack->CutOff(deadline, closing);
    return Status::Ok();
  };
  return RunOnThread(info.Env(), cut_off, [report](Napi::Env env) -> Napi::Value {
    Napi::Object object = Napi::Object::New(env);
    object.Set("flushed", Napi::Boolean::New(env, report->flushed));
    object.Set("running", Napi::Boolean::New(env, report->running));
    object.Set("tookMs", NumberOf(env, report->took_ms));
    return object;
  });
}

Napi::Value DeviceHandle::Restore(const Napi::CallbackInfo& info) {
  std::vector<std::shared_ptr<Secret>> keys;
  REJECT_IF_ERROR(info.Env(), KeysArgument(info[0], &keys));
  return RunOnThread(info.Env(),
                     [stack = stack_, keys = std::move(keys)] { return stack->Restore(keys); });
}

Napi::Value DeviceHandle::Close(const Napi::CallbackInfo& info) {
  closed_ = true;
  return RunOnThread(info.Env(), [stack = stack_] { return stack->Close(); });
}

Napi::Value DeviceHandle::Operations(const Napi::CallbackInfo& info) {
  const LayerStack::Operations operations = stack_->ReadOperations();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("read", OperationObject(info.Env(), operations.read));
  object.Set("write", OperationObject(info.Env(), operations.write));
  object.Set("flush", OperationObject(info.Env(), operations.flush));
  object.Set("discard", OperationObject(info.Env(), operations.discard));
  return object;
}

Napi::Value DeviceHandle::Stats(const Napi::CallbackInfo& info) {
  const StackStats stats = stack_->Stats();
  Napi::Object object = Napi::Object::New(info.Env());
  object.Set("gate", Napi::String::New(info.Env(), NameOf(stats.gate)));
  object.Set("poisoned", Napi::Boolean::New(info.Env(), stats.poisoned));
  object.Set("layers", NumberOf(info.Env(), stats.layers));
  object.Set("allocatedBytes", NumberOf(info.Env(), stats.allocated_bytes));
  object.Set("readBytes", NumberOf(info.Env(), stats.read_bytes));
  object.Set("writtenBytes", NumberOf(info.Env(), stats.written_bytes));
  if (stats.full_since_ms != 0) {
    object.Set("fullSinceMs", NumberOf(info.Env(), stats.full_since_ms));
  }
  return object;
}

// Each JavaScript environment has a thread of its own.
thread_local Napi::FunctionReference device_class;

Napi::Value OpenDevice(const Napi::CallbackInfo& info) {
  StackOptions options;
  REJECT_IF_ERROR(info.Env(), StackArgument(info[0], &options));
  auto stack = std::make_shared<std::shared_ptr<LayerStack>>();
  auto open = [options = std::move(options), stack] {
    return LayerStack::Open(options, stack.get());
  };
  return RunOnThread(info.Env(), std::move(open), [stack](Napi::Env env) -> Napi::Value {
    return device_class.New({Napi::External<std::shared_ptr<LayerStack>>::New(env, stack.get())});
  });
}

void InitDeviceBinding(Napi::Env env, Napi::Object exports) {
  device_class = Napi::Persistent(DeviceHandle::DefineIn(env));
  // At exit the environment is gone before this thread's variables are.
  device_class.SuppressDestruct();
  exports.Set("openDevice", Napi::Function::New(env, OpenDevice));
}

}  // namespace

std::shared_ptr<Disk> DiskOf(const Napi::Value& value) {
  if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kDeviceTag)) return nullptr;
  return DeviceHandle::Unwrap(value.As<Napi::Object>())->disk();
}

KEYVOL_BINDING(InitDeviceBinding);

}  // namespace keyvol
