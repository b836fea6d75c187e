// SPDX-License-Identifier: MIT
//
// POSTHASTE_DIR if set; else /dev/shm/posthaste if an administrator made it for everybody (owned by
// root, mode 1777: sticky, so nobody can remove another's names); else a directory of this user's own.
#include "core/namespace.h"

#include "base/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHARED_DIR "/dev/shm/posthaste"

static int open_dir(const char *path, int extra)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | extra);
	return fd < 0 ? -errno : fd;
}

static bool made_for_all(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_uid == 0 && (st.st_mode & 07777) == 01777;
}

static bool made_by_me(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_uid == geteuid() && (st.st_mode & 022) == 0;
}

static void own_path(char *buf, size_t size)
{
	snprintf(buf, size, SHARED_DIR "-%lu", (unsigned long)geteuid());
}

static int open_own(void)
{
	char path[64];
	own_path(path, sizeof path);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -errno;
	int fd = open_dir(path, O_NOFOLLOW);
	if (fd < 0)
		return fd == -ELOOP || fd == -ENOTDIR ? -EACCES : fd;
	if (!made_by_me(fd)) {
		phi_close(fd);
		return -EACCES;
	}
	return fd;
}

static const char *configured(void)
{
	const char *dir = getenv("POSTHASTE_DIR");
	return dir != NULL && *dir != '\0' ? dir : NULL;
}

static int open_shared(void)
{
	int fd = open_dir(SHARED_DIR, O_NOFOLLOW);
	if (fd >= 0 && !made_for_all(fd)) {
		phi_close(fd);
		return -EACCES;
	}
	return fd;
}

int phi_namespace_open(void)
{
	if (configured() != NULL)
		return open_dir(configured(), 0);
	int fd = open_shared();
	return fd >= 0 || fd == -EMFILE || fd == -ENFILE ? fd : open_own();
}

static int copy_path(const char *path, char *buf, size_t size)
{
	if (strlen(path) >= size)
		return -ERANGE;
	strcpy(buf, path);
	return 0;
}

int phi_namespace_path(char *buf, size_t size)
{
	int fd = phi_namespace_open();
	if (fd < 0)
		return fd;
	phi_close(fd);
	if (configured() != NULL)
		return copy_path(configured(), buf, size);
	fd = open_shared();
	if (fd >= 0) {
		phi_close(fd);
		return copy_path(SHARED_DIR, buf, size);
	}
	char own[64];
	own_path(own, sizeof own);
	return copy_path(own, buf, size);
}
