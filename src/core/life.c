// SPDX-License-Identifier: MIT
#include "core/life.h"

#include "base/atomic.h"
#include "base/descriptor.h"
#include "core/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ATTEMPTS 1000

static int set_lock(int fd, int command, short type, int64_t byte)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	return fcntl(fd, command, &l) != 0 ? -errno : 0;
}

static bool locked_by_other(int fd, int64_t byte)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
	return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

uint64_t phi_life_pid_ns(void)
{
	struct stat st;
	return stat("/proc/self/ns/pid", &st) == 0 ? (uint64_t)st.st_ino : 0;
}

// Only an adopter holds this byte exclusively, for three instructions.
int phi_life_attach(int fd)
{
	for (int i = 0; i < ATTEMPTS; i++) {
		int e = set_lock(fd, F_OFD_SETLK, F_RDLCK, PHI_LOCKBYTE_ATTACHED);
		if (e != -EAGAIN && e != -EACCES)
			return e;
		sched_yield();
	}
	return -EBADMSG;
}

int phi_life_attach_ns(int fd, uint64_t *ns)
{
	uint64_t mine = phi_life_pid_ns();
	if (mine != 0 && load_relaxed_u64(ns) != mine) {
		if (set_lock(fd, F_OFD_SETLK, F_WRLCK, PHI_LOCKBYTE_ATTACHED) < 0 &&
		    load_relaxed_u64(ns) != mine)
			return -EXDEV;
		store_relaxed_u64(ns, mine);
	}
	return phi_life_attach(fd);
}

bool phi_life_attached(int fd)
{
	return locked_by_other(fd, PHI_LOCKBYTE_ATTACHED);
}

int phi_life_claim(int fd, bool by_process)
{
	int command = by_process ? F_SETLK : F_OFD_SETLK;
	for (int i = 0; i < PHI_HOLDERS; i++)
		if (set_lock(fd, command, F_WRLCK, PHI_LOCKBYTE_HOLDER + i) == 0)
			return i;
	return -ENOBUFS;
}

void phi_life_unclaim(int fd, uint32_t holder)
{
	set_lock(fd, F_OFD_SETLK, F_UNLCK, PHI_LOCKBYTE_HOLDER + (int64_t)holder);
}

bool phi_life_holder(int fd, uint32_t holder)
{
	return locked_by_other(fd, PHI_LOCKBYTE_HOLDER + (int64_t)holder);
}

int phi_life_reopen(int fd)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int own = open(path, O_RDWR | O_CLOEXEC);
	if (own < 0)
		return -errno;
	int r = dup3(own, fd, O_CLOEXEC) < 0 ? -errno : 0;
	phi_close(own);
	return r;
}
