#include "binding/registry.h"

namespace keyvol {

std::vector<BindingInit>& BindingInits() {
  static std::vector<BindingInit> inits;
  return inits;
}

}  // namespace keyvol
