// SPDX-License-Identifier: MIT
//
// The file of an object before and after it has its name: made nameless, sized, reserved, linked into place;
// and removed when nobody uses it. What is in it is region.h's, or the user's own.
#ifndef PHI_CORE_FILE_H
#define PHI_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PHI_FILE_TEMP 48

// A new file without a name, or, where the file system has none such, with a temporary one (temp[0] != 0):
// a descriptor for reading and writing, or -errno. Killed now, a nameless file leaves nothing.
int phi_file_new(int dir, mode_t mode, char temp[PHI_FILE_TEMP]);

// Give it its name, in one step: 0, -EEXIST, ...
int phi_file_link(int fd, int dir, const char *temp, const char *file);

// In any case, afterwards.
void phi_file_drop_temp(int dir, const char *temp);

// Size a new file, and reserve memory for its first bytes: a full file system is -ENOSPC here and never
// SIGBUS later. No signal SIGXFSZ.
int phi_file_size(int fd, size_t size, size_t bytes);

// Reserve memory for [from, to), and make the file as long as that if it is shorter; it never becomes
// shorter, whoever else is growing it. On failure it has its old size.
int phi_file_reserve(int fd, size_t from, size_t to);

// Whether the name leads to the open file.
bool phi_file_is_named(int fd, int dir, const char *file);

// Remove the file if nobody is attached to it (life.h), and `may`, if not NULL, agrees: true if it is gone by our hand. An
// opener who attaches while this goes on finds afterwards that it has no name (phi_file_is_named), and looks again.
bool phi_file_remove_unused(int dir, const char *file, bool (*may)(int fd));

#endif
