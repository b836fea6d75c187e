// SPDX-License-Identifier: MIT
//
// Children that have ended, when the kernel has merged their SIGCHLDs. The kernel tells of one child at a time only if it is
// asked for that one, so every process number is asked for; those of others are answered with ECHILD at once. No
// memory is allocated: this runs in a signal handler.
#include "signal/port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptor.h"

#define CHUNK 4096

// The kernel's struct linux_dirent64, as far as it is of interest.
#define ENTRY_LENGTH_AT 16
#define ENTRY_NAME_AT 19

static void tell_of(pid_t pid)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid &&
	    !phi_inbox_has_child(pid)) {
		info.si_signo = SIGCHLD;
		phi_inbox_accept(&info);
	}
}

// Without /proc: one at least.
static void tell_of_any(void)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0)
		tell_of(info.si_pid);
}

static void read_chunk(const uint8_t *buf, long bytes)
{
	uint16_t length;
	for (long at = 0; at + ENTRY_NAME_AT < bytes; at += length) {
		memcpy(&length, buf + at + ENTRY_LENGTH_AT, sizeof length);
		const char *name = (const char *)buf + at + ENTRY_NAME_AT;
		if (length == 0)
			return;
		if (name[0] >= '1' && name[0] <= '9')
			tell_of((pid_t)strtol(name, NULL, 10));
	}
}

void phi_children_gather(void)
{
	uint8_t buf[CHUNK] __attribute__((aligned(8)));
	int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		tell_of_any();
		return;
	}
	for (long n; (n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0;)
		read_chunk(buf, n);
	phi_close(fd);
}
