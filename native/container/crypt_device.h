// libcryptsetup's context, freed and silent.
#ifndef KEYVOL_CONTAINER_CRYPT_DEVICE_H_
#define KEYVOL_CONTAINER_CRYPT_DEVICE_H_

#include <libcryptsetup.h>

#include <memory>
#include <mutex>
#include <string>

#include "container/private_file.h"
#include "status.h"

namespace keyvol {

// At most one is used at a time in the process (others wait): libcryptsetup promises nothing about
// threads. It prints nothing; what it would have printed goes into the Status.
class CryptDevice {
 public:
  static Status Open(const PrivateFile& file, std::unique_ptr<CryptDevice>* device);
  ~CryptDevice();
  CryptDevice(const CryptDevice&) = delete;
  CryptDevice& operator=(const CryptDevice&) = delete;

  crypt_device* get() { return device_; }
  // Does what takes long, on a device that is formatted, while others are used: who waits for one
  // of them may keep a key from being disabled. For adding a keyslot only, which touches nothing
  // but its own device: what libcryptsetup shares is its log and its start, and libdevmapper.
  template <typename Work>
  int WhileOthersGoOn(Work work) {
    only_one_.unlock();
    const int result = work();
    only_one_.lock();
    return result;
  }
  // The Status of a call that returned `result` (negative errno): `what`, and libcryptsetup's own
  // words if it had any.
  Status Failure(Code code, const std::string& what, int result) const;

 private:
  CryptDevice() = default;
  static void Log(int level, const char* message, void* device);

  std::unique_lock<std::mutex> only_one_;
  crypt_device* device_ = nullptr;
  std::string last_error_;
};

}  // namespace keyvol

#endif  // KEYVOL_CONTAINER_CRYPT_DEVICE_H_
