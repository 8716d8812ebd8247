// `mountFuse` and the FuseSession of src/device/addon.ts.
#include <napi.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "binding/arguments.h"
#include "binding/async.h"
#include "binding/fault.h"
#include "binding/handles.h"
#include "binding/registry.h"
#include "host/fuse_mount.h"
#include "transport/fuse/negotiation.h"
#include "transport/fuse/protocol.h"
#include "transport/fuse/session.h"
#include "transport/fuse/tree.h"

namespace keyvol {

namespace {

using std::chrono::milliseconds;

constexpr int kMaxThreads = 16;
constexpr milliseconds kEndTimeout(10000);
constexpr milliseconds kParkTimeout(1000);

// A mount and what serves it, without JavaScript.
struct FuseMount {
  std::string mount_point;
  std::shared_ptr<fuse::Tree> tree = std::make_shared<fuse::Tree>();
  std::shared_ptr<fuse::Session> session;
};

Status Mount(FuseMountRequest request, FuseMount* mount) {
  std::vector<UniqueFd> fds;
  RETURN_IF_ERROR(MountFuse(request, &fds));
  Status status = fuse::AnswerInit(fds.front().get());
  if (status.ok()) status = fuse::Session::Start(std::move(fds), mount->tree, &mount->session);
  if (!status.ok()) static_cast<void>(UnmountFuse(request.directory));
  return status;
}

Status Unmount(const FuseMount& mount) {
  RETURN_IF_ERROR(UnmountFuse(mount.mount_point));
  if (mount.session->WaitForEnd(kEndTimeout)) return Status::Ok();
  return Status::Error(Code::kBusy, mount.mount_point + " is detached, but still in use");
}

fuse::FileSpec SpecOf(const Napi::Object& file) {
  return {.id = StringOf(file.Get("id")),
          .directory = StringOf(file.Get("directory")) == "images" ? fuse::Directory::kImages
                                                                   : fuse::Directory::kVolumes,
          .name = StringOf(file.Get("name")),
          .disk = DiskOf(file.Get("device")),
          .read_only = BoolOf(file.Get("readOnly")),
          .uid = static_cast<uid_t>(IntegerOf(file.Get("uid"))),
          .gid = static_cast<gid_t>(IntegerOf(file.Get("gid"))),
          .mode = static_cast<mode_t>(IntegerOf(file.Get("mode")))};
}

bool IsFileName(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos;
}

Status CheckSpec(const fuse::FileSpec& spec) {
  if (!spec.disk) {
    return Status::Error(Code::kInvalidArgument, "the device of " + spec.name + " is closed");
  }
  if (!IsFileName(spec.name)) {
    return Status::Error(Code::kInvalidArgument, "'" + spec.name + "' is no file name");
  }
  return Status::Ok();
}

class FuseSessionHandle : public Napi::ObjectWrap<FuseSessionHandle> {
 public:
  static Napi::FunctionReference& Constructor() {
    static Napi::FunctionReference* constructor = new Napi::FunctionReference();
    return *constructor;
  }

  static void Define(Napi::Env env) {
    using Self = FuseSessionHandle;
    Constructor() = Napi::Persistent(DefineClass(
        env, "FuseSession",
        {InstanceAccessor<&Self::MountPoint>("mountPoint"), InstanceMethod<&Self::Add>("add"),
         InstanceMethod<&Self::Rename>("rename"), InstanceMethod<&Self::Remove>("remove"),
         InstanceMethod<&Self::OpenHandles>("openHandles"),
         InstanceMethod<&Self::SetExclusive>("setExclusive"),
         InstanceMethod<&Self::RevokeHandles>("revokeHandles"),
         InstanceMethod<&Self::DropMappedPages>("dropMappedPages"),
         InstanceMethod<&Self::UnmountAsync>("unmount")}));
  }

  explicit FuseSessionHandle(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<FuseSessionHandle>(info),
        mount_(*info[0].As<Napi::External<std::shared_ptr<FuseMount>>>().Data()) {
    // Served until unmount(), whether or not JavaScript still holds the object.
    Ref();
    // At the end of the process, requests under way must not run into a library that is being
    // torn down.
    info.Env().AddCleanupHook([session = std::weak_ptr(mount_->session)] {
      if (const auto running = session.lock()) running->Park(kParkTimeout);
    });
  }

 private:
  Napi::Value MountPoint(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), mount_->mount_point);
  }

  Napi::Value Finish(Napi::Env env, const Status& status) {
    return status.ok() ? env.Undefined() : ThrowFault(env, status);
  }

  Napi::Value Add(const Napi::CallbackInfo& info) {
    fuse::FileSpec spec = SpecOf(info[0].As<Napi::Object>());
    const Status checked = CheckSpec(spec);
    return Finish(info.Env(), checked.ok() ? mount_->tree->Add(std::move(spec)) : checked);
  }

  Napi::Value Rename(const Napi::CallbackInfo& info) {
    const std::string name = StringOf(info[1]);
    if (!IsFileName(name)) {
      return ThrowFault(info.Env(),
                        Status::Error(Code::kInvalidArgument, "'" + name + "' is no file name"));
    }
    return Finish(info.Env(), mount_->tree->Rename(StringOf(info[0]), name));
  }

  Napi::Value Remove(const Napi::CallbackInfo& info) {
    return Finish(info.Env(), mount_->tree->Remove(StringOf(info[0])));
  }

  Napi::Value OpenHandles(const Napi::CallbackInfo& info) {
    const fuse::HandleCounts counts = mount_->tree->OpenHandles(StringOf(info[0]));
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("own", counts.own);
    result.Set("others", counts.others);
    return result;
  }

  Napi::Value SetExclusive(const Napi::CallbackInfo& info) {
    return Finish(info.Env(), mount_->tree->SetExclusive(StringOf(info[0]), BoolOf(info[1])));
  }

  Napi::Value RevokeHandles(const Napi::CallbackInfo& info) {
    const bool own = StringOf(info[1]) == "own";
    mount_->tree->Revoke(StringOf(info[0]),
                         own ? fuse::HandleOwner::kOwn : fuse::HandleOwner::kAll);
    return info.Env().Undefined();
  }

  Napi::Value DropMappedPages(const Napi::CallbackInfo& info) {
    return RunOnThread(info.Env(), [mount = mount_, id = StringOf(info[0])] {
      const uint64_t node_id = mount->tree->NodeIdOf(id);
      if (node_id == 0) return Status::Error(Code::kNotFound, "disk " + id + " is not exported");
      return mount->session->InvalidatePages(node_id);
    });
  }

  Napi::Value UnmountAsync(const Napi::CallbackInfo& info) {
    if (!unmounting_) {
      unmounting_ = true;
      Unref();
    }
    return RunOnThread(info.Env(), [mount = mount_] { return Unmount(*mount); });
  }

  const std::shared_ptr<FuseMount> mount_;
  bool unmounting_ = false;
};

Napi::Value MountFuseAsync(const Napi::CallbackInfo& info) {
  const Napi::Object options = info[0].As<Napi::Object>();
  const int64_t threads = IntegerOf(options.Get("threads"));
  if (threads < 1 || threads > kMaxThreads) {
    return Rejected(info.Env(), Status::Error(Code::kInvalidArgument,
                                              "the number of FUSE threads is not 1 to 16"));
  }
  auto mount = std::make_shared<FuseMount>();
  mount->mount_point = StringOf(options.Get("mountPoint"));
  FuseMountRequest request = {.directory = mount->mount_point,
                              .descriptors = static_cast<int>(threads),
                              .allow_other = BoolOf(options.Get("allowOther")),
                              .max_read_bytes = fuse::kMaxPayloadBytes};
  return RunOnThread(
      info.Env(), [request = std::move(request), mount] { return Mount(request, mount.get()); },
      [mount](Napi::Env env) -> Napi::Value {
        std::shared_ptr<FuseMount> shared = mount;
        return FuseSessionHandle::Constructor().New(
            {Napi::External<std::shared_ptr<FuseMount>>::New(env, &shared)});
      });
}

void InitFuseBinding(Napi::Env env, Napi::Object exports) {
  FuseSessionHandle::Define(env);
  exports.Set("mountFuse", Napi::Function::New(env, MountFuseAsync));
}

}  // namespace

KEYVOL_BINDING(InitFuseBinding);

}  // namespace keyvol
