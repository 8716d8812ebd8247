// A container's header as libcryptsetup reads it from a private copy, so that the file itself is
// never written to.
#ifndef KEYVOL_CONTAINER_LOADED_HEADER_H_
#define KEYVOL_CONTAINER_LOADED_HEADER_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "container/container.h"
#include "container/crypt_device.h"
#include "container/private_file.h"
#include "status.h"

namespace keyvol {

struct LoadedHeader {
  // Outlives the device that reads it. Once loaded, both its copies are good: libcryptsetup has
  // rewritten a bad one.
  PrivateFile file;
  std::unique_ptr<CryptDevice> device;
  ContainerHeader facts;
  std::vector<std::byte> given;  // what stands in the container before its data
  CopyState first = CopyState::kGood;
  CopyState second = CopyState::kGood;
};

// Loads the header and checks it against every rule, as ReadContainerHeader says.
Status LoadHeader(const std::string& path, LoadedHeader* loaded);

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_LOADED_HEADER_H_
