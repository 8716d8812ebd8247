// A secret that another process has, for instance a passphrase that someone types there.
#ifndef KEYVOL_SECRET_RECEIVE_H_
#define KEYVOL_SECRET_RECEIVE_H_

#include <memory>
#include <string>

#include "secret/secret.h"
#include "status.h"

namespace keyvol {

// Connects to the Unix stream socket at `path` and reads all that comes until its end straight into
// secret memory: 1 to kMostReceivedBytes bytes. kInvalidArgument when there are none or more, or
// when they do not come within kReceiveWithinMs.
inline constexpr size_t kMostReceivedBytes = 255;
inline constexpr int kReceiveWithinMs = 5000;
Status ReceiveSecret(const std::string& path, std::shared_ptr<Secret>* secret);

}  // namespace keyvol

#endif  // KEYVOL_SECRET_RECEIVE_H_
