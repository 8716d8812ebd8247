// What the parts of the recorder share.
#ifndef KEYVOL_TEST_POWERCUT_RECORDER_H_
#define KEYVOL_TEST_POWERCUT_RECORDER_H_

#include <stdint.h>

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
