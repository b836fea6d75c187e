// SPDX-License-Identifier: MIT
#include "core/file.h"

#include "base/descriptor.h"
#include "base/guard.h"
#include "base/random.h"
#include "core/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void temp_name(char name[PHI_FILE_TEMP])
{
	uint64_t id[2];
	phi_random_id(id);
	snprintf(name, PHI_FILE_TEMP, ".tmp-%016" PRIx64 "%016" PRIx64, id[0], id[1]);
}

int phi_file_new(int dir, mode_t mode, char temp[PHI_FILE_TEMP])
{
	temp[0] = '\0';
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT))
		return fd < 0 ? -errno : fd;
	temp_name(temp);
	fd = openat(dir, temp, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	return fd < 0 ? -errno : fd;
}

// By its descriptor alone where the kernel lets who opened a file do that (Linux 6.10), else by way of /proc.
int phi_file_link(int fd, int dir, const char *temp, const char *file)
{
	if (temp[0] != '\0')
		return linkat(dir, temp, dir, file, 0) != 0 ? -errno : 0;
	if (linkat(fd, "", dir, file, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, path, dir, file, AT_SYMLINK_FOLLOW) != 0 ? -errno : 0;
}

void phi_file_drop_temp(int dir, const char *temp)
{
	if (temp[0] != '\0')
		unlinkat(dir, temp, 0);
}

// Beyond what the file system can address, or the process may: short of space all the same.
static int as_short_of_space(int error)
{
	return error == EFBIG || error == EINVAL ? -ENOSPC : -error;
}

// Beyond this the kernel would send SIGXFSZ.
static bool is_over_limit(size_t size)
{
	struct rlimit most;
	return getrlimit(RLIMIT_FSIZE, &most) == 0 && size > most.rlim_cur;
}

// A signal undoes what the kernel has reserved so far: under a fast timer a large reservation would never end.
static int reserve_unheeding(int fd, size_t from, size_t to)
{
	sigset_t all, before;
	phi_guard_blockable(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r;
	do
		r = posix_fallocate(fd, (off_t)from, (off_t)(to - from));
	while (r == EINTR); // stopped and continued
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int phi_file_reserve(int fd, size_t from, size_t to)
{
	if (to <= from)
		return 0;
	if (is_over_limit(to))
		return -ENOSPC;
	return as_short_of_space(reserve_unheeding(fd, from, to));
}

int phi_file_size(int fd, size_t size, size_t bytes)
{
	if (is_over_limit(size))
		return -ENOSPC;
	if (bytes < size && ftruncate(fd, (off_t)size) != 0)
		return as_short_of_space(errno);
	return bytes == 0 ? 0 : as_short_of_space(reserve_unheeding(fd, 0, bytes));
}

bool phi_file_is_named(int fd, int dir, const char *file)
{
	struct stat open, named;
	return fstat(fd, &open) == 0 && fstatat(dir, file, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
	       open.st_ino == named.st_ino && open.st_dev == named.st_dev;
}

// Whoever may take the attached byte for himself alone has a file that nobody uses.
static bool claim_alone(int fd)
{
	struct flock l = {.l_type = F_WRLCK, .l_start = PHI_LOCKBYTE_ATTACHED, .l_len = 1};
	return fcntl(fd, F_OFD_SETLK, &l) == 0;
}

bool phi_file_remove_unused(int dir, const char *file, bool (*may)(int fd))
{
	int fd = openat(dir, file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	struct stat st;
	bool unused = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (may == NULL || may(fd)) &&
	              claim_alone(fd) && phi_file_is_named(fd, dir, file) &&
	              unlinkat(dir, file, 0) == 0;
	phi_close(fd);
	return unused;
}
