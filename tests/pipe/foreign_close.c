// SPDX-License-Identifier: MIT
//
// tests/pipe/foreign_close.c - ends that are closed, doubled and replaced by others than the library's calls,
// and numbers that are used again: the C library's close and dup2, close_range, raw calls, vfork.
#include <posthaste/posix.h>

#include "line_pipe.h"

// From here on these names are the C library's; the library's are called by their own.
#undef close
#undef dup
#undef dup2

/* ---- closed by others than ph_close ---- */

static void close_plainly(int fd)
{
	CHECK_OK(close(fd));
}

#ifdef __GLIBC__ // musl has neither
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
#endif

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

static void (*const closers[])(int fd) = {
#ifdef __GLIBC__
	close_by_range, close_from,
#endif
	close_plainly,  close_by_dup2, close_by_dup3, close_raw,
};
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
	CHECK_OK(ph_close(h->ends.w));
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

// Fork a reader of the lines [0, to), which end there, and keep the end to write to.
static pid_t start_line_reader(struct ends e, uint64_t to)
{
	struct party p = {.ends = e, .to = to};
	pid_t pid = test_fork(be_line_reader, &p);

	CHECK_OK(ph_close(e.r));
	return pid;
}

struct two_pipes {
	struct ends e, other;
};

// Of a thread whose first call of the library is its vfork child's.
static void *start_in_thread(void *arg)
{
	const struct two_pipes *s = arg;
	const pid_t pid = vfork();

	if (pid == 0) {
		dup2(s->e.w, s->other.w);
		close(s->e.w);
		close(s->other.r);
		execlp("true", "true", (char *)NULL);
		_exit(127);
	}
	test_join((pid_t)CHECK_OK(pid));
	CHECK_EQ(ph_write(s->e.w, "from a thread", 13), 13);
	return NULL;
}

TEST(vfork_child_of_a_thread_that_has_not_used_the_library_is_not_taken_for_the_thread)
{
	for (int round = 0; round < 10; round++) {
		struct two_pipes s = {.e = make_pipe(), .other = make_pipe()};
		pthread_t thread;
		char buf[16];

		CHECK_EQ(ph_write(s.e.w, "before", 6), 6);
		CHECK_EQ(ph_read(s.e.r, buf, sizeof(buf)), 6);
		CHECK_EQ(ph_write(s.other.w, "other", 5), 5);
		CHECK_EQ(ph_read(s.other.r, buf, sizeof(buf)), 5);
		CHECK_EQ(pthread_create(&thread, NULL, start_in_thread, &s), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		CHECK_EQ(ph_read(s.e.r, buf, sizeof(buf)), 13);
		CHECK_EQ(ph_write(s.other.w, "other", 5), 5);
		CHECK_EQ(ph_read(s.other.r, buf, sizeof(buf)), 5);
		drop_pipe(s.e);
		drop_pipe(s.other);
	}
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
