// SPDX-License-Identifier: MIT
//
// POSIX names and the files that stand for them.
#ifndef PHI_CORE_NAME_H
#define PHI_CORE_NAME_H

#include <limits.h>

// "/jobs" of a room with prefix "mq." is the file "mq.jobs". A name too long for that keeps its
// beginning and gets a hash; the whole name stands in the region header.
//
// 0; -EINVAL no leading slash; -ENOENT nothing after it; -EACCES a second slash, or "." or "..";
// -ENAMETOOLONG more than NAME_MAX bytes after the slash.
int phi_name_to_file(const char *prefix, const char *name, char file[NAME_MAX + 1]);

// The same for semaphores and shared memory, whose names the C library takes with any number of leading
// slashes. `whole` becomes the name with one.
//
// 0; -EINVAL empty, or a further slash; -ENAMETOOLONG more than NAME_MAX bytes after the slashes.
int phi_name_lax(const char *prefix, const char *name, char whole[NAME_MAX + 2],
                 char file[NAME_MAX + 1]);

#endif
