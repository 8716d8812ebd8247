#include "container/header_copies.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <string_view>

namespace keyvol {

namespace {

constexpr std::string_view kFirstMagic = "LUKS\xba\xbe";
constexpr std::string_view kSecondMagic = "SKUL\xba\xbe";

// Offsets and sizes of the binary header's fields.
constexpr size_t kVersionOffset = 6;
constexpr size_t kHeaderSizeOffset = 8;
constexpr size_t kSequenceOffset = 16;
constexpr size_t kChecksumNameOffset = 72;
constexpr size_t kChecksumNameBytes = 32;
constexpr size_t kSaltOffset = 104;
constexpr size_t kSaltBytes = 64;
constexpr size_t kHeaderOffsetOffset = 256;
constexpr size_t kChecksumOffset = 448;
constexpr size_t kChecksumBytes = 64;
constexpr size_t kSha256Bytes = 32;

using Bytes = std::span<const std::byte>;

std::string_view TextAt(Bytes copy, size_t offset, size_t length) {
  return {reinterpret_cast<const char*>(copy.data()) + offset, length};
}

uint64_t BigEndian(Bytes copy, size_t offset, size_t length) {
  uint64_t number = 0;
  for (std::byte byte : copy.subspan(offset, length)) {
    number = number << 8 | std::to_integer<uint64_t>(byte);
  }
  return number;
}

bool HasMagic(Bytes copy, std::string_view magic) { return TextAt(copy, 0, magic.size()) == magic; }

bool NamesSha256(Bytes copy) {
  std::array<char, kChecksumNameBytes> expected{};
  std::string_view("sha256").copy(expected.data(), expected.size());
  return TextAt(copy, kChecksumNameOffset, kChecksumNameBytes) ==
         std::string_view(expected.data(), expected.size());
}

// Over the copy with the checksum field itself as zeros.
bool ChecksumMatches(Bytes copy) {
  std::array<std::byte, kHeaderCopyBytes> cleared;
  std::copy(copy.begin(), copy.end(), cleared.begin());
  std::fill_n(cleared.begin() + kChecksumOffset, kChecksumBytes, std::byte{0});
  std::array<unsigned char, kSha256Bytes> digest;
  if (EVP_Digest(cleared.data(), cleared.size(), digest.data(), nullptr, EVP_sha256(), nullptr) !=
      1) {
    return false;
  }
  // What the field has room for behind it is zeros: nothing else would see a flipped bit there.
  std::array<char, kChecksumBytes> expected{};
  std::copy(digest.begin(), digest.end(), expected.begin());
  return TextAt(copy, kChecksumOffset, kChecksumBytes) ==
         std::string_view(expected.data(), expected.size());
}

bool IsGood(Bytes copy, std::string_view magic, uint64_t offset) {
  return HasMagic(copy, magic) && BigEndian(copy, kVersionOffset, 2) == 2 &&
         BigEndian(copy, kHeaderSizeOffset, 8) == kHeaderCopyBytes &&
         BigEndian(copy, kHeaderOffsetOffset, 8) == offset && NamesSha256(copy) &&
         ChecksumMatches(copy);
}

// A crash between the writes of the two copies leaves one that is right but out of date.
void MarkOlder(Bytes first, Bytes second, HeaderCopies* copies) {
  const uint64_t first_sequence = BigEndian(first, kSequenceOffset, 8);
  const uint64_t second_sequence = BigEndian(second, kSequenceOffset, 8);
  if (first_sequence < second_sequence) copies->first = CopyState::kOutdated;
  if (second_sequence < first_sequence) copies->second = CopyState::kOutdated;
}

const char* WhatItSeemsToBe(Bytes first, Bytes second) {
  if (!HasMagic(first, kFirstMagic)) {
    return HasMagic(second, kSecondMagic) ? "has two damaged headers" : "is not a LUKS2 container";
  }
  if (BigEndian(first, kVersionOffset, 2) == 1) return "is a LUKS1 container, not one of keyvol";
  if (BigEndian(first, kHeaderSizeOffset, 8) != kHeaderCopyBytes) {
    return "has a LUKS2 header of another layout than keyvol's";
  }
  return "has two damaged headers";
}

// What a copy has of its own as zeros.
std::array<std::byte, kHeaderCopyBytes> Shared(Bytes copy) {
  std::array<std::byte, kHeaderCopyBytes> shared;
  std::copy(copy.begin(), copy.end(), shared.begin());
  std::fill_n(shared.begin(), kFirstMagic.size(), std::byte{0});
  std::fill_n(shared.begin() + kSaltOffset, kSaltBytes, std::byte{0});
  std::fill_n(shared.begin() + kHeaderOffsetOffset, sizeof(uint64_t), std::byte{0});
  std::fill_n(shared.begin() + kChecksumOffset, kChecksumBytes, std::byte{0});
  return shared;
}

}  // namespace

Status InspectHeaderCopies(std::span<const std::byte> header, const std::string& path,
                           HeaderCopies* copies) {
  assert(header.size() >= 2 * kHeaderCopyBytes);
  const Bytes first = header.first(kHeaderCopyBytes);
  const Bytes second = header.subspan(kHeaderCopyBytes, kHeaderCopyBytes);
  const bool first_good = IsGood(first, kFirstMagic, 0);
  const bool second_good = IsGood(second, kSecondMagic, kHeaderCopyBytes);
  if (first_good) copies->first = CopyState::kGood;
  if (second_good) copies->second = CopyState::kGood;
  if (first_good && second_good) MarkOlder(first, second, copies);
  if (first_good || second_good) return Status::Ok();
  return Status::Error(Code::kHeaderInvalid, path + " " + WhatItSeemsToBe(first, second));
}

bool SameHeader(std::span<const std::byte> header) {
  assert(header.size() >= 2 * kHeaderCopyBytes);
  return Shared(header.first(kHeaderCopyBytes)) ==
         Shared(header.subspan(kHeaderCopyBytes, kHeaderCopyBytes));
}

}  // namespace keyvol
