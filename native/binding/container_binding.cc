#include <utility>

#include "binding/async.h"
#include "binding/checks.h"
#include "binding/registry.h"
#include "container/block_file.h"
#include "container/container.h"
#include "container/flat_luks2.h"

namespace keyvol {

namespace {

constexpr uint64_t kSectorMultiple = 4096;

Status SizeArgument(const Napi::Value& value, uint64_t* size_bytes) {
  RETURN_IF_ERROR(IntegerArgument(value, "the size", size_bytes));
  if (*size_bytes == 0 || *size_bytes % kSectorMultiple != 0) {
    return BadArgument("the size of a container is not a positive multiple of 4096");
  }
  return Status::Ok();
}

Status OptionsArgument(const Napi::Value& value, ContainerOptions* options) {
  if (!value.IsObject()) return BadArgument("the container options are not an object");
  const auto object = value.As<Napi::Object>();
  RETURN_IF_ERROR(PathArgument(object.Get("path"), "the container path", &options->path));
  RETURN_IF_ERROR(StringArgument(object.Get("layerId"), "the layer id", &options->layer_id));
  RETURN_IF_ERROR(SizeArgument(object.Get("sizeBytes"), &options->size_bytes));
  RETURN_IF_ERROR(StringArgument(object.Get("token"), "the token", &options->token_json));
  options->preallocate = object.Get("preallocate").ToBoolean();
  return Status::Ok();
}

Napi::Value CreateContainerBinding(const Napi::CallbackInfo& info) {
  ContainerOptions options;
  std::shared_ptr<Secret> key;
  THROW_IF_ERROR(info.Env(), OptionsArgument(info[0], &options));
  THROW_IF_ERROR(info.Env(), SecretArgument(info[1], "the data key", &key));
  return RunOnThread(info.Env(), [options, key] { return CreateContainer(options, *key); });
}

Status PbkdfArgument(const Napi::Value& value, Pbkdf* pbkdf) {
  std::string name;
  RETURN_IF_ERROR(StringArgument(value, "the pbkdf", &name));
  if (name != "pbkdf2" && name != "argon2id") return BadArgument("unknown pbkdf " + name);
  *pbkdf = name == "pbkdf2" ? Pbkdf::kPbkdf2 : Pbkdf::kArgon2id;
  return Status::Ok();
}

Status FlatOptionsArgument(const Napi::Value& value, FlatLuks2Options* options) {
  if (!value.IsObject()) return BadArgument("the LUKS2 options are not an object");
  const auto object = value.As<Napi::Object>();
  RETURN_IF_ERROR(PathArgument(object.Get("path"), "the path", &options->path));
  RETURN_IF_ERROR(SizeArgument(object.Get("sizeBytes"), &options->size_bytes));
  return PbkdfArgument(object.Get("pbkdf"), &options->pbkdf);
}

Napi::Value CreateFlatLuks2Binding(const Napi::CallbackInfo& info) {
  FlatLuks2Options options;
  std::shared_ptr<Secret> key, passphrase;
  THROW_IF_ERROR(info.Env(), FlatOptionsArgument(info[0], &options));
  THROW_IF_ERROR(info.Env(), SecretArgument(info[1], "the data key", &key));
  THROW_IF_ERROR(info.Env(), SecretArgument(info[2], "the passphrase", &passphrase));
  return RunOnThread(info.Env(), [options, key, passphrase] {
    return CreateFlatLuks2(options, *key, *passphrase);
  });
}

Napi::Value HeaderObject(Napi::Env env, const ContainerHeader& header) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("layerId", header.layer_id);
  object.Set("cipher", header.cipher);
  object.Set("dataOffsetBytes", static_cast<double>(header.data_offset_bytes));
  object.Set("sectorBytes", header.sector_bytes);
  object.Set("token", header.token_json);
  object.Set("fileBytes", static_cast<double>(header.file_bytes));
  object.Set("damagedCopies", header.damaged_copies);
  return object;
}

Napi::Value ReadContainerHeaderBinding(const Napi::CallbackInfo& info) {
  std::string path;
  THROW_IF_ERROR(info.Env(), PathArgument(info[0], "the container path", &path));
  auto header = std::make_shared<ContainerHeader>();
  return RunOnThread(
      info.Env(), [path, header] { return ReadContainerHeader(path, header.get()); },
      [header](Napi::Env env) { return HeaderObject(env, *header); });
}

Napi::Value VerifyContainerKeyBinding(const Napi::CallbackInfo& info) {
  std::string path;
  std::shared_ptr<Secret> key;
  THROW_IF_ERROR(info.Env(), PathArgument(info[0], "the container path", &path));
  THROW_IF_ERROR(info.Env(), SecretArgument(info[1], "the data key", &key));
  return RunOnThread(info.Env(), [path, key] { return VerifyContainerKey(path, *key); });
}

const char* TextOf(CopyState state) {
  if (state == CopyState::kGood) return "good";
  return state == CopyState::kDamaged ? "damaged" : "outdated";
}

Napi::Value CheckObject(Napi::Env env, const HeaderCheck& check) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("header", HeaderObject(env, check.header));
  object.Set("first", TextOf(check.first));
  object.Set("second", TextOf(check.second));
  object.Set("copiesDiffer", check.copies_differ);
  if (check.stray_offset_bytes.has_value()) {
    object.Set("strayOffsetBytes", static_cast<double>(*check.stray_offset_bytes));
  }
  return object;
}

Napi::Value CheckContainerHeaderBinding(const Napi::CallbackInfo& info) {
  std::string path;
  THROW_IF_ERROR(info.Env(), PathArgument(info[0], "the container path", &path));
  auto check = std::make_shared<HeaderCheck>();
  return RunOnThread(
      info.Env(), [path, check] { return CheckContainerHeader(path, check.get()); },
      [check](Napi::Env env) { return CheckObject(env, *check); });
}

Napi::Value RepairContainerHeaderBinding(const Napi::CallbackInfo& info) {
  std::string path;
  THROW_IF_ERROR(info.Env(), PathArgument(info[0], "the container path", &path));
  return RunOnThread(info.Env(), [path] { return RepairContainerHeader(path); });
}

Status OperationArgument(const Napi::Value& value, BlockOp* op) {
  constexpr std::pair<const char*, BlockOp> kOperations[] = {
      {"read", BlockOp::kRead},
      {"write", BlockOp::kWrite},
      {"sync", BlockOp::kSync},
      {"punch-hole", BlockOp::kPunchHole},
      {"zero-range", BlockOp::kZeroRange},
  };
  std::string given;
  RETURN_IF_ERROR(StringArgument(value, "the operation", &given));
  for (const auto& [name, operation] : kOperations) {
    if (given != name) continue;
    *op = operation;
    return Status::Ok();
  }
  return BadArgument("unknown block operation " + given);
}

Status FaultArgument(const Napi::Value& value, BlockFault* fault) {
  if (!value.IsObject()) return BadArgument("the fault is not an object");
  const auto object = value.As<Napi::Object>();
  uint64_t error_number = static_cast<uint64_t>(fault->error_number);
  uint64_t delay_ms = 0;
  if (object.Has("afterCalls")) {
    RETURN_IF_ERROR(IntegerArgument(object.Get("afterCalls"), "afterCalls", &fault->after_calls));
  }
  if (object.Has("errno")) {
    RETURN_IF_ERROR(IntegerArgument(object.Get("errno"), "errno", &error_number));
  }
  if (object.Has("delayMs")) {
    RETURN_IF_ERROR(IntegerArgument(object.Get("delayMs"), "delayMs", &delay_ms));
  }
  if (object.Has("pathContains")) {
    RETURN_IF_ERROR(
        StringArgument(object.Get("pathContains"), "pathContains", &fault->path_contains));
  }
  fault->error_number = static_cast<int>(error_number);
  fault->delay_ms = static_cast<uint32_t>(delay_ms);
  fault->sticky = object.Get("sticky").ToBoolean();
  return Status::Ok();
}

Napi::Value InjectBlockFaultBinding(const Napi::CallbackInfo& info) {
  BlockOp op = BlockOp::kRead;
  BlockFault fault;
  THROW_IF_ERROR(info.Env(), OperationArgument(info[0], &op));
  THROW_IF_ERROR(info.Env(), FaultArgument(info[1], &fault));
  InjectBlockFault(op, fault);
  return info.Env().Undefined();
}

Napi::Value ClearBlockFaultsBinding(const Napi::CallbackInfo& info) {
  ClearBlockFaults();
  return info.Env().Undefined();
}

void InitContainerBinding(Napi::Env env, Napi::Object exports) {
  exports.Set("createContainer", Napi::Function::New(env, CreateContainerBinding));
  exports.Set("createFlatLuks2", Napi::Function::New(env, CreateFlatLuks2Binding));
  exports.Set("readContainerHeader", Napi::Function::New(env, ReadContainerHeaderBinding));
  exports.Set("verifyContainerKey", Napi::Function::New(env, VerifyContainerKeyBinding));
  exports.Set("checkContainerHeader", Napi::Function::New(env, CheckContainerHeaderBinding));
  exports.Set("repairContainerHeader", Napi::Function::New(env, RepairContainerHeaderBinding));
  exports.Set("injectBlockFault", Napi::Function::New(env, InjectBlockFaultBinding));
  exports.Set("clearBlockFaults", Napi::Function::New(env, ClearBlockFaultsBinding));
}

}  // namespace

KEYVOL_BINDING(InitContainerBinding);

}  // namespace keyvol
