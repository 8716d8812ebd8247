// What the daemon needs of its own process beyond what Node offers: exclusive locks that die with
// it, and starting over with another environment.
#ifndef KEYVOL_HOST_PROCESS_H_
#define KEYVOL_HOST_PROCESS_H_

#include <string>
#include <vector>

#include "status.h"

namespace keyvol {

// Opens `path` (made with mode 0600 if missing, never through a symlink) and takes an exclusive
// flock(2) on it; *fd stays open until the process ends, and with it the lock. kBusy when another
// process holds it.
Status LockFile(const std::string& path, int* fd);

// Becomes `program` with these arguments (the first one its name) and "NAME=value" environment,
// keeping the process id and the standard streams. Returns only upon failure.
Status ReplaceProcess(const std::string& program, const std::vector<std::string>& arguments,
                      const std::vector<std::string>& environment);

}  // namespace keyvol

#endif  // KEYVOL_HOST_PROCESS_H_
