// Checks of what JavaScript passes in, where a wrong value must be a Fault of its own.
#ifndef KEYVOL_BINDING_CHECKS_H_
#define KEYVOL_BINDING_CHECKS_H_

#include <napi.h>

#include <cstddef>
#include <span>
#include <string>

#include "binding/fault.h"
#include "binding/handles.h"
#include "status.h"

namespace keyvol {

inline Status BadArgument(const std::string& message) {
  return Status::Error(Code::kInvalidArgument, message);
}

// The bytes of a Buffer; they belong to JavaScript and are good for the call only.
inline Status BufferArgument(const Napi::Value& value, const char* name,
                             std::span<std::byte>* bytes) {
  if (!value.IsBuffer()) return BadArgument(std::string(name) + " is not a buffer");
  const auto buffer = value.As<Napi::Buffer<uint8_t>>();
  *bytes = {reinterpret_cast<std::byte*>(buffer.Data()), buffer.Length()};
  return Status::Ok();
}

inline Status SecretArgument(const Napi::Value& value, const char* name,
                             std::shared_ptr<Secret>* secret) {
  *secret = SecretOf(value);
  if (!*secret) return BadArgument(std::string(name) + " is not a secret, or was released");
  return Status::Ok();
}

inline Status StringArgument(const Napi::Value& value, const char* name, std::string* text) {
  if (!value.IsString()) return BadArgument(std::string(name) + " is not a string");
  *text = value.As<Napi::String>().Utf8Value();
  return Status::Ok();
}

// A path: a string without a NUL, which would cut it short below.
inline Status PathArgument(const Napi::Value& value, const char* name, std::string* path) {
  RETURN_IF_ERROR(StringArgument(value, name, path));
  if (path->empty() || path->find('\0') != std::string::npos) {
    return BadArgument(std::string(name) + " is not a path");
  }
  return Status::Ok();
}

// A whole number that a double holds exactly.
inline Status IntegerArgument(const Napi::Value& value, const char* name, uint64_t* number) {
  constexpr double kMaxSafeInteger = 9007199254740991.0;
  const double given = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : -1;
  if (!(given >= 0 && given <= kMaxSafeInteger) ||
      given != static_cast<double>(static_cast<uint64_t>(given))) {
    return BadArgument(std::string(name) + " is not a safe, whole, positive number");
  }
  *number = static_cast<uint64_t>(given);
  return Status::Ok();
}

// In a binding function: leaves with the Fault thrown if `expression` is not ok.
#define THROW_IF_ERROR(env, expression)                                       \
  do {                                                                        \
    if (::keyvol::Status keyvol_status = (expression); !keyvol_status.ok()) { \
      return ::keyvol::ThrowFault(env, keyvol_status);                        \
    }                                                                         \
  } while (false)

}  // namespace keyvol

#endif  // KEYVOL_BINDING_CHECKS_H_
