// Loop devices over regular files. Needs root.
#ifndef KEYVOL_HOST_LOOP_H_
#define KEYVOL_HOST_LOOP_H_

#include <cstdint>
#include <string>

#include "status.h"

namespace keyvol {

// Puts a free loop device on `path`, with direct I/O, so that the host keeps no second copy of the
// plaintext. Its sectors have 512 or 4096 bytes: with 4096 no I/O is smaller than a sector of the
// disk, but a filesystem of smaller blocks needs 512. *device becomes its name, "/dev/loop3".
// Blocks; safe against other users of loop devices.
Status AttachLoop(const std::string& path, bool read_only, uint32_t sector_bytes,
                  std::string* device);

// The device's size becomes that of the file, which has grown. Its file is that at `path`: the
// kernel learns a file's size when it is asked for.
Status GrowLoop(const std::string& device, const std::string& path);

// Takes the file off the device. A device still in use lets go of it with its last user.
// Already detached is ok.
Status DetachLoop(const std::string& device);

}  // namespace keyvol

#endif  // KEYVOL_HOST_LOOP_H_
