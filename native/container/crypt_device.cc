#include "container/crypt_device.h"

#include <cstring>

namespace keyvol {

namespace {

std::mutex library_mutex;

void Ignore(int, const char*, void*) {}

}  // namespace

Status CryptDevice::Open(const PrivateFile& file, std::unique_ptr<CryptDevice>* device) {
  // Not make_unique: the constructor is private.
  std::unique_ptr<CryptDevice> opened(new CryptDevice());
  opened->only_one_ = std::unique_lock(library_mutex);
  crypt_set_log_callback(nullptr, Ignore, nullptr);
  // Nobody else can see a private file, so that there is nothing to lock.
  crypt_metadata_locking(nullptr, 0);
  const int result = crypt_init(&opened->device_, file.path().c_str());
  if (result < 0) return Status::FromErrno(-result, "start libcryptsetup");
  crypt_set_log_callback(opened->device_, Log, opened.get());
  *device = std::move(opened);
  return Status::Ok();
}

CryptDevice::~CryptDevice() { crypt_free(device_); }

Status CryptDevice::Failure(Code code, const std::string& what, int result) const {
  char text[128];
  const std::string reason =
      last_error_.empty() ? strerror_r(-result, text, sizeof text) : last_error_;
  return Status::Error(code, what + ": " + reason, -result);
}

void CryptDevice::Log(int level, const char* message, void* device) {
  if (level != CRYPT_LOG_ERROR) return;
  std::string text(message);
  while (!text.empty() && (text.back() == '\n' || text.back() == '.')) text.pop_back();
  static_cast<CryptDevice*>(device)->last_error_ = text;
}

}  // namespace keyvol
