// SPDX-License-Identifier: MIT
//
// tests/kill/state.c - see state.h. Reads the victim's memory from outside, because the victim may map
// what the survivor does not.
#include "state.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// A file is hashed up to here: control blocks stand in front.
enum { BYTES_MAX = 128 << 10, FILES_MAX = 16 };

// A file that is mapped several times is hashed once: up to where, of which inode.
struct file {
	unsigned long inode;
	unsigned long end;
};

static void add(struct state *s, uintptr_t start, size_t bytes)
{
	if (s->count < RANGES_MAX)
		s->ranges[s->count++] = (struct iovec){.iov_base = (void *)start, .iov_len = bytes};
}

static struct file *file_of(struct file *files, unsigned long inode)
{
	int i = 0;

	while (i < FILES_MAX - 1 && files[i].inode != 0 && files[i].inode != inode)
		i++;
	if (files[i].inode != inode)
		files[i] = (struct file){.inode = inode};
	return &files[i];
}

static void add_files(struct state *s, FILE *maps)
{
	struct file files[FILES_MAX] = {0};
	char line[512];
	unsigned long start;
	unsigned long end;
	unsigned long offset;
	unsigned long inode;
	char modes[8];

	while (fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %7s %lx %*s %lu", &start, &end, modes, &offset, &inode) != 5 ||
		    strcmp(modes, "rw-s") != 0 || strstr(line, "/dev/zero"))
			continue;
		struct file *f = file_of(files, inode);
		const unsigned long seen = f->end > offset ? f->end - offset : 0;
		const unsigned long want = offset + (end - start) < BYTES_MAX ? end - start
		                           : offset < BYTES_MAX               ? BYTES_MAX - offset
		                                                              : 0;
		if (want <= seen)
			continue;
		add(s, start + seen, want - seen);
		f->end = offset + want;
	}
}

static void add_robust_head(struct state *s)
{
	void *head = NULL;
	size_t size = 0;

	if (syscall(SYS_get_robust_list, s->pid, &head, &size) == 0 && head)
		add(s, (uintptr_t)head, size);
}

void state_look(struct state *s)
{
	char path[64];

	s->count = 0;
	add(s, (uintptr_t)s->more.iov_base, s->more.iov_len);
	add_robust_head(s);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)s->pid);
	FILE *maps = fopen(path, "re");
	if (maps) {
		add_files(s, maps);
		fclose(maps);
	}
}

static uint64_t mix(uint64_t h, const unsigned char *bytes, size_t n)
{
	uint64_t word;

	for (; n >= sizeof(word); n -= sizeof(word), bytes += sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		h ^= h >> 29;
	}
	return h;
}

// A range that cannot be read (a hole in a file that was cut) counts as its absence.
static uint64_t hash_range(uint64_t h, pid_t pid, struct iovec range)
{
	static unsigned char buffer[BYTES_MAX];
	const struct iovec here = {.iov_base = buffer, .iov_len = range.iov_len};
	const ssize_t n = process_vm_readv(pid, &here, 1, &range, 1, 0);

	return mix(h + 1, buffer, n > 0 ? (size_t)n : 0);
}

uint64_t state_hash(const struct state *s)
{
	uint64_t h = (uint64_t)s->count;

	for (int i = 0; i < s->count; i++)
		h = hash_range(h, s->pid, s->ranges[i]);
	return h;
}
