// SPDX-License-Identifier: MIT
//
// posthaste/common.h - what concerns every mechanism: waiting, the namespace, the version.
#ifndef POSTHASTE_COMMON_H
#define POSTHASTE_COMMON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PH_VERSION "0.1.0"

// The version of the library that is loaded, such as "0.1.0". Static storage. Async-signal-safe.
const char *ph_version(void);

// Bound the time that a call may spin before it sleeps, in nanoseconds, for this whole process;
// 0 = never spin, -1 = back to the default. The environment variable POSTHASTE_SPIN_NS does the same
// at start. Within the bound the library adapts by itself. Thread-safe.
void ph_set_spin(int64_t bound_ns);

// Write the namespace directory in use into buf (size bytes, always terminated). The result is its
// length, or -1 with errno: ERANGE (buf is too small), EACCES or ENOENT (the directory that
// POSTHASTE_DIR names cannot be used). Makes the per-user default directory if it is missing.
int ph_namespace(char *buf, size_t size);

#ifdef __cplusplus
}
#endif
#endif
