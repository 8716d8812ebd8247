// Every binding file registers what it exports here, so that addon.cc names none of them.
#ifndef KEYVOL_BINDING_REGISTRY_H_
#define KEYVOL_BINDING_REGISTRY_H_

#include <napi.h>

#include <vector>

namespace keyvol {

using BindingInit = void (*)(Napi::Env env, Napi::Object exports);

std::vector<BindingInit>& BindingInits();

struct BindingRegistration {
  explicit BindingRegistration(BindingInit init) { BindingInits().push_back(init); }
};

// At namespace scope of a binding file: `KEYVOL_BINDING(InitSecretBinding)`.
#define KEYVOL_BINDING(init) static const ::keyvol::BindingRegistration init##_registration(init)

}  // namespace keyvol

#endif  // KEYVOL_BINDING_REGISTRY_H_
