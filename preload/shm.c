// SPDX-License-Identifier: MIT
//
// shm_open and shm_unlink. What they give is a descriptor of a plain file in the namespace directory, with which the
// program goes on by itself.
#include "preload.h"

#include "core/layout.h"
#include "posthaste/shm.h"
#include "shm/shm.h"

#include <string.h>

// A program may lock the whole file, which the library's sign of use would refuse. Only of an object that goes with
// its last user does that sign mean anything.
static int without_sign(int fd)
{
	int saved = errno;
	struct flock sign = {.l_type = F_UNLCK, .l_start = PHI_LOCKBYTE_ATTACHED, .l_len = 1};
	if (fd >= 0 && !phi_shm_is_reclaimed(fd))
		phi_next()->fcntl(fd, F_OFD_SETLK, &sign);
	errno = saved;
	return fd;
}

PHI_PUBLIC int shm_open(const char *name, int oflag, mode_t mode)
{
	int fd = phi_takes(PHI_PART_SHM) ? without_sign(ph_shm_open(name, oflag, mode))
	                                 : phi_next()->shm_open(name, oflag, mode);
	return PHI_TRACED(fd, "shm_open(\"%s\", %#x, %#o)", name, (unsigned)oflag, mode);
}

// To the C library these two are directories.
static int unlink_ours(const char *name)
{
	const char *rest = name + strspn(name, "/");
	int r = ph_shm_unlink(name);
	if (r != 0 && errno == ENOENT && (strcmp(rest, ".") == 0 || strcmp(rest, "..") == 0))
		errno = EISDIR;
	return r;
}

PHI_PUBLIC int shm_unlink(const char *name)
{
	int r = phi_takes(PHI_PART_SHM) ? unlink_ours(name) : phi_next()->shm_unlink(name);
	return PHI_TRACED(r, "shm_unlink(\"%s\")", name);
}
