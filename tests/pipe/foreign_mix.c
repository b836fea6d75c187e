// SPDX-License-Identifier: MIT
//
// tests/pipe/foreign_mix.c - one process that uses a pipe with the library and in other ways: stdio, raw
// calls after ph_export, splice, the C library's close and dup2 in place of the library's.
#include <posthaste/posix.h>

#include "flow.h"

// From here on these names are the C library's; the library's are called by their own.
#undef close
#undef dup
#undef dup2
#undef open
#undef pipe2

// Fork a reader of the lines [0, to), which end there, and keep the end to write to.
static pid_t start_line_reader(struct ends e, uint64_t to)
{
	struct party p = {.ends = e, .to = to};
	pid_t pid = test_fork(be_line_reader, &p);

	CHECK_OK(ph_close(e.r));
	return pid;
}

// Fork a reader of lines in any number: they end with the file.
static void be_patient_line_reader(void *arg)
{
	const struct party *p = arg;
	struct lines l = {0};
	char buf[2000];
	ssize_t n;

	CHECK_OK(ph_close(p->ends.w));
	while ((n = ph_read(p->ends.r, buf, sizeof(buf))) > 0)
		CHECK(lines_feed(&l, buf, (size_t)n));
	CHECK_EQ(n, 0);
	atomic_store(p->until, l.next);
	CHECK_OK(ph_close(p->ends.r));
}

struct line_pipe {
	int w;
	uint64_t next;                  // line
	_Atomic uint64_t *read, *wrote; // lines, when the one or the other has ended
	pid_t reader;
};

// A pipe whose reader checks lines, and which is in full flow already.
static struct line_pipe make_line_pipe(void)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .until = make_until()};
	struct line_pipe l = {.w = e.w, .read = p.until, .wrote = make_until()};

	l.reader = test_fork(be_patient_line_reader, &p);
	CHECK_OK(ph_close(e.r));
	l.next = write_lines_until_warm(l.w, 0);
	return l;
}

// The writer has closed its end: all lines have arrived.
static void expect_lines_read(struct line_pipe *l)
{
	test_join(l->reader);
	CHECK_EQ(*l->read, l->next);
}

/* ---- stdio ---- */

static void print_on_standard_output(void *arg)
{
	struct line_pipe *l = arg;

	CHECK_OK(ph_dup2(l->w, 1));
	CHECK_OK(ph_close(l->w));
	for (int round = 0; round < 3000; round++) {
		CHECK(write_line(ph_write, 1, l->next++));
		printf("%llu\n", (unsigned long long)l->next++);
		printf("%llu\n", (unsigned long long)l->next++);
		CHECK_EQ(fflush(stdout), 0);
	}
	atomic_store(l->wrote, l->next);
}

// Run fn(l) in a child that has the only descriptor for writing, and see that its lines arrive.
static void write_in_child(void (*fn)(void *))
{
	for (int round = 0; round < 5; round++) {
		struct line_pipe l = make_line_pipe();
		pid_t pid = test_fork(fn, &l);
		CHECK_OK(ph_close(l.w));
		test_join(pid);
		l.next = *l.wrote;
		expect_lines_read(&l);
	}
}

TEST(printf_and_writes_on_standard_output_keep_their_order)
{
	write_in_child(print_on_standard_output);
}

static void print_on_a_stream(void *arg)
{
	struct line_pipe *l = arg;
	FILE *f = fdopen(l->w, "w");

	CHECK(f != NULL);
	for (int round = 0; round < 3000; round++) {
		fprintf(f, "%llu\n", (unsigned long long)l->next++);
		CHECK_EQ(fflush(f), 0);
		CHECK(write_line(ph_write, l->w, l->next++));
	}
	CHECK_EQ(fclose(f), 0);
	atomic_store(l->wrote, l->next);
}

TEST(stream_of_fdopen_keeps_the_order_with_writes_before_and_after)
{
	write_in_child(print_on_a_stream);
}

static void print_on_a_stream_and_end(void *arg)
{
	struct line_pipe *l = arg;
	FILE *f = fdopen(l->w, "w");

	CHECK(f != NULL);
	for (int round = 0; round < 3000; round++)
		fprintf(f, "%llu\n", (unsigned long long)l->next++);
	CHECK_EQ(fclose(f), 0);
	atomic_store(l->wrote, l->next);
}

TEST(stream_that_is_closed_ends_the_pipe)
{
	write_in_child(print_on_a_stream_and_end);
}

struct reading {
	struct party writer;
	uint64_t from;
	int r;
};

// Bring a pattern into flow up to some byte, then let fn in a child read the rest.
static void read_in_child(void (*fn)(void *))
{
	for (int round = 0; round < 5; round++) {
		struct ends e = make_pipe();
		struct reading reading = {
			.writer = {.ends = e, .until = make_until(), .most = 200},
			.r = e.r,
		};
		pid_t w = test_fork(be_endless_writer, &reading.writer);
		CHECK_OK(ph_close(e.w));
		pid_t pid = test_fork(fn, &reading);
		CHECK_OK(ph_close(e.r));
		test_join(w);
		test_join(pid);
	}
}

static void read_stream(FILE *f, uint64_t at, uint64_t to)
{
	char buf[777];
	size_t n;

	CHECK(f != NULL);
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0) {
		CHECK(pattern_match(buf, at, n));
		at += n;
	}
	CHECK(feof(f) && !ferror(f));
	CHECK_EQ(at, to);
}

static uint64_t warm_up(struct reading *r, int fd)
{
	const uint64_t at = read_pattern_until_warm(fd, 0);

	atomic_store(r->writer.until, at + MIB);
	return at;
}

static void read_standard_input(void *arg)
{
	struct reading *r = arg;

	CHECK_OK(ph_dup2(r->r, 0));
	CHECK_OK(ph_close(r->r));
	const uint64_t at = warm_up(r, 0);
	read_stream(stdin, at, at + MIB);
}

TEST(stdin_reads_on_after_reads_of_the_library)
{
	read_in_child(read_standard_input);
}

static void read_with_fdopen(void *arg)
{
	struct reading *r = arg;
	const uint64_t at = warm_up(r, r->r);
	FILE *f = fdopen(r->r, "r");

	read_stream(f, at, at + MIB);
	CHECK_EQ(fclose(f), 0);
}

TEST(stream_of_fdopen_reads_on_after_reads_of_the_library)
{
	read_in_child(read_with_fdopen);
}

static void read_half_and_half(void *arg)
{
	struct reading *r = arg;
	uint64_t at = warm_up(r, r->r);
	const uint64_t to = at + MIB;
	char buf[1000];
	ssize_t n = 1;

	CHECK_OK(ph_export(r->r));
	for (int turn = 0; n > 0; turn++) {
		n = (turn % 2 ? ph_read : raw_read)(r->r, buf, sizeof(buf));
		CHECK_OK(n);
		CHECK(pattern_match(buf, at, (size_t)n));
		at += (uint64_t)n;
	}
	CHECK_EQ(at, to);
}

TEST(exported_pipe_is_read_by_turns)
{
	read_in_child(read_half_and_half);
}

static void splice_to_a_file(void *arg)
{
	struct reading *r = arg;
	const uint64_t at = warm_up(r, r->r);
	const int out = make_catch();
	ssize_t n;

	CHECK_OK(ph_export(r->r));
	while ((n = splice(r->r, NULL, out, NULL, 65536, 0)) > 0)
		;
	CHECK_EQ(n, 0);
	expect_caught(out, at, at + MIB);
}

TEST(exported_pipe_is_spliced)
{
	read_in_child(splice_to_a_file);
}

static void write_half_and_half(void *arg)
{
	struct line_pipe *l = arg;

	CHECK_OK(ph_export(l->w));
	for (int round = 0; round < 3000; round++) {
		CHECK(write_line(raw_write, l->w, l->next++));
		CHECK(write_line(ph_write, l->w, l->next++));
	}
	atomic_store(l->wrote, l->next);
}

TEST(exported_pipe_is_written_by_turns)
{
	write_in_child(write_half_and_half);
}

TEST(export_of_what_is_no_pipe_is_ebadf)
{
	const int file = make_catch();

	CHECK_ERR(ph_export(file), EBADF);
	CHECK_ERR(ph_export(-1), EBADF);
	CHECK_ERR(ph_export(999), EBADF);
	CHECK_OK(close(file));
}

TEST(export_may_be_repeated_and_of_either_end)
{
	struct ends e = make_pipe();
	char c;

	for (int i = 0; i < 3; i++) {
		CHECK_OK(ph_export(e.r));
		CHECK_OK(ph_export(e.w));
		CHECK_EQ(ph_write(e.w, "x", 1), 1);
		CHECK_EQ(raw_read(e.r, &c, 1), 1);
		CHECK_EQ(raw_write(e.w, "y", 1), 1);
		CHECK_EQ(ph_read(e.r, &c, 1), 1);
	}
	drop_pipe(e);
}

// Without an export there is no order between the two kinds, but nothing is lost.
TEST(raw_writes_between_those_of_the_library_are_not_lost)
{
	enum { EACH = 40000 };
	struct ends e = make_pipe();
	struct party p = {.ends = e, .count = EACH, .writer = 2, .shape = {.size = 80, .vary = true}};
	unsigned char buf[RECORD_MAX];
	pid_t pid = test_fork(be_record_reader, &p);

	CHECK_OK(ph_close(e.r));
	for (uint32_t n = 0; n < EACH; n++) {
		size_t size = record_make(p.shape, 0, n, buf);
		CHECK_EQ(ph_write(e.w, buf, size), size);
		size = record_make(p.shape, 1, n, buf);
		CHECK_EQ(raw_write(e.w, buf, size), size);
	}
	CHECK_OK(ph_close(e.w));
	test_join(pid);
}

/* ---- closed by others than ph_close ---- */

static void close_plainly(int fd)
{
	CHECK_OK(close(fd));
}

static void close_by_range(int fd)
{
	CHECK_OK(close_range((unsigned)fd, (unsigned)fd, 0));
}

static void close_from(int fd)
{
	CHECK_OK(ph_dup2(fd, 900));
	CHECK_OK(ph_close(fd));
	closefrom(900);
}

static void close_by_dup2(int fd)
{
	const int file = make_catch();

	CHECK_OK(dup2(file, fd));
	CHECK_OK(close(file));
	CHECK_OK(close(fd));
}

static void close_by_dup3(int fd)
{
	const int file = make_catch();

	CHECK_OK(dup3(file, fd, O_CLOEXEC));
	CHECK_OK(close(file));
	CHECK_OK(close(fd));
}

static void close_raw(int fd)
{
	ph_pipe_forget(fd);
	CHECK_OK(syscall(SYS_close, fd));
}

static void (*const closers[])(int fd) = {close_plainly, close_by_range, close_from,
                                          close_by_dup2, close_by_dup3,  close_raw};
enum { CLOSERS = sizeof(closers) / sizeof(closers[0]) };

TEST(end_of_file_comes_with_any_close_of_the_writer_in_full_flow)
{
	for (int round = 0; round < 3 * CLOSERS; round++) {
		struct line_pipe l = make_line_pipe();
		closers[round % CLOSERS](l.w);
		expect_lines_read(&l);
	}
}

struct hasty {
	struct ends ends;
	atomic_int *closed;
};

// Writes until EPIPE, which must come with the first write that begins after the close.
static void write_until_epipe(void *arg)
{
	const struct hasty *h = arg;
	char buf[200] = "";
	int closed;

	signal(SIGPIPE, SIG_IGN);
	CHECK_OK(ph_close(h->ends.r));
	do {
		closed = atomic_load(h->closed);
	} while (ph_write(h->ends.w, buf, sizeof(buf)) == sizeof(buf) && !closed);
	CHECK_EQ(errno, EPIPE);
	CHECK_ERR(ph_write(h->ends.w, buf, 1), EPIPE);
}

TEST(epipe_comes_with_any_close_of_the_reader_in_full_flow)
{
	for (int round = 0; round < 5 * CLOSERS; round++) {
		struct hasty h = {make_pipe(), share(sizeof(atomic_int))};
		struct warming warm = {0};
		char buf[300];
		pid_t pid = test_fork(write_until_epipe, &h);
		CHECK_OK(ph_close(h.ends.w));
		while (!is_warm(&warm, h.ends.r))
			CHECK(ph_read(h.ends.r, buf, sizeof(buf)) > 0);
		closers[round % CLOSERS](h.ends.r);
		atomic_store(h.closed, 1);
		test_join(pid);
	}
}

/* ---- numbers that are used again ---- */

TEST(number_of_a_closed_pipe_may_become_another_pipe)
{
	for (int round = 0; round < 3 * CLOSERS; round++) {
		struct line_pipe old = make_line_pipe();
		const int saved = ph_dup(old.w);
		struct ends e;
		char buf[8];

		closers[round % CLOSERS](old.w);
		e = make_pipe();
		CHECK(e.r == old.w || e.w == old.w);
		CHECK_EQ(ph_write(e.w, "new", 3), 3);
		CHECK_EQ(ph_read(e.r, buf, sizeof(buf)), 3);
		CHECK(memcmp(buf, "new", 3) == 0);
		write_lines(saved, old.next, old.next + 100);
		old.next += 100;
		drop_pipe(e);
		CHECK_OK(ph_close(saved));
		expect_lines_read(&old);
	}
}

TEST(number_of_a_closed_pipe_may_become_a_file)
{
	for (int round = 0; round < 3 * CLOSERS; round++) {
		struct line_pipe old = make_line_pipe();
		char buf[8];

		closers[round % CLOSERS](old.w);
		const int file = old.w;
		const int lowest = make_catch();
		if (lowest != file) {
			CHECK_EQ(syscall(SYS_dup3, lowest, file, O_CLOEXEC), file);
			CHECK_OK(close(lowest));
		}
		CHECK_EQ(ph_write(file, "text", 4), 4);
		CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
		CHECK_EQ(ph_read(file, buf, sizeof(buf)), 4);
		CHECK(memcmp(buf, "text", 4) == 0);
		CHECK_OK(close(file));
		expect_lines_read(&old);
	}
}

TEST(file_over_a_pipe_by_dup2_is_what_is_written_to)
{
	for (int round = 0; round < 10; round++) {
		struct line_pipe l = make_line_pipe();
		const int file = make_catch();
		size_t bytes;

		CHECK_EQ(round % 2 ? dup2(file, l.w) : ph_dup2(file, l.w), l.w);
		expect_lines_read(&l);
		CHECK_EQ(ph_write(l.w, "to the file", 11), 11);
		char *data = caught(file, &bytes);
		CHECK_EQ(bytes, 11);
		free(data);
		CHECK_OK(close(file));
		CHECK_OK(close(l.w));
	}
}

TEST(pipe_over_a_file_by_dup2_is_what_is_written_to)
{
	for (int round = 0; round < 10; round++) {
		struct line_pipe l = make_line_pipe();
		const int file = make_catch();

		CHECK_EQ(dup2(l.w, file), file);
		CHECK_OK(close(l.w));
		write_lines(file, l.next, l.next + 2000);
		l.next += 2000;
		CHECK_OK(close(file));
		expect_lines_read(&l);
	}
}

TEST(duplicates_by_others_than_the_library_keep_the_order)
{
	struct line_pipe l = make_line_pipe();
	int fd[4] = {l.w};

	fd[1] = (int)CHECK_OK(dup(l.w));
	fd[2] = (int)CHECK_OK(syscall(SYS_dup, l.w));
	fd[3] = (int)CHECK_OK(syscall(SYS_fcntl, l.w, F_DUPFD_CLOEXEC, 50));
	for (int i = 0; i < 4000; i++)
		CHECK(write_line(ph_write, fd[mix((uint64_t)i) % 4], l.next++));
	for (int i = 0; i < 4; i++) {
		write_lines(fd[i], l.next, l.next + 100);
		l.next += 100;
		CHECK_OK(close(fd[i]));
	}
	expect_lines_read(&l);
}

// The child of vfork has its parent's memory, but descriptors of its own.
TEST(what_a_vfork_child_does_to_its_descriptors_is_not_done_to_its_parents)
{
	for (int round = 0; round < 10; round++) {
		struct ends e = make_pipe();
		struct ends other = make_pipe();
		pid_t reader = start_line_reader(e, 2001);
		char buf[8];

		write_lines(e.w, 0, 1000);
		const pid_t pid = vfork();
		if (pid == 0) {
			dup2(e.w, other.w);
			dup2(other.r, e.w);
			close(other.r);
			execlp("true", "true", (char *)NULL);
			_exit(127);
		}
		test_join((pid_t)CHECK_OK(pid));
		CHECK_EQ(ph_write(other.w, "other", 5), 5);
		CHECK_EQ(ph_read(other.r, buf, sizeof(buf)), 5);
		write_lines(e.w, 1000, 2001);
		CHECK_OK(ph_close(e.w));
		test_join(reader);
		drop_pipe(other);
	}
}
