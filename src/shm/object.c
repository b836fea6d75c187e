// SPDX-License-Identifier: MIT
//
// Objects by name: opened, unlinked, reclaimed. The one race is between the last user's going and the next
// one's coming. A reclaimer unlinks while he alone has the attached byte; an opener attaches first and looks
// then whether the file still has a name. An unlinker attaches, too: between a reclaimer's look at the name and
// his unlink, nobody else gives the name away for another object to get it.
#include "shm/shm.h"

#include "base/atomic.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "core/file.h"
#include "core/life.h"
#include "core/name.h"
#include "core/namespace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 10000
#define SWEEP_AT_MOST 256
#define PATIENCE_NS INT64_C(1000000000)

#define ALWAYS (O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)

int phi_shm_file(const char *name, char file[NAME_MAX + 1])
{
	char whole[NAME_MAX + 2];
	int r = phi_name_lax(SHM_PREFIX, name, whole, file);
	if (r < 0)
		return r;
	return strcmp(whole, "/.") == 0 || strcmp(whole, "/..") == 0 ? -EINVAL : 0;
}

// ---- users ----

bool phi_shm_is_reclaimed(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && (st.st_mode & SHM_RECLAIMED);
}

static bool has_name(int fd)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

// A reclaimer has the byte for some instructions, during which he may lose the CPU.
int phi_shm_attach(int fd)
{
	int64_t until = 0;
	int r;
	while ((r = phi_life_attach(fd)) == -EBADMSG) {
		int64_t now = phi_now_ns();
		until = until == 0 ? now + PATIENCE_NS : until;
		if (!has_name(fd))
			return -EAGAIN;
		if (now > until)
			return -EBADMSG;
		nanosleep(&(struct timespec){0, 100000}, NULL);
	}
	if (r < 0)
		return r;
	return phi_shm_is_reclaimed(fd) && !has_name(fd) ? -EAGAIN : 0;
}

bool phi_shm_reclaim(int dir, const char *file)
{
	struct stat st;
	return fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & SHM_RECLAIMED) &&
	       phi_file_remove_unused(dir, file, phi_shm_is_reclaimed);
}

int phi_shm_sweep(int dir, bool all)
{
	int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);
	if (d == NULL) {
		int r = -errno;
		if (own >= 0)
			phi_close(own);
		return r;
	}
	int removed = 0;
	int looked = 0;
	for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		if (strncmp(e->d_name, SHM_PREFIX, strlen(SHM_PREFIX)) != 0)
			continue;
		if (!all && looked++ == SWEEP_AT_MOST)
			break;
		removed += phi_shm_reclaim(dir, e->d_name);
	}
	closedir(d);
	return removed;
}

// ---- opening ----

static int attached(int fd)
{
	struct stat st;
	int r = fstat(fd, &st) != 0 ? -errno : !S_ISREG(st.st_mode) ? -EBADMSG : phi_shm_attach(fd);
	if (r < 0)
		phi_close(fd);
	return r < 0 ? r : fd;
}

int phi_shm_open_there(int dir, const char *file, int access)
{
	int fd = openat(dir, file, access | ALWAYS);
	if (fd < 0)
		return errno == EISDIR || errno == ENXIO ? -EBADMSG : -errno;
	return attached(fd);
}

// Plain first: fs.protected_regular refuses O_CREAT where a file of somebody else is there already. A
// descriptor that cannot read cannot map, and is no user.
static int open_once(int dir, const char *file, int flags, mode_t mode)
{
	int fd = -1;
	if (flags & O_CREAT)
		phi_shm_reclaim(dir, file);
	if ((flags & (O_CREAT | O_EXCL)) != (O_CREAT | O_EXCL)) {
		fd = openat(dir, file, (flags & ~O_CREAT) | ALWAYS);
		if (fd < 0 && (errno != ENOENT || !(flags & O_CREAT)))
			return errno == EISDIR || errno == ENXIO ? -EINVAL : -errno;
	}
	if (fd < 0)
		fd = openat(dir, file, flags | O_CREAT | O_EXCL | ALWAYS, mode);
	if (fd < 0)
		return errno == EEXIST && !(flags & O_EXCL) ? -EAGAIN : -errno;
	if ((flags & O_ACCMODE) == O_WRONLY)
		return fd;
	int r = attached(fd);
	return r == -EBADMSG ? -EINVAL : r;
}

// POSIX promises the lowest number, which the directory had.
static int lowest(int fd, int dir)
{
	if (fd < dir)
		return fd;
	int low = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (low < 0)
		return fd;
	phi_close(fd);
	return low;
}

int phi_shm_open(const char *name, int oflag, mode_t mode)
{
	char file[NAME_MAX + 1];
	int r = phi_shm_file(name, file);
	if (r < 0)
		return r;
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	int flags = oflag & (O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC);
	r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < ROUNDS; i++)
		r = open_once(dir, file, flags, mode & 0777);
	phi_close(dir);
	return r < 0 ? r : lowest(r, dir);
}

// Nobody reclaims an object that is not marked. Who may not read a marked one unlinks it without being a
// user: POSIX asks for permission to the directory only.
static int unlink_once(int dir, const char *file)
{
	struct stat st;
	int fd = -1;
	if (fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0 && (st.st_mode & SHM_RECLAIMED)) {
		fd = phi_shm_open_there(dir, file, O_RDONLY);
		if (fd == -EAGAIN || fd == -ENOENT)
			return fd;
	}
	int r = unlinkat(dir, file, 0) != 0 ? -errno : 0;
	if (fd >= 0)
		phi_close(fd);
	return r == -EPERM ? -EACCES : r;
}

int phi_shm_unlink(const char *name)
{
	char file[NAME_MAX + 1];
	int r = phi_shm_file(name, file);
	if (r < 0)
		return r == -EINVAL ? -ENOENT : r;
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	r = -EAGAIN;
	for (int i = 0; r == -EAGAIN && i < ROUNDS; i++)
		r = unlink_once(dir, file);
	phi_close(dir);
	return r;
}
