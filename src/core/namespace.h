// SPDX-License-Identifier: MIT
//
// The directory that holds one file per object.
#ifndef PHI_CORE_NAMESPACE_H
#define PHI_CORE_NAMESPACE_H

#include <stddef.h>

// Open the namespace directory: a descriptor, or -ENOENT, -ENOTDIR, -EACCES, -EMFILE, ... The default
// per-user directory is made if missing, and refused (-EACCES) if somebody else owns it.
int phi_namespace_open(void);

// Its path: 0 or -ERANGE and the above.
int phi_namespace_path(char *buf, size_t size);

#endif
