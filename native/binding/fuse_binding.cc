// `mountFuse` and the FuseSession of src/device/addon.ts.
#include <napi.h>
#include <poll.h>

#include <chrono>
#include <iterator>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "binding/arguments.h"
#include "binding/async.h"
#include "binding/fault.h"
#include "binding/handles.h"
#include "binding/registry.h"
#include "host/fuse_mount.h"
#include "host/packets.h"
#include "host/unix_socket.h"
#include "transport/fuse/holder_messages.h"
#include "transport/fuse/ledger.h"
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
constexpr milliseconds kHolderTimeout(10000);
constexpr milliseconds kForEver(1000LL * 86400 * 20);  // what poll(2) can wait

// A mount and what serves it, without JavaScript.
struct FuseMount {
  std::string mount_point;
  std::string holder_path;  // empty when the mount ends with this process
  UniqueFd holder;
  bool kept = false;  // it was mounted before, and requests may wait that nobody has answered
  std::shared_ptr<fuse::Ledger> ledger;
  std::shared_ptr<fuse::Tree> tree;
  std::shared_ptr<fuse::Session> session;
};

// A ledger and the mount's descriptors, in this order.
using FuseFds = std::vector<UniqueFd>;

Status MountHere(const FuseMountRequest& request, FuseFds* fds) {
  UniqueFd memory;
  RETURN_IF_ERROR(fuse::Ledger::Create(&memory));
  std::vector<UniqueFd> mount_fds;
  RETURN_IF_ERROR(MountFuse(request, &mount_fds));
  const Status status = fuse::AnswerInit(mount_fds.front().get());
  if (!status.ok()) static_cast<void>(UnmountFuse(request.directory));
  fds->push_back(std::move(memory));
  fds->insert(fds->end(), std::make_move_iterator(mount_fds.begin()),
              std::make_move_iterator(mount_fds.end()));
  return status;
}

Status AskHolder(const UniqueFd& holder, const std::string& message, std::span<const int> fds,
                 milliseconds timeout, Packet* answer) {
  RETURN_IF_ERROR(SendPacket(holder, message, fds));
  RETURN_IF_ERROR(ReceivePacket(holder, timeout, answer));
  const std::vector<std::string> fields = fuse::Fields(answer->bytes);
  return fields[0] == fuse::kFailed ? fuse::StatusOf(fields) : Status::Ok();
}

// On a connection of its own: what it waits for may take any time.
Status AskOnce(const std::string& holder_path, const std::vector<std::string>& fields,
               std::vector<std::string>* results = nullptr) {
  UniqueFd holder;
  RETURN_IF_ERROR(ConnectToUnixSocket(holder_path, SOCK_SEQPACKET, &holder));
  Packet answer;
  RETURN_IF_ERROR(AskHolder(holder, fuse::Joined(fields), {}, kForEver, &answer));
  const std::vector<std::string> done = fuse::Fields(answer.bytes);
  if (results != nullptr) results->assign(done.begin() + 1, done.end());
  return Status::Ok();
}

Status Claim(const FuseMountRequest& request, FuseMount* mount, FuseFds* fds) {
  RETURN_IF_ERROR(ConnectToUnixSocket(mount->holder_path, SOCK_SEQPACKET, &mount->holder));
  const std::string claim =
      fuse::Joined({fuse::kClaim, request.directory, std::to_string(request.descriptors),
                    request.allow_other ? "1" : "0", std::to_string(request.max_read_bytes)});
  Packet answer;
  RETURN_IF_ERROR(AskHolder(mount->holder, claim, {}, kHolderTimeout, &answer));
  mount->kept = answer.bytes == fuse::kKept;
  *fds = std::move(answer.fds);
  if (fds->size() >= 2) return Status::Ok();
  return Status::Error(Code::kInternal, "the holder's answer is not understood");
}

Status Mount(const FuseMountRequest& request, FuseMount* mount) {
  FuseFds fds;
  RETURN_IF_ERROR(mount->holder_path.empty() ? MountHere(request, &fds)
                                             : Claim(request, mount, &fds));
  RETURN_IF_ERROR(fuse::Ledger::Map(std::move(fds.front()), &mount->ledger));
  fds.erase(fds.begin());
  mount->tree = std::make_shared<fuse::Tree>(mount->ledger);
  RETURN_IF_ERROR(fuse::Session::Create(std::move(fds), mount->tree, &mount->session));
  if (!mount->kept) return Status::Ok();
  const Status status = mount->session->AskToResend();
  if (status.code() != Code::kUnsupported) return status;
  // Its requests would wait for ever: the holder finds it aborted, and whoever starts again mounts
  // afresh.
  RETURN_IF_ERROR(UnmountFuse(request.directory));
  return Status::Error(Code::kNotFound, "the mount could not be kept: " + status.message());
}

bool IsHeld(const FuseMount& mount) {
  struct pollfd holder = {.fd = mount.holder.get(), .events = 0, .revents = 0};
  return mount.holder.valid() && poll(&holder, 1, 0) >= 0 && (holder.revents & POLLHUP) == 0;
}

Status Unmount(FuseMount& mount) {
  if (IsHeld(mount)) {
    Packet answer;
    RETURN_IF_ERROR(AskHolder(mount.holder, fuse::kUnmount, {}, kHolderTimeout, &answer));
    unlink(mount.holder_path.c_str());
  } else {
    RETURN_IF_ERROR(UnmountFuse(mount.mount_point));
  }
  if (mount.session->WaitForEnd(kEndTimeout)) return Status::Ok();
  return Status::Error(Code::kBusy, mount.mount_point + " is detached, but still in use");
}

// A new holder gets what the one had that is gone.
Status Entrust(FuseMount& mount) {
  mount.holder.Reset();
  UniqueFd holder;
  RETURN_IF_ERROR(ConnectToUnixSocket(mount.holder_path, SOCK_SEQPACKET, &holder));
  std::vector<int> fds = mount.session->fds();
  fds.insert(fds.begin(), mount.ledger->fd());
  Packet answer;
  RETURN_IF_ERROR(AskHolder(holder, fuse::Joined({fuse::kAdopt, mount.mount_point}), fds,
                            kHolderTimeout, &answer));
  mount.holder = std::move(holder);
  return Status::Ok();
}

fuse::FileSpec SpecOf(const Napi::Object& file) {
  return {.id = StringOf(file.Get("id")),
          .directory = StringOf(file.Get("directory")) == "images" ? fuse::Directory::kImages
                                                                   : fuse::Directory::kVolumes,
          .name = StringOf(file.Get("name")),
          .disk = DiskOf(file.Get("device")),
          .read_only = BoolOf(file.Get("readOnly")),
          .cached = StringOf(file.Get("cache")) == "kernel",
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
        {InstanceAccessor<&Self::MountPoint>("mountPoint"), InstanceAccessor<&Self::IsKept>("kept"),
         InstanceAccessor<&Self::IsHeldNow>("isHeld"), InstanceMethod<&Self::Keep>("keep"),
         InstanceMethod<&Self::ServeNow>("serve"), InstanceMethod<&Self::SettleAsync>("settle"),
         InstanceMethod<&Self::FrozenAsync>("frozen"),
         InstanceMethod<&Self::EntrustAsync>("entrust"), InstanceMethod<&Self::ParkAsync>("park"),
         InstanceMethod<&Self::Add>("add"), InstanceMethod<&Self::Rename>("rename"),
         InstanceMethod<&Self::Remove>("remove"), InstanceMethod<&Self::OpenHandles>("openHandles"),
         InstanceMethod<&Self::SetExclusive>("setExclusive"),
         InstanceMethod<&Self::RevokeHandles>("revokeHandles"),
         InstanceMethod<&Self::DropMappedPages>("dropMappedPages"),
         InstanceMethod<&Self::DropInheritedPages>("dropInheritedPages"),
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

  Napi::Value IsKept(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), mount_->kept);
  }

  Napi::Value IsHeldNow(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), IsHeld(*mount_));
  }

  Napi::Value Keep(const Napi::CallbackInfo& info) {
    const Napi::Array ids = info[0].As<Napi::Array>();
    std::set<std::string> kept;
    for (uint32_t i = 0; i < ids.Length(); ++i) kept.insert(StringOf(ids.Get(i)));
    const std::vector<uint64_t> files = mount_->tree->NodeIds();
    mount_->tree->Keep(kept);
    Napi::Array numbers = Napi::Array::New(info.Env(), files.size());
    for (uint32_t i = 0; i < files.size(); ++i) {
      numbers.Set(i, Napi::Number::New(info.Env(), static_cast<double>(files[i])));
    }
    return numbers;
  }

  Napi::Value ServeNow(const Napi::CallbackInfo& info) {
    return Finish(info.Env(), mount_->session->Serve());
  }

  Napi::Value SettleAsync(const Napi::CallbackInfo& info) {
    return RunOnThread(info.Env(), [mount = mount_] {
      return mount->holder_path.empty() ? Status::Ok()
                                        : AskOnce(mount->holder_path, {fuse::kSettle});
    });
  }

  Napi::Value FrozenAsync(const Napi::CallbackInfo& info) {
    auto results = std::make_shared<std::vector<std::string>>();
    return RunOnThread(
        info.Env(),
        [mount = mount_, results] {
          return mount->holder_path.empty()
                     ? Status::Ok()
                     : AskOnce(mount->holder_path, {fuse::kFrozen}, results.get());
        },
        [results](Napi::Env env) {
          Napi::Array sources = Napi::Array::New(env);
          for (size_t i = 1; i < results->size(); i += 2) {
            sources.Set(static_cast<uint32_t>(i / 2), Napi::String::New(env, (*results)[i]));
          }
          return sources;
        });
  }

  Napi::Value EntrustAsync(const Napi::CallbackInfo& info) {
    return RunOnThread(info.Env(), [mount = mount_] { return Entrust(*mount); });
  }

  Napi::Value ParkAsync(const Napi::CallbackInfo& info) {
    return RunOnThread(info.Env(), [mount = mount_] {
      mount->session->Park(kParkTimeout);
      return Status::Ok();
    });
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

  Napi::Value DropInheritedPages(const Napi::CallbackInfo& info) {
    const auto node_id = static_cast<uint64_t>(IntegerOf(info[0]));
    return RunOnThread(
        info.Env(), [mount = mount_, node_id] { return mount->session->InvalidatePages(node_id); });
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
  if (options.Has("holder")) mount->holder_path = StringOf(options.Get("holder"));
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

Napi::Value AskHolderAsync(const Napi::CallbackInfo& info) {
  const Napi::Array words = info[1].As<Napi::Array>();
  std::vector<std::string> fields;
  for (uint32_t i = 0; i < words.Length(); ++i) fields.push_back(StringOf(words.Get(i)));
  auto results = std::make_shared<std::vector<std::string>>();
  return RunOnThread(
      info.Env(),
      [path = StringOf(info[0]), fields = std::move(fields), results] {
        return AskOnce(path, fields, results.get());
      },
      [results](Napi::Env env) {
        return Napi::String::New(env, results->empty() ? "" : results->front());
      });
}

void InitFuseBinding(Napi::Env env, Napi::Object exports) {
  FuseSessionHandle::Define(env);
  exports.Set("askHolder", Napi::Function::New(env, AskHolderAsync));
  exports.Set("mountFuse", Napi::Function::New(env, MountFuseAsync));
}

}  // namespace

KEYVOL_BINDING(InitFuseBinding);

}  // namespace keyvol
