// The daemon's side of sd_notify(3), without libsystemd.
#ifndef KEYVOL_HOST_SERVICE_MANAGER_H_
#define KEYVOL_HOST_SERVICE_MANAGER_H_

#include <string>

#include "status.h"

namespace keyvol {

// Sends `message` ("READY=1") to the socket that NOTIFY_SOCKET names, never waiting for it.
// *sent is false, and the status ok, where no service manager listens.
Status NotifyServiceManager(const std::string& message, bool* sent);

}  // namespace keyvol

#endif  // KEYVOL_HOST_SERVICE_MANAGER_H_
