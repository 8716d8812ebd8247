// The process-wide rules behind InjectBlockFault.
#ifndef KEYVOL_CONTAINER_FAULT_RULES_H_
#define KEYVOL_CONTAINER_FAULT_RULES_H_

#include <atomic>
#include <string>

#include "container/block_file.h"
#include "status.h"

namespace keyvol {

// True while any rule stands. One relaxed load: this is all that the data path pays.
extern std::atomic<bool> block_faults_armed;

// Counts this call against the rules; waits or gives the failure that a rule asks for.
Status ApplyBlockFaults(BlockOp op, const std::string& path, const std::string& what);

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_FAULT_RULES_H_
