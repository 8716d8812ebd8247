#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <vector>

#include "container/container.h"
#include "container/header_copies.h"
#include "container/loaded_header.h"
#include "file_io.h"

namespace keyvol {

namespace {

using Bytes = std::span<const std::byte>;

constexpr size_t kCopiesBytes = 2 * kHeaderCopyBytes;

// Between the copies and the data a container without keyslots holds nothing.
std::optional<uint64_t> StrayByte(Bytes header) {
  const Bytes unused = header.subspan(kCopiesBytes);
  const auto stray = std::find_if(unused.begin(), unused.end(),
                                  [](std::byte byte) { return byte != std::byte{0}; });
  if (stray == unused.end()) return std::nullopt;
  return kCopiesBytes + static_cast<uint64_t>(stray - unused.begin());
}

// The place of the copy that libcryptsetup has rewritten in the private file.
size_t BadCopyOffset(const LoadedHeader& loaded) {
  return loaded.first == CopyState::kGood ? kHeaderCopyBytes : 0;
}

// The good copy is the one in the container, the other one is good as well.
Status CheckMended(const LoadedHeader& loaded, Bytes mended, const std::string& path) {
  const size_t good_offset = kHeaderCopyBytes - BadCopyOffset(loaded);
  HeaderCopies copies;
  RETURN_IF_ERROR(InspectHeaderCopies(mended, path, &copies));
  const Bytes good = mended.subspan(good_offset, kHeaderCopyBytes);
  if (copies.first == CopyState::kGood && copies.second == CopyState::kGood && SameHeader(mended) &&
      std::equal(good.begin(), good.end(), loaded.given.begin() + good_offset)) {
    return Status::Ok();
  }
  return Status::Error(Code::kUnsupported, "libcryptsetup does not mend the header of " + path);
}

Status CheckUnchanged(int fd, const LoadedHeader& loaded, const std::string& path) {
  std::vector<std::byte> now(kCopiesBytes);
  RETURN_IF_ERROR(ReadWhole(fd, 0, now, "read the header of " + path));
  if (std::equal(now.begin(), now.end(), loaded.given.begin())) return Status::Ok();
  return Status::Error(Code::kBusy, "the header of " + path + " is being changed");
}

// One write of the bad copy, wherever it is cut: until it is whole that copy stays bad.
Status WriteCopy(const std::string& path, const LoadedHeader& loaded, Bytes mended) {
  UniqueFd fd;
  RETURN_IF_ERROR(OpenRegularFile(path, O_RDWR, Code::kHeaderInvalid, &fd));
  RETURN_IF_ERROR(CheckUnchanged(fd.get(), loaded, path));
  const size_t offset = BadCopyOffset(loaded);
  RETURN_IF_ERROR(WriteWhole(fd.get(), offset, mended.subspan(offset, kHeaderCopyBytes),
                             "write a header copy of " + path));
  if (fdatasync(fd.get()) != 0) return Status::FromErrno(errno, "sync " + path);
  return Status::Ok();
}

}  // namespace

Status CheckContainerHeader(const std::string& path, HeaderCheck* check) {
  LoadedHeader loaded;
  RETURN_IF_ERROR(LoadHeader(path, &loaded));
  check->header = loaded.facts;
  check->first = loaded.first;
  check->second = loaded.second;
  check->copies_differ = loaded.facts.damaged_copies == 0 && !SameHeader(loaded.given);
  check->stray_offset_bytes = StrayByte(loaded.given);
  return Status::Ok();
}

Status RepairContainerHeader(const std::string& path) {
  {
    LoadedHeader loaded;
    RETURN_IF_ERROR(LoadHeader(path, &loaded));
    if (loaded.facts.damaged_copies == 0) return Status::Ok();
    std::vector<std::byte> mended(kCopiesBytes);
    RETURN_IF_ERROR(loaded.file.Read(0, mended));
    RETURN_IF_ERROR(CheckMended(loaded, mended, path));
    RETURN_IF_ERROR(WriteCopy(path, loaded, mended));
  }
  ContainerHeader header;
  RETURN_IF_ERROR(ReadContainerHeader(path, &header));
  if (header.damaged_copies == 0) return Status::Ok();
  return Status::Error(Code::kIo, "a header copy of " + path + " is bad also after it was written");
}

}  // namespace keyvol
