// SPDX-License-Identifier: MIT
//
// tests/pipe/foreign_mix.c - one process that uses a pipe with the library and in other ways: stdio, raw
// calls after ph_export, splice.
#include <posthaste/posix.h>

#include "line_pipe.h"

/* ---- stdio ---- */

static void print_on_standard_output(void *arg)
{
	struct line_pipe *l = arg;

	CHECK_OK(dup2(l->w, 1));
	CHECK_OK(close(l->w));
	for (int round = 0; round < 3000; round++) {
		CHECK(write_line(ph_write, 1, l->next++));
		printf("%llu\n", (unsigned long long)l->next++);
		printf("%llu\n", (unsigned long long)l->next++);
		CHECK_EQ(fflush(stdout), 0);
	}
	atomic_store(l->wrote, l->next);
	CHECK_OK(close(1));
}

// Run fn(l) in a child that has the only descriptor for writing, and see that its lines arrive.
static void write_in_child(void (*fn)(void *))
{
	for (int round = 0; round < 5; round++) {
		struct line_pipe l = make_line_pipe();
		pid_t pid = test_fork(fn, &l);
		CHECK_OK(close(l.w));
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
		CHECK_OK(close(e.w));
		pid_t pid = test_fork(fn, &reading);
		CHECK_OK(close(e.r));
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

	CHECK_OK(dup2(r->r, 0));
	CHECK_OK(close(r->r));
	const uint64_t at = warm_up(r, 0);
	read_stream(stdin, at, at + MIB);
	CHECK_OK(close(0));
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
	CHECK_OK(close(r->r));
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
	CHECK_OK(close(l->w));
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

	CHECK_OK(close(e.r));
	for (uint32_t n = 0; n < EACH; n++) {
		size_t size = record_make(p.shape, 0, n, buf);
		CHECK_EQ(ph_write(e.w, buf, size), size);
		size = record_make(p.shape, 1, n, buf);
		CHECK_EQ(raw_write(e.w, buf, size), size);
	}
	CHECK_OK(close(e.w));
	test_join(pid);
}
