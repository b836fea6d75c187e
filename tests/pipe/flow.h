// SPDX-License-Identifier: MIT
//
// tests/pipe/flow.h - what the tests with several processes on one pipe share: making it, bringing it
// into full flow, so that its bytes go through the ring if the machine lets them, and starting programs
// that do or do not use the library.
//
// Include <posthaste/posix.h> first. Pipes are made with FD_CLOEXEC: a program has only what it is given.
#ifndef TESTS_PIPE_FLOW_H
#define TESTS_PIPE_FLOW_H

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "record.h"
#include "runner.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

struct ends {
	int r, w;
};

static inline struct ends make_pipe(void)
{
	int fds[2];

	CHECK_OK(pipe2(fds, O_CLOEXEC));
	return (struct ends){fds[0], fds[1]};
}

static inline void drop_pipe(struct ends e)
{
	CHECK_OK(close(e.r));
	CHECK_OK(close(e.w));
}

// Zeroed memory that forked children share.
static inline void *share(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static inline int64_t now_ms(void)
{
	struct timespec t;

	CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &t));
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct at_least {
	atomic_int *counter;
	int value;
};

static inline bool is_at_least(void *arg)
{
	const struct at_least *a = arg;

	return atomic_load(a->counter) >= a->value;
}

static inline void wait_count(atomic_int *counter, int value)
{
	struct at_least a = {counter, value};

	test_wait_until(is_at_least, &a);
}

/* ---- the kernel's calls, as a program makes them that has no library ---- */

static inline ssize_t raw_read(int fd, void *buf, size_t bytes)
{
	return syscall(SYS_read, fd, buf, bytes);
}

static inline ssize_t raw_write(int fd, const void *buf, size_t bytes)
{
	return syscall(SYS_write, fd, buf, bytes);
}

/* ---- full flow ---- */

// Bytes that have gone through the ring so far. Writing there needs a peer that runs at the same time, so
// that a busy machine may keep a pipe in the kernel: tests bring it into flow as far as it goes, and hold
// either way.
static inline uint64_t through_ring(int fd)
{
	struct ph_pipe_info info;

	return ph_pipe_info(fd, &info) == 0 ? info.through_ring : 0;
}

// Is the pipe in full flow? After 200 ms it is as much so as it will be.
struct warming {
	int64_t until_ms;
	unsigned looks;
};

static inline bool is_warm(struct warming *w, int fd)
{
	if (!w->until_ms)
		w->until_ms = now_ms() + 200;
	if (++w->looks % 64)
		return false;
	return through_ring(fd) >= 256 * KIB || now_ms() > w->until_ms;
}

// Read a pattern from `from` on until the pipe is in full flow. Returns where the stream stands.
static inline uint64_t read_pattern_until_warm(int fd, uint64_t from)
{
	struct warming w = {0};
	char buf[4000];

	while (!is_warm(&w, fd)) {
		const ssize_t n = read(fd, buf, 1 + mix(from) % sizeof(buf));
		CHECK(n > 0);
		CHECK(pattern_match(buf, from, (size_t)n));
		from += (uint64_t)n;
	}
	return from;
}

static inline void read_pattern(int fd, uint64_t from, uint64_t to)
{
	char buf[20000];

	while (from < to) {
		const ssize_t n = read(fd, buf, sizeof(buf) < to - from ? sizeof(buf) : to - from);
		CHECK_OK(n);
		CHECK(n > 0);
		CHECK(pattern_match(buf, from, (size_t)n));
		from += (uint64_t)n;
	}
}

static inline void expect_end(int fd)
{
	char byte;

	CHECK_EQ(read(fd, &byte, 1), 0);
}

static inline void write_pattern(int fd, uint64_t from, uint64_t to, size_t most)
{
	char buf[70000];

	for (uint64_t at = from, n; at < to; at += n) {
		n = 1 + mix(at) % (most < sizeof(buf) ? most : sizeof(buf));
		n = n < to - at ? n : to - at;
		pattern_fill(buf, at, n);
		CHECK_EQ(write(fd, buf, n), n);
	}
}

// Write lines from `from` on until the pipe is in full flow. Returns the number of the next line.
static inline uint64_t write_lines_until_warm(int fd, uint64_t from)
{
	struct warming w = {0};

	while (!is_warm(&w, fd))
		CHECK(write_line(write, fd, from++));
	return from;
}

static inline void write_lines(int fd, uint64_t from, uint64_t to)
{
	while (from < to)
		CHECK(write_line(write, fd, from++));
}

static inline void read_lines(int fd, struct lines *l, uint64_t to)
{
	char buf[2000];

	while (l->next < to || l->begun) {
		const ssize_t n = read(fd, buf, 1 + mix(l->next) % sizeof(buf));
		CHECK(n > 0);
		CHECK(lines_feed(l, buf, (size_t)n));
	}
}

/* ---- the usual parties, for test_fork ---- */

// A party of a test: which ends it has, and what it writes or reads there.
struct party {
	struct ends ends;
	uint64_t from, to;       // of a pattern or of lines; `to` is the end of the stream
	_Atomic uint64_t *until; // of an endless stream: see there
	size_t most;             // bytes of one write
	unsigned writer;         // of records, and for readers of records the number of writers
	uint32_t count;          // of records
	struct shape shape;      // of records
};

static inline void be_pattern_writer(void *arg)
{
	const struct party *p = arg;

	CHECK_OK(close(p->ends.r));
	write_pattern(p->ends.w, p->from, p->to, p->most);
	CHECK_OK(close(p->ends.w));
}

// Writes until somebody says where the stream is to end: *until starts as UINT64_MAX, and is set to a
// place that the pipe cannot hold yet.
static inline void be_endless_writer(void *arg)
{
	const struct party *p = arg;
	char buf[70000];
	uint64_t n;

	CHECK_OK(close(p->ends.r));
	for (uint64_t at = 0; at < atomic_load(p->until); at += n) {
		const uint64_t left = atomic_load(p->until) - at;
		n = 1 + mix(at) % p->most;
		n = n < left ? n : left;
		pattern_fill(buf, at, n);
		CHECK_EQ(write(p->ends.w, buf, n), n);
	}
	CHECK_OK(close(p->ends.w));
}

static inline _Atomic uint64_t *make_until(void)
{
	_Atomic uint64_t *until = share(sizeof(*until));

	atomic_store(until, UINT64_MAX);
	return until;
}

static inline void be_line_reader(void *arg)
{
	const struct party *p = arg;
	struct lines l = {.next = p->from};

	CHECK_OK(close(p->ends.w));
	read_lines(p->ends.r, &l, p->to);
	expect_end(p->ends.r);
	CHECK_OK(close(p->ends.r));
}

static inline void be_record_writer(void *arg)
{
	const struct party *p = arg;

	CHECK_OK(close(p->ends.r));
	CHECK(write_records(write, p->ends.w, p->shape, p->writer, p->count));
	CHECK_OK(close(p->ends.w));
}

// The same by someone who does not use the library, though the parent did.
static inline void be_raw_record_writer(void *arg)
{
	const struct party *p = arg;

	CHECK_OK(close(p->ends.r));
	CHECK(write_records(raw_write, p->ends.w, p->shape, p->writer, p->count));
	CHECK_OK(close(p->ends.w));
}

// Reads everything: for the only reader.
static inline void read_records(int fd, struct records *r)
{
	char buf[20000];
	ssize_t n;

	for (uint64_t turn = 0; (n = read(fd, buf, 1 + mix(turn) % sizeof(buf))) > 0; turn++)
		CHECK(records_feed(r, buf, (size_t)n));
	CHECK_OK(n);
}

static inline void be_record_reader(void *arg)
{
	const struct party *p = arg;
	struct records r = {.shape = p->shape};

	CHECK_OK(close(p->ends.w));
	read_records(p->ends.r, &r);
	CHECK(records_complete(&r, p->writer, p->count));
	CHECK_OK(close(p->ends.r));
}

/* ---- programs ---- */

// A program of tests/pipe/programs: "peer" uses the library, "stranger" does not.
static inline const char *program(const char *name)
{
	static char path[2][PATH_MAX + 16];
	static char self[PATH_MAX];
	char *p = path[name[0] == 's'];

	if (!self[0]) {
		CHECK_OK(readlink("/proc/self/exe", self, sizeof(self) - 1));
		dirname(self);
	}
	snprintf(p, sizeof(path[0]), "%s/%s", self, name);
	if (access(p, X_OK) < 0)
		SKIP("the program to run was not built");
	return p;
}

// The text of an argument; up to 32 live at a time.
static inline char *text_of(const char *format, ...)
{
	static char texts[32][PATH_MAX];
	static unsigned used;
	char *text = texts[used++ % 32];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(texts[0]), format, args);
	va_end(args);
	return text;
}

// In a child: take `in` and `out` as standard input and output, where they are not -1.
static inline void take_standard(int in, int out)
{
	if (in >= 0)
		CHECK_OK(dup2(in, 0));
	if (out >= 0)
		CHECK_OK(dup2(out, 1));
}

// Start a program by fork and execvp.
static inline pid_t start_program(int in, int out, char *const argv[])
{
	fflush(NULL);
	const pid_t pid = (pid_t)CHECK_OK(fork());

	if (pid == 0) {
		take_standard(in, out);
		execvp(argv[0], argv);
		_exit(127);
	}
	return pid;
}

#define START(in, out, ...) start_program(in, out, (char *const[]){__VA_ARGS__, NULL})

// One of our programs with its arguments in one text: start_peer(-1, w, "stranger", "lines 0 9").
static inline pid_t start_peer(int in, int out, const char *name, const char *args)
{
	char *argv[12] = {(char *)program(name)};
	char *copy = text_of("%s", args);
	size_t n = 1;

	for (char *rest = NULL, *word = strtok_r(copy, " ", &rest); word && n < 11;
	     word = strtok_r(NULL, " ", &rest))
		argv[n++] = word;
	return start_program(in, out, argv);
}

/* ---- files and FIFOs of the test ---- */

// A directory for FIFOs: made when place() first names something in it. It lies in the namespace's, so
// that it goes with that when a test fails.
static char place_dir[96];

static inline const char *place(const char *name)
{
	static char paths[4][128];
	static unsigned used;
	char *path = paths[used++ % 4];

	if (!place_dir[0]) {
		snprintf(place_dir, sizeof(place_dir), "%s/place", getenv("POSTHASTE_DIR"));
		CHECK_OK(mkdir(place_dir, 0700));
	}
	snprintf(path, sizeof(paths[0]), "%s/%s", place_dir, name);
	return path;
}

// Remove what place() named, and in the end, with NULL, the directory.
static inline void drop_place(const char *name)
{
	if (name) {
		CHECK_OK(unlink(place(name)));
	} else {
		CHECK_OK(rmdir(place_dir));
		place_dir[0] = 0;
	}
}

// A file without a name, to catch what a program writes.
static inline int make_catch(void)
{
	return (int)CHECK_OK(memfd_create("catch", MFD_CLOEXEC));
}

static inline char *caught(int fd, size_t *bytes)
{
	struct stat st;

	CHECK_OK(fstat(fd, &st));
	*bytes = (size_t)st.st_size;
	char *data = malloc(*bytes + 1);
	CHECK(data != NULL);
	for (size_t at = 0; at < *bytes;) {
		const ssize_t n = pread(fd, data + at, *bytes - at, (off_t)at);
		CHECK(n > 0);
		at += (size_t)n;
	}
	data[*bytes] = 0;
	return data;
}

// A program caught exactly the pattern between these positions.
static inline void expect_caught(int fd, uint64_t from, uint64_t to)
{
	size_t bytes;
	char *data = caught(fd, &bytes);

	CHECK_EQ(bytes, to - from);
	CHECK(pattern_match(data, from, bytes));
	free(data);
}

#endif
