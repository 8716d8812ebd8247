#include "binding/async.h"

#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "binding/fault.h"
#include "binding/registry.h"

namespace keyvol {

namespace {

// Whether JavaScript is still there to be told. Node frees its end of a Channel with the
// environment, whoever still holds the other.
struct Environment {
  std::mutex mutex;
  bool is_alive = true;
};

// Each JavaScript environment has a thread of its own.
thread_local std::shared_ptr<Environment> this_environment;

struct Job {
  explicit Job(Napi::Env env) : deferred(Napi::Promise::Deferred::New(env)) {}

  Napi::Promise::Deferred deferred;
  std::function<Status()> work;
  std::function<Napi::Value(Napi::Env)> result;
  Status status = Status::Ok();
};

void Settle(Napi::Env env, Job& job) {
  if (!job.status.ok()) {
    job.deferred.Reject(FaultOf(env, job.status));
    return;
  }
  job.deferred.Resolve(job.result ? job.result(env) : env.Undefined());
}

// Called on the event loop; without an env when that has ended, and then nobody waits any more.
void SettleAndDelete(Napi::Env env, Napi::Function, std::nullptr_t*, Job* raw_job) {
  const std::unique_ptr<Job> job(raw_job);
  if (env == nullptr) return;
  Napi::HandleScope scope(env);
  Settle(env, *job);
}

using Channel = Napi::TypedThreadSafeFunction<std::nullptr_t, Job, SettleAndDelete>;

void RunJob(std::shared_ptr<Environment> environment, Channel channel, Job* raw_job) {
  std::unique_ptr<Job> job(raw_job);
  job->status = job->work();
  job->work = nullptr;
  const std::lock_guard lock(environment->mutex);
  if (!environment->is_alive) return;
  // The queue has no limit, so that this does not block; it fails once the environment is ending.
  if (channel.BlockingCall(job.get()) == napi_ok) static_cast<void>(job.release());
  channel.Release();
}

void InitAsync(Napi::Env env, Napi::Object) {
  this_environment = std::make_shared<Environment>();
  env.AddCleanupHook([environment = this_environment] {
    const std::lock_guard lock(environment->mutex);
    environment->is_alive = false;
  });
}

}  // namespace

Napi::Value RunOnThread(Napi::Env env, std::function<Status()> work,
                        std::function<Napi::Value(Napi::Env)> result) {
  auto job = std::make_unique<Job>(env);
  const Napi::Promise promise = job->deferred.Promise();
  job->work = std::move(work);
  job->result = std::move(result);
  Channel channel = Channel::New(env, "keyvol", 0, 1);
  try {
    std::thread(RunJob, this_environment, channel, job.get()).detach();
    job.release();
  } catch (const std::system_error&) {
    job->status = Status::Error(Code::kNoSpace, "no thread is left for the work");
    Settle(env, *job);
    channel.Release();
  }
  return promise;
}

Napi::Value Rejected(Napi::Env env, const Status& status) {
  const auto deferred = Napi::Promise::Deferred::New(env);
  deferred.Reject(FaultOf(env, status));
  return deferred.Promise();
}

KEYVOL_BINDING(InitAsync);

}  // namespace keyvol
