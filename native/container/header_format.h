// The LUKS2 layout of all that we make (DESIGN: data at 1 MiB, aes-xts-plain64, sectors of 4096).
#ifndef KEYVOL_CONTAINER_HEADER_FORMAT_H_
#define KEYVOL_CONTAINER_HEADER_FORMAT_H_

#include "container/crypt_device.h"
#include "secret/secret.h"
#include "status.h"

namespace keyvol {

inline constexpr uint32_t kContainerSectorBytes = 4096;

// kInvalidArgument unless it has 64 bytes with different halves.
Status CheckDataKey(const Secret& data_key);

// Formats a fresh private file. `uuid` may be null, for a random one. Answers what libcryptsetup
// answers: 0, or a negative errno.
int FormatHeader(crypt_device* device, const char* uuid, const Secret& data_key);

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_HEADER_FORMAT_H_
