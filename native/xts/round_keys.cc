#include "xts/round_keys.h"

#include <utility>

#if defined(__x86_64__)

#include <immintrin.h>

#define AES_INSTRUCTIONS __attribute__((target("aes,sse4.1")))

namespace keyvol {

namespace {

constexpr size_t kLast = RoundKeys::kRounds;

AES_INSTRUCTIONS __m128i Load(const void* bytes) {
  return _mm_loadu_si128(static_cast<const __m128i*>(bytes));
}

AES_INSTRUCTIONS void Store(void* bytes, __m128i value) {
  _mm_store_si128(static_cast<__m128i*>(bytes), value);
}

// Each word xored with all words before it.
AES_INSTRUCTIONS __m128i PrefixXor(__m128i words) {
  words = _mm_xor_si128(words, _mm_slli_si128(words, 4));
  return _mm_xor_si128(words, _mm_slli_si128(words, 8));
}

// FIPS 197 figure 11, for the words at a multiple of eight: SubWord(RotWord()) and Rcon.
template <int kRcon>
AES_INSTRUCTIONS __m128i NextEven(__m128i even, __m128i odd) {
  const __m128i word = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(odd, kRcon), 0xff);
  return _mm_xor_si128(PrefixXor(even), word);
}

// The same for the four words after: SubWord() alone.
AES_INSTRUCTIONS __m128i NextOdd(__m128i even, __m128i odd) {
  const __m128i word = _mm_shuffle_epi32(_mm_aeskeygenassist_si128(even, 0), 0xaa);
  return _mm_xor_si128(PrefixXor(odd), word);
}

template <int kRcon, size_t kRound>
AES_INSTRUCTIONS void ExpandFrom(__m128i even, __m128i odd, RoundKeys::Schedule& schedule) {
  Store(schedule[kRound], even);
  if constexpr (kRound < kLast) {
    Store(schedule[kRound + 1], odd);
    even = NextEven<kRcon>(even, odd);
    ExpandFrom<kRcon * 2, kRound + 2>(even, NextOdd(even, odd), schedule);
  }
}

AES_INSTRUCTIONS void Expand(const std::byte* key, RoundKeys::Schedule& schedule) {
  ExpandFrom<1, 0>(Load(key), Load(key + 16), schedule);
}

AES_INSTRUCTIONS void Invert(const RoundKeys::Schedule& encrypt, RoundKeys::Schedule& decrypt) {
  Store(decrypt[0], Load(encrypt[kLast]));
  for (size_t round = 1; round < kLast; ++round) {
    Store(decrypt[round], _mm_aesimc_si128(Load(encrypt[kLast - round])));
  }
  Store(decrypt[kLast], Load(encrypt[0]));
}

}  // namespace

Status ExpandKey(std::span<const std::byte, 64> key, std::shared_ptr<Secret>* round_keys) {
  std::shared_ptr<Secret> secret;
  RETURN_IF_ERROR(Secret::Allocate(sizeof(RoundKeys), &secret));
  auto& keys = *reinterpret_cast<RoundKeys*>(secret->bytes().data());
  Expand(key.data(), keys.encrypt);
  Invert(keys.encrypt, keys.decrypt);
  Expand(key.data() + 32, keys.tweak);
  *round_keys = std::move(secret);
  return Status::Ok();
}

}  // namespace keyvol

#else

namespace keyvol {

Status ExpandKey(std::span<const std::byte, 64>, std::shared_ptr<Secret>*) {
  return Status::Error(Code::kUnsupported, "this processor has no AES instructions that we know");
}

}  // namespace keyvol

#endif  // __x86_64__
