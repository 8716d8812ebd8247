#include "status.h"

#include <cerrno>
#include <cstring>

namespace keyvol {

namespace {

Code CodeOfErrno(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return Code::kNoSpace;
    case ENOENT:
      return Code::kNotFound;
    case EEXIST:
      return Code::kExists;
    case EBUSY:
      return Code::kBusy;
    case EROFS:
      return Code::kReadOnly;
    case EACCES:
    case EPERM:
      return Code::kPermission;
    default:
      return Code::kIo;
  }
}

}  // namespace

Status Status::FromErrno(int error_number, const std::string& what) {
  char text[128];
  return Status(CodeOfErrno(error_number),
                what + ": " + strerror_r(error_number, text, sizeof text), error_number);
}

int Status::ToErrno() const {
  switch (code_) {
    case Code::kOk:
      return 0;
    case Code::kNoSpace:
      return ENOSPC;
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
      return EINVAL;
    case Code::kReadOnly:
      return EROFS;
    case Code::kUnsupported:
      return EOPNOTSUPP;
    case Code::kNotFound:
      return ENOENT;
    case Code::kExists:
      return EEXIST;
    case Code::kBusy:
      return EBUSY;
    case Code::kPermission:
      return EACCES;
    case Code::kInterrupted:
      return EINTR;
    default:
      return EIO;
  }
}

}  // namespace keyvol
