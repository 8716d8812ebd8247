#include <fcntl.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <vector>

#include "container/container.h"
#include "container/crypt_device.h"
#include "container/header_copies.h"
#include "container/header_format.h"
#include "container/header_rules.h"
#include "container/private_file.h"
#include "file_io.h"

namespace keyvol {

namespace {

// Both header copies of the new container. libcryptsetup also fills the keyslots area with noise,
// to hide what stood there; in a new file nothing did, and a hole takes no space.
Status MakeHeader(const ContainerOptions& options, const Secret& data_key,
                  std::vector<std::byte>* header) {
  PrivateFile file;
  RETURN_IF_ERROR(PrivateFile::Create(kDataOffsetBytes + options.size_bytes, &file));
  std::unique_ptr<CryptDevice> device;
  RETURN_IF_ERROR(CryptDevice::Open(file, &device));
  const std::string what = "format container " + options.path;
  // In memory: what fails here is for want of memory or of descriptors, as the errno says.
  if (const int result = FormatHeader(device->get(), options.layer_id.c_str(), data_key);
      result < 0) {
    return Status::FromErrno(-result, what);
  }
  const int token =
      crypt_token_json_set(device->get(), CRYPT_ANY_TOKEN, options.token_json.c_str());
  if (token < 0) return device->Failure(Code::kInvalidArgument, what, token);
  header->resize(2 * kHeaderCopyBytes);
  return file.Read(0, *header);
}

Status GiveSize(int fd, const ContainerOptions& options) {
  const auto data_bytes = static_cast<off_t>(options.size_bytes);
  const auto offset_bytes = static_cast<off_t>(kDataOffsetBytes);
  if (ftruncate(fd, offset_bytes + data_bytes) != 0) {
    return Status::FromErrno(errno, "give " + options.path + " its size");
  }
  if (!options.preallocate || fallocate(fd, 0, offset_bytes, data_bytes) == 0) return Status::Ok();
  if (errno == EOPNOTSUPP) {
    return Status::Error(Code::kUnsupported, "the filesystem of " + options.path +
                                                 " cannot reserve space for a preallocated disk");
  }
  return Status::FromErrno(errno, "reserve the space of " + options.path);
}

Status FillFile(int fd, const ContainerOptions& options, const Secret& data_key) {
  // The size first: it is what fails most, and at once.
  RETURN_IF_ERROR(GiveSize(fd, options));
  std::vector<std::byte> header;
  RETURN_IF_ERROR(MakeHeader(options, data_key, &header));
  RETURN_IF_ERROR(WriteWhole(fd, 0, header, "write the header of " + options.path));
  if (fsync(fd) != 0) return Status::FromErrno(errno, "sync " + options.path);
  return SyncParentDirectory(options.path);
}

// Nothing is created that ReadContainerHeader would refuse.
Status CheckToken(const ContainerOptions& options) {
  TokenFacts token;
  const Status parsed = ParseToken(options.token_json, "container " + options.path, &token);
  if (!parsed.ok()) return Status::Error(Code::kInvalidArgument, parsed.message());
  if (token.layer_id != options.layer_id || token.size_bytes != options.size_bytes) {
    return Status::Error(Code::kInvalidArgument, "the token for container " + options.path +
                                                     " names another layer or another size");
  }
  return Status::Ok();
}

}  // namespace

Status CreateContainer(const ContainerOptions& options, const Secret& data_key) {
  assert(options.size_bytes > 0 && options.size_bytes % kContainerSectorBytes == 0);
  RETURN_IF_ERROR(CheckDataKey(data_key));
  RETURN_IF_ERROR(CheckToken(options));
  UniqueFd fd;
  RETURN_IF_ERROR(CreateNewFile(options.path, &fd));
  const Status filled = FillFile(fd.get(), options, data_key);
  if (!filled.ok()) unlink(options.path.c_str());
  return filled;
}

}  // namespace keyvol
