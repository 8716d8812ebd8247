// What recorders share: their log is a sequence of records, little-endian: struct Record, then
// `first_bytes` and `second_bytes` of payload.
#ifndef KEYVOL_TEST_POWERCUT_RECORDER_H_
#define KEYVOL_TEST_POWERCUT_RECORDER_H_

#include <stdint.h>

enum Kind {
  kOpen = 1,   // file, path: from now on `file` means what stands at `path`
  kCreate,     // file, path
  kMkdir,      // path
  kLink,       // old path, new path
  kUnlink,     // path of a file or an empty directory
  kRename,     // old path, new path
  kWrite,      // file, offset, bytes
  kTruncate,   // file, size
  kZero,       // file, offset, length
  kExtend,     // file, size at least
  kSync,       // file or directory
  kSyncAll,    // syncfs, sync
  kMark,       // text
  kViolation,  // text: something this recorder cannot follow
};

struct Record {
  uint32_t kind;
  uint32_t first_bytes;
  uint32_t second_bytes;
  uint32_t reserved;
  uint64_t file;
  uint64_t first;
  uint64_t second;
};

// Ends the process.
void Fail(const char* what);
// Writes down that something happened that cannot be followed, which fails the recording.
void Violation(const char* what);
// The inode behind a descriptor that was opened below the root; 0 for every other descriptor.
uint64_t FileOf(int fd);
// The path below the root ("" for the root itself), or NULL.
const char* Below(const char* path);
// Of nonces.c: the nonces of wrapped keys count from 0 again.
void ResetNonces(void);

#endif  // KEYVOL_TEST_POWERCUT_RECORDER_H_
