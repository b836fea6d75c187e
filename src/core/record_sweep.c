// SPDX-License-Identifier: MIT
//
// Recordings of processes that have ended are kept for a while, the newest of them. Who makes one removes the others: without
// memory of its own, as a signal handler may be the one.
#include "core/record.h"

#include "base/descriptor.h"
#include "core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FILES_MOST 64
#define NAMES_MOST 4096 // a directory may hold many objects

// As the kernel writes them.
struct entry {
	uint64_t inode;
	int64_t next;
	uint16_t bytes;
	uint8_t type;
	char name[];
};

struct dead {
	char name[32];
	int64_t at_ns;
};

struct dead_files {
	struct dead file[FILES_MOST];
	int count;
	int removed;
};

// Our own ended processes, as far as the number tells; the lock on the file is asked before it is removed.
static bool is_dead(int dir, const char *name, struct dead *file)
{
	struct stat st;
	char *end;
	if (strncmp(name, RECORD_PREFIX, sizeof RECORD_PREFIX - 1) != 0 ||
	    strlen(name) >= sizeof file->name)
		return false;
	long pid = strtol(name + sizeof RECORD_PREFIX - 1, &end, 10);
	if (*end != '\0' || pid <= 0 || syscall(SYS_kill, (pid_t)pid, 0) == 0 || errno != ESRCH)
		return false;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_uid != geteuid())
		return false;
	strcpy(file->name, name);
	file->at_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	return true;
}

static void remove_oldest(int dir, struct dead_files *all)
{
	int oldest = 0;
	for (int i = 1; i < all->count; i++)
		if (all->file[i].at_ns < all->file[oldest].at_ns)
			oldest = i;
	all->removed += phi_file_remove_unused(dir, all->file[oldest].name, NULL);
	all->file[oldest] = all->file[--all->count];
}

static void add(int dir, struct dead_files *all, const char *name, int keep)
{
	if (!is_dead(dir, name, &all->file[all->count]))
		return;
	all->count++;
	if (all->count > keep)
		remove_oldest(dir, all);
}

int phi_record_sweep(int dir, int keep)
{
	// Not on the stack, which may be a signal handler's. One thread of a process makes its recording.
	static _Alignas(struct entry) char buffer[4096];
	static struct dead_files all;
	int names = 0;
	long n;
	all.count = all.removed = 0;
	int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (own < 0)
		return 0;
	while (names < NAMES_MOST && (n = syscall(SYS_getdents64, own, buffer, sizeof buffer)) > 0)
		for (long at = 0; at < n; names++) {
			const struct entry *e = (const struct entry *)(buffer + at);
			add(dir, &all, e->name, keep);
			at += e->bytes;
		}
	phi_close(own);
	return all.removed;
}
