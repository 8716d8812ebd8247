// INIT, the first request of a FUSE connection: which protocol, sizes and features both sides use.
#ifndef KEYVOL_TRANSPORT_FUSE_NEGOTIATION_H_
#define KEYVOL_TRANSPORT_FUSE_NEGOTIATION_H_

#include "status.h"

namespace keyvol::fuse {

// Reads the INIT of a fresh mount from its descriptor and answers it. Every other request waits in
// the kernel until then. kUnsupported when the kernel's protocol is too old.
Status AnswerInit(int fd);

}  // namespace keyvol::fuse

#endif  // KEYVOL_TRANSPORT_FUSE_NEGOTIATION_H_
