#include "container/fault_rules.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace keyvol {

namespace {

struct Rule {
  BlockOp op;
  BlockFault fault;
};

std::mutex rules_mutex;
std::vector<Rule> rules;

bool Concerns(const Rule& rule, BlockOp op, const std::string& path) {
  return rule.op == op && path.find(rule.fault.path_contains) != std::string::npos;
}

// The first rule that is due; a rule that is not sticky is used up by that.
std::optional<BlockFault> TakeDueFault(BlockOp op, const std::string& path) {
  const std::lock_guard lock(rules_mutex);
  std::optional<BlockFault> due;
  for (auto rule = rules.begin(); rule != rules.end();) {
    if (!Concerns(*rule, op, path)) {
      ++rule;
    } else if (rule->fault.after_calls > 0) {
      --rule->fault.after_calls;
      ++rule;
    } else if (due) {
      ++rule;
    } else {
      due = rule->fault;
      rule = rule->fault.sticky ? rule + 1 : rules.erase(rule);
    }
  }
  block_faults_armed = !rules.empty();
  return due;
}

}  // namespace

std::atomic<bool> block_faults_armed = false;

Status ApplyBlockFaults(BlockOp op, const std::string& path, const std::string& what) {
  const std::optional<BlockFault> due = TakeDueFault(op, path);
  if (!due) return Status::Ok();
  std::this_thread::sleep_for(std::chrono::milliseconds(due->delay_ms));
  if (due->error_number == 0) return Status::Ok();
  return Status::FromErrno(due->error_number, what);
}

void InjectBlockFault(BlockOp op, const BlockFault& fault) {
  const std::lock_guard lock(rules_mutex);
  rules.push_back({op, fault});
  block_faults_armed = true;
}

void ClearBlockFaults() {
  const std::lock_guard lock(rules_mutex);
  rules.clear();
  block_faults_armed = false;
}

}  // namespace keyvol
