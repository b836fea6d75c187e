// SPDX-License-Identifier: MIT
//
// Children that have ended, when the kernel has merged their SIGCHLDs. The kernel tells of the first one, or of one that it is
// asked for: so each child of this process is asked for, as /proc lists them by the thread that forked them. No memory
// is allocated: this runs in a signal handler.
//
// The list is read in one call, but not made in one instant. A child is missing in it
//
//   if one that stood before it was reaped while it was made: then asking for that one says so;
//   if its thread ended, and it became another's, whose list had been read: then the threads are others afterwards;
//   if it is longer than what one call reads.
//
// In these cases, and where there is no such list, every process number is asked for; those of others are answered with
// ECHILD at once.
#include "signal/port.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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

// Into the inbox, if it has ended: false if it is no child of ours (any more).
static bool tell_of(pid_t pid)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
		return false;
	if (info.si_pid == pid && !phi_inbox_has_child(pid)) {
		info.si_signo = SIGCHLD;
		phi_inbox_accept(&info);
	}
	return true;
}

// Without /proc: one at least.
static void tell_of_any(void)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0)
		tell_of(info.si_pid);
}

// ---- directories of numbers ----

typedef bool visitor(pid_t number, void *arg);

static bool visit_chunk(const uint8_t *buf, long bytes, visitor *visit, void *arg)
{
	uint16_t length;
	for (long at = 0; at + ENTRY_NAME_AT < bytes; at += length) {
		memcpy(&length, buf + at + ENTRY_LENGTH_AT, sizeof length);
		const char *name = (const char *)buf + at + ENTRY_NAME_AT;
		if (length == 0)
			return false;
		if (name[0] >= '1' && name[0] <= '9' && !visit((pid_t)strtol(name, NULL, 10), arg))
			return false;
	}
	return true;
}

// Until a visit says false: whether all have been made.
static bool visit_numbers(const char *directory, visitor *visit, void *arg)
{
	uint8_t buf[CHUNK] __attribute__((aligned(8)));
	int fd = (int)syscall(SYS_openat, AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	long n;
	bool on = true;
	while (on && (n = syscall(SYS_getdents64, fd, buf, sizeof buf)) > 0)
		on = visit_chunk(buf, n, visit, arg);
	phi_close(fd);
	return on;
}

static bool tell_if_child(pid_t pid, void *arg)
{
	(void)arg;
	tell_of(pid);
	return true;
}

static void ask_for_all_numbers(void)
{
	if (!visit_numbers("/proc", tell_if_child, NULL))
		tell_of_any();
}

// ---- the lists of children ----

static bool tell_of_list(char *text)
{
	for (char *at = text, *end; *at != 0; at = end) {
		pid_t pid = (pid_t)strtol(at, &end, 10);
		if (end == at)
			break;
		if (!tell_of(pid))
			return false;
		while (*end == ' ')
			end++;
	}
	return true;
}

// A thread's: false if somebody may be missing. The sum of the threads' numbers tells whether they are the same.
static bool ask_for_thread(pid_t tid, void *arg)
{
	char path[64];
	char text[CHUNK];
	*(uint64_t *)arg += (uint64_t)tid * (uint64_t)tid;
	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)tid);
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	long n = syscall(SYS_read, fd, text, sizeof text - 1);
	char more;
	bool all = n >= 0 && syscall(SYS_read, fd, &more, 1) == 0;
	phi_close(fd);
	if (!all)
		return false;
	text[n] = 0;
	return tell_of_list(text);
}

static bool add_number(pid_t tid, void *arg)
{
	*(uint64_t *)arg += (uint64_t)tid * (uint64_t)tid;
	return true;
}

void phi_children_gather(void)
{
	uint64_t before = 0, after = 0;
	if (!visit_numbers("/proc/self/task", ask_for_thread, &before) ||
	    !visit_numbers("/proc/self/task", add_number, &after) || before != after)
		ask_for_all_numbers();
}
