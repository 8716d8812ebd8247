// The result of every native operation: success, or what went wrong in the words of src/fault.ts.
#ifndef KEYVOL_STATUS_H_
#define KEYVOL_STATUS_H_

#include <string>
#include <utility>

namespace keyvol {

// The faults native code can raise. binding/fault.cc maps each to its UPPER_SNAKE code.
enum class Code {
  kOk,
  kInternal,
  kInvalidArgument,
  kOutOfRange,
  kIo,          // the storage below failed; error_number() says how
  kNoSpace,     // ENOSPC, EDQUOT, EFBIG
  kWouldWait,   // the disk is held, and this thread does not wait (disk/gate.h)
  kGateClosed,  // the master key of this disk is not usable now
  kPoisoned,    // a flush failed; the disk must be attached again
  kReadOnly,
  kNotFound,
  kExists,
  kBusy,
  kIntegrity,       // an authentication tag or key digest does not match
  kHeaderInvalid,   // a container header that is damaged, foreign or edited
  kKeyFileInvalid,  // a key file of the wrong mode, owner or length
  kUnsupported,
  kPermission,
  kInterrupted,  // who asked has given up waiting (disk/gate.h)
};

class [[nodiscard]] Status {
 public:
  static Status Ok() { return Status(); }
  static Status Error(Code code, std::string message, int error_number = 0) {
    return Status(code, std::move(message), error_number);
  }
  // From errno: ENOSPC and its kin become kNoSpace, ENOENT kNotFound, EEXIST kExists, EBUSY kBusy,
  // EROFS kReadOnly, EACCES and EPERM kPermission, everything else kIo. `what` names the
  // operation and the thing, for example "write to layer 3f…".
  static Status FromErrno(int error_number, const std::string& what);

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }
  int error_number() const { return error_number_; }
  // The errno a kernel client gets: gate closed, poisoned and integrity are EIO.
  int ToErrno() const;

 private:
  Status() = default;
  Status(Code code, std::string message, int error_number)
      : code_(code), message_(std::move(message)), error_number_(error_number) {}
  Code code_ = Code::kOk;
  std::string message_;
  int error_number_ = 0;
};

#define RETURN_IF_ERROR(expression)                                           \
  do {                                                                        \
    if (::keyvol::Status keyvol_status = (expression); !keyvol_status.ok()) { \
      return keyvol_status;                                                   \
    }                                                                         \
  } while (false)

}  // namespace keyvol

#endif  // KEYVOL_STATUS_H_
