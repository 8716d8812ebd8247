#include "container/container.h"
#include "container/loaded_header.h"

namespace keyvol {

Status ReadContainerHeader(const std::string& path, ContainerHeader* header) {
  LoadedHeader loaded;
  RETURN_IF_ERROR(LoadHeader(path, &loaded));
  *header = loaded.facts;
  return Status::Ok();
}

Status VerifyContainerKey(const std::string& path, const Secret& data_key) {
  LoadedHeader loaded;
  RETURN_IF_ERROR(LoadHeader(path, &loaded));
  const int result = crypt_volume_key_verify(loaded.device->get(),
                                             reinterpret_cast<const char*>(data_key.bytes().data()),
                                             data_key.length_bytes());
  if (result < 0) {
    return Status::Error(Code::kIntegrity, "the data key is not the one of container " + path);
  }
  return Status::Ok();
}

}  // namespace keyvol
