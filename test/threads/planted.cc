// One fault of each kind, on demand: the sanitizers must see them, or their silence means nothing.
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

int g_counter = 0;

void Race() {
  std::thread other([] { g_counter++; });
  g_counter++;
  other.join();
}

void Leak() {
  volatile auto* lost = new std::vector<int>(100);
  lost = nullptr;
  static_cast<void>(lost);
}

void Overflow(volatile size_t past_the_end) {
  std::vector<char> bytes(past_the_end);
  volatile char byte = bytes.data()[past_the_end];
  static_cast<void>(byte);
}

void Undefined(volatile int largest) {
  volatile int beyond = largest + 1;
  static_cast<void>(beyond);
}

}  // namespace

int main() {
  const char* given = std::getenv("KEYVOL_PLANTED");
  const std::string fault = given == nullptr ? "" : given;
  if (fault == "race") Race();
  if (fault == "leak") Leak();
  if (fault == "overflow") Overflow(16);
  if (fault == "undefined") Undefined(2147483647);
}
