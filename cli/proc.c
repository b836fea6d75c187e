// SPDX-License-Identifier: MIT
//
// proc.c - see proc.h. What may be read of whom is the kernel's rule: fd, maps and locks of processes of the same
// user, or of all for root; call and memory as for a debugger, which some machines restrict further.
#include "proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "memory.h"

enum { PATH_BYTES = 64, LINE_BYTES = PATH_MAX + 128, STAT_BYTES = 1024, PAGE_BYTES = 4096 };

pid_t *proc_numbers(const char *directory, size_t *count)
{
	const struct dirent *entry;
	pid_t *list = NULL;
	DIR *dir = opendir(directory);

	*count = 0;
	while (dir && (entry = readdir(dir))) {
		if (*entry->d_name < '0' || *entry->d_name > '9')
			continue;
		if ((*count & (*count - 1)) == 0)
			list = memory_resize(list, *count ? *count * 2 : 1, sizeof *list);
		list[(*count)++] = (pid_t)strtol(entry->d_name, NULL, 10);
	}
	if (dir)
		closedir(dir);
	return list;
}

pid_t *proc_threads(pid_t pid, size_t *count)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
	return proc_numbers(path, count);
}

static ssize_t read_file(const char *path, char *text, size_t size)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	if (n >= 0)
		text[n] = '\0';
	return n;
}

static ssize_t read_of(pid_t pid, pid_t tid, const char *what, char *text, size_t size)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid, (int)tid, what);
	return read_file(path, text, size);
}

// A number behind a label at the beginning of a line; 0 if there is none.
static uint64_t labelled(const char *text, const char *label)
{
	const char *at = strstr(text, label);

	return at ? strtoull(at + strlen(label), NULL, 10) : 0;
}

// The name may hold anything, also brackets: what counts stands behind the last one.
static bool read_stat(pid_t pid, struct proc_stat *stat)
{
	char path[PATH_BYTES], text[STAT_BYTES];
	uint64_t user, system;
	const uint64_t tick = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (read_file(path, text, sizeof text) <= 0)
		return false;
	const char *rest = strrchr(text, ')');

	if (!rest || sscanf(rest + 1,
	                    " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
	                    " %*d %*d %*d %*d %*d %*d %" SCNu64,
	                    &stat->state, &stat->parent, &user, &system, &stat->started) != 5)
		return false;
	stat->cpu_ns = (user + system) * tick;
	return true;
}

bool proc_stat(pid_t pid, struct proc_stat *stat)
{
	char path[PATH_BYTES], text[STAT_BYTES * 4];
	struct stat file;

	*stat = (struct proc_stat){0};
	if (!read_stat(pid, stat))
		return false;
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (read_file(path, text, sizeof text) > 0) {
		stat->switches = labelled(text, "\nvoluntary_ctxt_switches:");
		stat->uid = (uid_t)labelled(text, "\nUid:");
	} else if (lstat(path, &file) == 0) {
		stat->uid = file.st_uid;
	}
	return true;
}

bool proc_children(pid_t pid, pid_t tid, void (*one)(void *arg, pid_t child), void *arg)
{
	char path[PATH_BYTES];
	pid_t child;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)tid);
	FILE *in = fopen(path, "re");

	if (!in)
		return false;
	while (fscanf(in, "%d", &child) == 1)
		one(arg, child);
	fclose(in);
	return true;
}

pid_t proc_of_thread(pid_t tid)
{
	char path[PATH_BYTES], text[STAT_BYTES];

	snprintf(path, sizeof path, "/proc/%d/status", (int)tid);
	return read_file(path, text, sizeof text) > 0 ? (pid_t)labelled(text, "\nTgid:") : 0;
}

// The link's own mode tells what the descriptor was opened for; following it tells the file.
int proc_each_fd(pid_t pid, void (*one)(void *arg, const struct proc_fd *fd), void *arg)
{
	const struct dirent *entry;
	char path[PATH_BYTES];
	struct stat link;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	DIR *dir = opendir(path);

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		struct proc_fd fd;

		if (*entry->d_name == '.' || fstatat(dirfd(dir), entry->d_name, &fd.file, 0) != 0 ||
		    fstatat(dirfd(dir), entry->d_name, &link, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		fd.fd = (int)strtol(entry->d_name, NULL, 10);
		fd.reads = link.st_mode & S_IRUSR;
		fd.writes = link.st_mode & S_IWUSR;
		one(arg, &fd);
	}
	closedir(dir);
	return 0;
}

static FILE *open_maps(pid_t pid)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
	return fopen(path, "re");
}

// "START-END rw-s OFFSET MAJOR:MINOR INODE   PATH"
static bool parse_map(char *line, struct proc_map *map, bool *shared)
{
	unsigned major, minor;
	char flags[5];
	int at = 0;
	uintmax_t inode;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %ju %n", &map->start, &map->end,
	           flags, &map->offset, &major, &minor, &inode, &at) != 7)
		return false;
	line[strcspn(line, "\n")] = '\0';
	map->device = makedev(major, minor);
	map->inode = (ino_t)inode;
	map->path = line + at;
	*shared = flags[3] == 's';
	return true;
}

int proc_each_shared_map(pid_t pid, void (*one)(void *arg, const struct proc_map *map), void *arg)
{
	char line[LINE_BYTES];
	struct proc_map map;
	bool shared;
	FILE *in = open_maps(pid);

	if (!in)
		return -errno;
	while (fgets(line, sizeof line, in)) {
		const char *flags = strchr(line, ' ');

		if (flags && strnlen(flags, 6) == 6 && flags[4] == 's' && parse_map(line, &map, &shared))
			one(arg, &map);
	}
	fclose(in);
	return 0;
}

bool proc_is_private(pid_t pid, uint64_t address)
{
	char line[LINE_BYTES];
	struct proc_map map;
	bool shared, found = false;
	FILE *in = open_maps(pid);

	while (in && !found && fgets(line, sizeof line, in))
		found =
			parse_map(line, &map, &shared) && !shared && map.start <= address && address < map.end;
	if (in)
		fclose(in);
	return found;
}

// "lock:	1: OFDLCK  ADVISORY  WRITE -1 00:19:7 144115188075855872 144115188075855872"
void proc_each_lock(pid_t pid, int fd, void (*one)(void *arg, int64_t byte, bool exclusive),
                    void *arg)
{
	char path[PATH_BYTES], line[LINE_BYTES], kind[8];
	int64_t byte;

	snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", (int)pid, fd);
	FILE *in = fopen(path, "re");

	while (in && fgets(line, sizeof line, in))
		if (sscanf(line, "lock: %*d: %*s %*s %7s %*d %*x:%*x:%*u %" SCNd64, kind, &byte) == 2)
			one(arg, byte, strcmp(kind, "WRITE") == 0);
	if (in)
		fclose(in);
}

int proc_call(pid_t pid, pid_t tid, struct proc_call *call)
{
	char text[STAT_BYTES];
	uint64_t *const a = call->argument;

	if (read_of(pid, tid, "syscall", text, sizeof text) < 0)
		return -errno;
	return sscanf(text, "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64,
	              &call->number, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5]) == 7;
}

const char *proc_place(pid_t pid, pid_t tid, char place[PROC_PLACE_MAX])
{
	if (read_of(pid, tid, "wchan", place, PROC_PLACE_MAX) <= 0 || strcmp(place, "0") == 0)
		place[0] = '\0';
	return place;
}

// In milliseconds of the scheduler's clock, which our own record tells as well.
static bool scheduled_at(pid_t pid, pid_t tid, double *ms)
{
	char text[STAT_BYTES];

	if (read_of(pid, tid, "sched", text, sizeof text) <= 0)
		return false;
	const char *at = strstr(text, "se.exec_start");

	at = at ? strchr(at, ':') : NULL;
	return at && sscanf(at + 1, "%lf", ms) == 1;
}

int64_t proc_asleep_ms(pid_t pid, pid_t tid)
{
	double then, now;
	const pid_t self = getpid();

	if (!scheduled_at(pid, tid, &then) || !scheduled_at(self, self, &now))
		return -1;
	return now > then ? (int64_t)(now - then) : 0;
}

bool proc_read(pid_t pid, uint64_t address, void *to, size_t size)
{
	struct iovec local = {.iov_base = to, .iov_len = size};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};

	return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

// Not beyond the end of a page: what follows may not be there.
bool proc_text(pid_t pid, uint64_t address, char *to, size_t size)
{
	size_t have = 0;

	while (have < size) {
		const size_t page = PAGE_BYTES - (size_t)((address + have) % PAGE_BYTES);
		const size_t part = page < size - have ? page : size - have;

		if (!proc_read(pid, address + have, to + have, part))
			return false;
		if (memchr(to + have, '\0', part))
			return true;
		have += part;
	}
	return false;
}

bool proc_link(pid_t pid, int fd, char *text, size_t size)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
	const ssize_t n = readlink(path, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}
