// What every part that touches files needs: careful opens and whole transfers.
#ifndef KEYVOL_FILE_IO_H_
#define KEYVOL_FILE_IO_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "status.h"
#include "unique_fd.h"

namespace keyvol {

// Opens an existing regular file, never through a symbolic link at its end, close-on-exec, and
// without waiting for the far end of a pipe. `not_regular` is the code for anything else than a
// regular file.
Status OpenRegularFile(const std::string& path, int flags, Code not_regular, UniqueFd* fd);

// A new file of mode 0600 whatever the umask, open for reading and writing. kExists if `path` is
// there already.
Status CreateNewFile(const std::string& path, UniqueFd* fd);

// Whole transfers at an offset: short ones and EINTR are repeated. `what` names the operation and
// the thing. *read_bytes is less than out.size() only where the file ends; what ReadWhole finds
// past its end is zeros.
Status ReadUpTo(int fd, uint64_t offset_bytes, std::span<std::byte> out, const std::string& what,
                size_t* read_bytes);
Status ReadWhole(int fd, uint64_t offset_bytes, std::span<std::byte> out, const std::string& what);
Status WriteWhole(int fd, uint64_t offset_bytes, std::span<const std::byte> data,
                  const std::string& what);

struct Extent {
  uint64_t start_bytes;
  uint64_t end_bytes;
};

// The first run of data at or after an offset (lseek(2), SEEK_DATA), none where only a hole or the
// end is left. Where the system cannot tell, all up to 2^63 is data. Moves the descriptor's
// position.
Status NextData(int fd, uint64_t offset_bytes, std::optional<Extent>* extent);

// Makes the creation or removal of the file at `path` durable.
Status SyncParentDirectory(const std::string& path);

}  // namespace keyvol

#endif  // KEYVOL_FILE_IO_H_
