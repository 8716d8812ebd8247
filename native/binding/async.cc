#include "binding/async.h"

#include <memory>
#include <system_error>
#include <thread>
#include <utility>

#include "binding/fault.h"

namespace keyvol {

namespace {

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

void RunJob(Channel channel, Job* job) {
  job->status = job->work();
  job->work = nullptr;
  channel.BlockingCall(job);
  channel.Release();
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
    std::thread(RunJob, channel, job.get()).detach();
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

}  // namespace keyvol
