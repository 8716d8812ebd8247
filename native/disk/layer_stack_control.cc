// Opening, closing, and what happens while no request runs.
#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>

#include "disk/layer_stack.h"

namespace keyvol {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kRestorePatience{10};

uint64_t MsSince(Clock::time_point started) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - started).count();
}

Status MakeCiphers(const std::vector<std::shared_ptr<Secret>>& keys,
                   std::vector<std::unique_ptr<XtsCipher>>* ciphers) {
  for (const std::shared_ptr<Secret>& key : keys) {
    RETURN_IF_ERROR(XtsCipher::Create(*key, &ciphers->emplace_back()));
  }
  return Status::Ok();
}

}  // namespace

Status LayerStack::Open(const StackOptions& options, std::shared_ptr<LayerStack>* stack) {
  if (options.layers.empty()) {
    return Status::Error(Code::kInvalidArgument, "a disk needs at least one layer");
  }
  std::shared_ptr<LayerStack> opened(new LayerStack(options.writable));
  for (const LayerOptions& layer : options.layers) {
    const bool takes_writes = options.writable && opened->layers_.empty();
    std::shared_ptr<Layer> next;
    RETURN_IF_ERROR(Layer::Open(layer, takes_writes, &next));
    opened->layers_.push_back(std::move(next));
  }
  opened->LayersChanged();
  if (options.closed) opened->OpenedClosed(*options.closed);
  *stack = std::move(opened);
  return Status::Ok();
}

// As after a cut-off that has flushed everything.
void LayerStack::OpenedClosed(Closing closing) {
  gate_.Close(closing);
  cut_off_ = CutOffState::kEnded;
  report_ = std::make_shared<std::optional<CutOffReport>>(CutOffReport{.flushed = true});
}

void LayerStack::LayersChanged() {
  visible_sectors_.clear();
  uint64_t visible = layers_.front()->sectors();
  for (const std::shared_ptr<Layer>& layer : layers_) {
    visible = std::min(visible, layer->sectors());
    visible_sectors_.push_back(visible);
  }
  size_bytes_ = layers_.front()->sectors() * kSectorBytes;
}

void LayerStack::DropKeys() {
  if (staged_top_ != nullptr) staged_top_->SetCipher(nullptr);
  for (const std::shared_ptr<Layer>& layer : layers_) layer->SetCipher(nullptr);
}

Status LayerStack::SyncTop() {
  std::lock_guard sync(sync_mutex_);
  const uint64_t changes = changes_;
  if (durable_changes_ == changes) return Status::Ok();
  RETURN_IF_ERROR(CheckWritable());
  std::shared_ptr<Layer> top;
  {
    std::lock_guard state(state_mutex_);
    top = layers_.front();
  }
  const Status status = top->Sync();
  if (!status.ok()) {
    // The kernel calls the lost pages clean; asking again would answer ok.
    poisoned_ = true;
    top->DropCache();
    return status;
  }
  // Not lost yet, and not kept: the next flush asks again.
  RETURN_IF_ERROR(top->CheckInPlace());
  durable_changes_ = changes;
  return Status::Ok();
}

Status LayerStack::Hold() {
  std::lock_guard control(control_mutex_);
  if (space_.since_ms() != 0) {
    return Status::Error(Code::kNoSpace,
                         "the disk waits for space; free some on the filesystem of its containers");
  }
  if (!gate_.Hold()) {
    if (gate_.state() == Gate::State::kClosed) return GateClosedStatus();
    return Status::Error(Code::kBusy, "the disk is held already");
  }
  gate_.Drain();
  Status status = writable_ ? CheckWritable() : Status::Ok();
  if (status.ok()) status = SyncTop();
  std::lock_guard state(state_mutex_);
  if (!status.ok()) {
    gate_.Resume();
    return status;
  }
  if (gate_.state() == Gate::State::kClosed) return GateClosedStatus();
  if (gate_.state() == Gate::State::kOpen) {
    return Status::Error(Code::kBusy, "the disk was resumed before it was held");
  }
  hold_granted_ = true;
  return Status::Ok();
}

Status LayerStack::StageTop(const LayerOptions& layer) {
  std::lock_guard control(control_mutex_);
  if (!writable_) return Status::Error(Code::kReadOnly, "the disk is read-only");
  std::shared_ptr<Layer> top;
  RETURN_IF_ERROR(Layer::Open(layer, true, &top));
  std::lock_guard state(state_mutex_);
  if (closed_) return GateClosedStatus();
  if (!hold_granted_) return Status::Error(Code::kBusy, "the disk is not held");
  if (gate_.state() == Gate::State::kClosed) top->SetCipher(nullptr);
  layers_.reserve(layers_.size() + 1);
  visible_sectors_.reserve(layers_.size() + 1);
  staged_top_ = std::move(top);
  return Status::Ok();
}

Status LayerStack::SwapTop() {
  std::lock_guard state(state_mutex_);
  if (closed_) return GateClosedStatus();
  if (staged_top_ == nullptr) return Status::Error(Code::kBusy, "no layer is staged");
  if (gate_.state() == Gate::State::kClosed) staged_top_->SetCipher(nullptr);
  layers_.front()->Freeze();
  layers_.insert(layers_.begin(), std::move(staged_top_));
  LayersChanged();
  return Status::Ok();
}

void LayerStack::Resume() {
  std::lock_guard state(state_mutex_);
  hold_granted_ = false;
  staged_top_ = nullptr;
  gate_.Resume();
}

CutOffReport LayerStack::CutOff(std::chrono::milliseconds deadline, Closing closing) {
  const Clock::time_point started = Clock::now();
  std::unique_lock state(state_mutex_);
  if (!closed_) {
    gate_.Close(closing);
    space_.Wake();
  }
  if (cut_off_ == CutOffState::kNone && !closed_) {
    cut_off_ = CutOffState::kRunning;
    report_ = std::make_shared<std::optional<CutOffReport>>();
    // The thread may outlive this call, and the caller's interest in the disk.
    try {
      std::thread([self = shared_from_this(), started, report = report_] {
        self->FinishCutOff(started, report);
      }).detach();
    } catch (const std::system_error&) {
      // No thread to be had: keep the order of things rather than the deadline.
      state.unlock();
      FinishCutOff(started, report_);
      state.lock();
    }
  }
  const ReportSlot report = report_;
  cut_off_changed_.wait_until(state, started + deadline, [&] { return report->has_value(); });
  if (report->has_value()) return **report;
  // Who waits is told nothing, so a flush that ends late, but well, loses nothing.
  if (closing != Closing::kRefuse) return CutOffReport{false, true, MsSince(started)};
  // Nobody can lose writes on a disk that takes none.
  if (writable_) poisoned_ = true;
  *report = CutOffReport{!writable_, false, MsSince(started)};
  return **report;
}

void LayerStack::FinishCutOff(Clock::time_point started, const ReportSlot& report) {
  gate_.Drain();
  {
    std::lock_guard state(state_mutex_);
    DropKeys();
  }
  const bool synced = SyncTop().ok();
  DropPoisonedCache();
  std::lock_guard state(state_mutex_);
  if (!report->has_value()) *report = CutOffReport{synced && !poisoned_, false, MsSince(started)};
  cut_off_ = CutOffState::kEnded;
  cut_off_changed_.notify_all();
}

Status LayerStack::FlushedByCutOff() {
  std::unique_lock state(state_mutex_);
  const auto ended = [this] { return closed_ || cut_off_ != CutOffState::kRunning; };
  if (NoWaiting::IsOn() && !ended()) {
    return Status::Error(Code::kWouldWait, "the disk is being flushed");
  }
  if (!Interruptible::Wait(cut_off_changed_, state, ended)) return Interruptible::Interrupted();
  if (closed_) return GateClosedStatus();
  if (!writable_) return Status::Ok();
  RETURN_IF_ERROR(CheckWritable());
  const bool flushed = report_ && report_->has_value() && (*report_)->flushed;
  return flushed ? Status::Ok() : Status::Error(Code::kIo, "the disk's last flush failed");
}

// Not under state_mutex_: on slow storage it waits, and whoever asks for Stats would with it.
void LayerStack::DropPoisonedCache() {
  std::shared_ptr<Layer> top;
  {
    std::lock_guard state(state_mutex_);
    if (poisoned_) top = layers_.front();
  }
  if (top) top->DropCache();
}

Status LayerStack::CheckRestorable(std::unique_lock<std::mutex>& state, size_t key_count) {
  if (cut_off_ == CutOffState::kNone && !closed_) {
    return Status::Error(Code::kBusy, "the disk's gate is not closed");
  }
  const auto ended = [this] { return cut_off_ != CutOffState::kRunning; };
  if (!cut_off_changed_.wait_for(state, kRestorePatience, ended)) {
    return Status::Error(Code::kBusy, "the requests that ran when the disk was cut off go on");
  }
  if (closed_) return Status::Error(Code::kGateClosed, "the disk is detached");
  if (key_count == layers_.size()) return Status::Ok();
  return Status::Error(Code::kInvalidArgument, "the disk needs one key for each of its layers");
}

Status LayerStack::Restore(const std::vector<std::shared_ptr<Secret>>& keys) {
  std::lock_guard control(control_mutex_);
  std::vector<std::unique_ptr<XtsCipher>> ciphers;
  RETURN_IF_ERROR(MakeCiphers(keys, &ciphers));
  std::unique_lock state(state_mutex_);
  RETURN_IF_ERROR(CheckRestorable(state, keys.size()));
  for (size_t i = 0; i < layers_.size(); ++i) layers_[i]->SetCipher(std::move(ciphers[i]));
  cut_off_ = CutOffState::kNone;
  hold_granted_ = false;
  gate_.Open();
  return Status::Ok();
}

Status LayerStack::Close() {
  {
    std::unique_lock state(state_mutex_);
    if (closed_) {
      cut_off_changed_.wait(state, [this] { return close_status_.has_value(); });
      return *close_status_;
    }
    closed_ = true;
    gate_.Close(Closing::kRefuse);
    space_.Wake();
    cut_off_changed_.notify_all();
    if (!report_) report_ = std::make_shared<std::optional<CutOffReport>>();
    cut_off_changed_.wait(state, [this] { return cut_off_ != CutOffState::kRunning; });
  }
  gate_.Drain();
  {
    std::lock_guard state(state_mutex_);
    DropKeys();
  }
  const Status status = SyncTop();
  std::lock_guard control(control_mutex_);
  std::lock_guard state(state_mutex_);
  layers_.clear();
  if (!report_->has_value()) *report_ = CutOffReport{status.ok(), false, 0};
  close_status_ = status;
  cut_off_changed_.notify_all();
  return status;
}

uint64_t LayerStack::allocated_bytes() const {
  std::lock_guard state(state_mutex_);
  return layers_.empty() ? 0 : layers_.front()->allocated_bytes();
}

LayerStack::Operations LayerStack::ReadOperations() const {
  return {reads_.Read(), writes_.Read(), flushes_.Read(), discards_.Read()};
}

StackStats LayerStack::Stats() const {
  std::lock_guard state(state_mutex_);
  return {gate_.state(),    poisoned_,
          layers_.size(),   layers_.empty() ? 0 : layers_.front()->allocated_bytes(),
          read_bytes_,      written_bytes_,
          space_.since_ms()};
}

}  // namespace keyvol
