// Reads plain JavaScript arguments. TypeScript has checked their types, so a mismatch is our own
// bug: it reads as an empty or zero value and the callee refuses that.
#ifndef KEYVOL_BINDING_ARGUMENTS_H_
#define KEYVOL_BINDING_ARGUMENTS_H_

#include <napi.h>

#include <cstdint>
#include <string>

namespace keyvol {

inline std::string StringOf(const Napi::Value& value) {
  return value.IsString() ? value.As<Napi::String>().Utf8Value() : std::string();
}

inline bool BoolOf(const Napi::Value& value) {
  return value.IsBoolean() && value.As<Napi::Boolean>().Value();
}

inline int64_t IntegerOf(const Napi::Value& value) {
  return value.IsNumber() ? value.As<Napi::Number>().Int64Value() : 0;
}

}  // namespace keyvol

#endif  // KEYVOL_BINDING_ARGUMENTS_H_
