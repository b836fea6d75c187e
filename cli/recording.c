// SPDX-License-Identifier: MIT
//
// recording.c - see recording.h. A ring is copied twice: what is the same in both copies, and has the number that belongs to
// its place in both of its words, was whole when it was first copied.
#include "recording.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthaste/common.h>

#include "cli.h"
#include "core/life.h"
#include "memory.h"

enum { THREADS_BYTES = RECORD_THREADS * sizeof(struct record_thread) };

// ---- one ring ----

struct ring {
	uint32_t depth;
	struct record_thread thread;
	struct record_entry *first, *again;
};

static bool read_whole(int fd, void *to, size_t bytes, uint64_t at)
{
	return pread(fd, to, bytes, (off_t)at) == (ssize_t)bytes;
}

static bool is_whole(const struct record_entry *e, const struct record_entry *again, uint64_t n)
{
	return e->object == again->object && e->outcome == again->outcome &&
	       (uint16_t)e->object == (uint16_t)n && (uint16_t)e->outcome == (uint16_t)n &&
	       (e->outcome >> 16 & 0x7f) != RECORD_none && (e->outcome >> 16 & 0x7f) < RECORD_OPS;
}

static struct recorded *add(struct recordings *all)
{
	if ((all->entries & (all->entries - 1)) == 0) // full at each power of two
		all->entry =
			memory_resize(all->entry, all->entries ? all->entries * 2 : 1, sizeof *all->entry);
	struct recorded *const r = &all->entry[all->entries++];

	*r = (struct recorded){.recording = all->count};
	return r;
}

static void add_entry(struct recordings *all, const struct ring *ring, uint32_t thread, uint64_t n)
{
	const struct record_entry *const e = &ring->first[n & (ring->depth - 1)];

	if (!is_whole(e, &ring->again[n & (ring->depth - 1)], n))
		return;
	struct recorded *const r = add(all);
	const bool timed = e->outcome & RECORD_TIMED;

	r->thread = thread;
	r->tid = (pid_t)ring->thread.tid;
	r->number = n;
	r->op = (enum record_op)(e->outcome >> 16 & 0x7f);
	r->key = e->object >> 16;
	r->result = (int64_t)e->outcome >> 24;
	r->when = timed ? WHEN_EXACT : WHEN_BETWEEN;
	r->at_ns = timed ? e->when_ns : 0;
	r->waited_ns = timed ? (int64_t)e->waited_ns : 0;
}

// Entries that have no time of their own, between two moments; 0 = not known.
static void fill_between(struct recorded *e, size_t count, int64_t from_ns, int64_t to_ns)
{
	for (size_t i = 0; i < count; i++) {
		const double part = (double)(i + 1) / (double)(count + 1);

		e[i].when = from_ns == 0 ? WHEN_BEFORE : to_ns == 0 ? WHEN_AFTER : WHEN_BETWEEN;
		e[i].at_ns = from_ns == 0 ? to_ns : from_ns;
		if (e[i].when == WHEN_BETWEEN && to_ns > from_ns)
			e[i].at_ns += (int64_t)(part * (double)(to_ns - from_ns));
	}
}

// Of one thread, in order, which sleeps since then; 0 = it does not. An operation began before it slept.
static void fill_times(struct recorded *e, size_t count, int64_t asleep_ns)
{
	size_t begin = 0;
	int64_t before_ns = 0;

	for (size_t i = 0; i < count; i++) {
		if (e[i].when != WHEN_EXACT)
			continue;
		fill_between(e + begin, i - begin, before_ns, e[i].at_ns - e[i].waited_ns);
		before_ns = e[i].at_ns;
		begin = i + 1;
	}
	fill_between(e + begin, count - begin, before_ns, asleep_ns);
}

// Now, or when it was killed.
static bool is_asleep(const struct record_thread *t, const struct record_thread *again)
{
	return t->since_ns != 0 && t->since_ns == again->since_ns && t->waits_in == again->waits_in &&
	       t->waits_for == again->waits_for && t->waits_in != RECORD_none &&
	       t->waits_in < RECORD_OPS;
}

static void add_wait(struct recordings *all, const struct record_thread *t, uint32_t thread)
{
	struct recorded *const r = add(all);

	r->thread = thread;
	r->tid = (pid_t)t->tid;
	r->number = UINT64_MAX;
	r->op = (enum record_op)t->waits_in;
	r->key = t->waits_for & RECORD_KEY_MASK;
	r->when = WHEN_SINCE;
	r->at_ns = t->since_ns;
}

static bool read_ring(struct recordings *all, int fd, struct ring *ring, uint32_t thread)
{
	const size_t bytes = ring->depth * sizeof(struct record_entry);
	const uint64_t at = RECORD_RINGS_AT + thread * (uint64_t)bytes;
	const uint64_t end = ring->thread.next + RECORD_AHEAD;
	const uint64_t oldest = ring->thread.next > ring->depth ? ring->thread.next - ring->depth : 0;
	struct record_thread again;

	if (end < RECORD_AHEAD || !read_whole(fd, ring->first, bytes, at) ||
	    !read_whole(fd, ring->again, bytes, at) ||
	    !read_whole(fd, &again, sizeof again, RECORD_THREADS_AT + thread * sizeof again))
		return false;
	const size_t begin = all->entries;

	for (uint64_t n = oldest > ring->thread.first ? oldest : ring->thread.first; n < end; n++)
		add_entry(all, ring, thread, n);
	const bool asleep = is_asleep(&ring->thread, &again);

	if (all->entries > begin)
		fill_times(all->entry + begin, all->entries - begin, asleep ? again.since_ns : 0);
	if (asleep)
		add_wait(all, &again, thread);
	return true;
}

// ---- one recording ----

static bool header_fits(const struct phi_region_header *h, const struct stat *st)
{
	const uint64_t depth = h->geometry[0];

	return h->magic == PHI_REGION_MAGIC && h->kind == PHI_KIND_RECORD &&
	       h->layout == RECORD_LAYOUT && depth >= RECORD_DEPTH_MIN && depth <= RECORD_DEPTH_MAX &&
	       (depth & (depth - 1)) == 0 && h->geometry[1] == RECORD_THREADS &&
	       h->geometry[2] == RECORD_NAMES && h->bytes == RECORD_BYTES(depth) &&
	       (uint64_t)st->st_size == h->bytes;
}

static void take_names(struct recording *r, const struct record_name *again)
{
	for (int i = 0; i < RECORD_NAMES; i++) {
		r->names[i].text[sizeof r->names[i].text - 1] = '\0';
		if (r->names[i].serial != again[i].serial)
			r->names[i].serial = 0;
	}
}

static bool read_names(struct recording *r, int fd)
{
	struct record_name *const again = memory_zeroed(RECORD_NAMES, sizeof *again);
	const size_t bytes = RECORD_NAMES * sizeof *again;

	r->names = memory_zeroed(RECORD_NAMES, sizeof *r->names);
	const bool whole = read_whole(fd, r->names, bytes, RECORD_NAMES_AT) &&
	                   read_whole(fd, again, bytes, RECORD_NAMES_AT);

	if (whole)
		take_names(r, again);
	free(again);
	return whole;
}

static bool read_rings(struct recordings *all, int fd, uint32_t depth)
{
	struct record_thread *const threads = memory_zeroed(1, THREADS_BYTES);
	struct ring ring = {.depth = depth,
	                    .first = memory_zeroed(depth, sizeof *ring.first),
	                    .again = memory_zeroed(depth, sizeof *ring.again)};
	bool whole = read_whole(fd, threads, THREADS_BYTES, RECORD_THREADS_AT);

	for (uint32_t i = 0; whole && i < RECORD_THREADS; i++) {
		ring.thread = threads[i];
		if (ring.thread.tid != 0)
			whole = read_ring(all, fd, &ring, i);
	}
	free(ring.first);
	free(ring.again);
	free(threads);
	return whole;
}

static bool read_file(struct recordings *all, int fd, pid_t pid)
{
	struct recording *const r = &all->one[all->count];
	const size_t before = all->entries;
	struct phi_region_header header;
	struct record_process process;
	struct stat st;

	*r = (struct recording){.pid = pid};
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || !read_whole(fd, &header, sizeof header, 0) ||
	    !header_fits(&header, &st) || !read_whole(fd, &process, sizeof process, PHI_REGION_BODY))
		return false;
	r->id = header.id[0];
	r->lives = phi_life_attached(fd);
	r->unrecorded = process.unrecorded;
	memcpy(r->command, process.command, sizeof r->command - 1);
	if (read_names(r, fd) && read_rings(all, fd, (uint32_t)header.geometry[0]))
		return true;
	free(r->names);
	all->entries = before;
	return false;
}

static void read_named(struct recordings *all, int dir, const char *file, pid_t pid)
{
	const int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0) {
		all->others += errno == EACCES;
		return;
	}
	all->one = memory_resize(all->one, all->count + 1, sizeof *all->one);
	if (read_file(all, fd, pid))
		all->count++;
	else if (all->damaged++ == 0)
		snprintf(all->first_damaged, sizeof all->first_damaged, "%.63s", file);
	close(fd);
}

// ---- all of them ----

static pid_t pid_of(const char *file)
{
	const size_t n = strlen(RECORD_PREFIX);
	uint64_t pid;

	return strncmp(file, RECORD_PREFIX, n) == 0 && cli_parse_count(file + n, 1, INT32_MAX, &pid)
	           ? (pid_t)pid
	           : 0;
}

bool recordings_read(struct recordings *all, pid_t only)
{
	const struct dirent *entry;

	*all = (struct recordings){0};
	DIR *const dir =
		ph_namespace(all->directory, sizeof all->directory) < 0 ? NULL : opendir(all->directory);

	if (!dir) {
		cli_fail(STATUS_REFUSED, *all->directory ? all->directory : getenv("POSTHASTE_DIR"),
		         "the namespace directory cannot be used: %s; see: posthaste doctor",
		         strerror(errno));
		return false;
	}
	while ((entry = readdir(dir))) {
		const pid_t pid = pid_of(entry->d_name);

		if (pid != 0 && (only == 0 || pid == only))
			read_named(all, dirfd(dir), entry->d_name, pid);
	}
	closedir(dir);
	return true;
}

void recordings_free(struct recordings *all)
{
	for (size_t i = 0; i < all->count; i++)
		free(all->one[i].names);
	free(all->one);
	free(all->entry);
}

static int by_time(const void *a, const void *b)
{
	const struct recorded *const x = a, *const y = b;

	if (x->recording == y->recording && x->thread == y->thread)
		return x->number < y->number ? -1 : x->number > y->number;
	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	if (x->recording != y->recording)
		return x->recording < y->recording ? -1 : 1;
	return x->thread < y->thread ? -1 : x->thread > y->thread;
}

// The entries of one thread stay in their order only if their times do not contradict it, and times are not believed.
static void keep_order(struct recordings *all)
{
	for (size_t i = 1; i < all->entries; i++) {
		struct recorded *const e = &all->entry[i];

		if (e[-1].recording == e->recording && e[-1].thread == e->thread && e->at_ns < e[-1].at_ns)
			e->at_ns = e[-1].at_ns;
	}
}

void recordings_sort(struct recordings *all)
{
	keep_order(all);
	if (all->entries > 0)
		qsort(all->entry, all->entries, sizeof *all->entry, by_time);
}
