// SPDX-License-Identifier: MIT
//
// tests/pipe/pass_socket.c - ends that are sent over a UNIX socket, to processes that existed before the
// pipe did: relatives, strangers with the library, strangers without it.
#include <posthaste/posix.h>

#include "line_pipe.h"

#include <sys/socket.h>

struct sockets {
	int here, there;
};

static struct sockets make_sockets(void)
{
	int fds[2];

	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	return (struct sockets){fds[0], fds[1]};
}

union control {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static void send_end(int sock, int fd)
{
	union control control = {{0}};
	char byte = 'x';
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &control,
	                     .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	CHECK_EQ(sendmsg(sock, &msg, 0), 1);
}

static int receive_end(int sock)
{
	union control control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &control,
	                     .msg_controllen = sizeof(control)};
	int fd;

	CHECK_EQ(recvmsg(sock, &msg, MSG_CMSG_CLOEXEC), 1);
	CHECK(CMSG_FIRSTHDR(&msg) != NULL);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

// Start one of our programs, which waits for the end that it is to use.
static pid_t start_adopter(struct sockets *s, const char *name, const char *args)
{
	*s = make_sockets();
	const int fd = (int)CHECK_OK(fcntl(s->there, F_DUPFD, 60));
	pid_t pid = start_peer(-1, -1, name, text_of("adopt %d %s", fd, args));

	CHECK_OK(close(fd));
	CHECK_OK(close(s->there));
	return pid;
}

static void give(struct sockets s, int fd)
{
	send_end(s.here, fd);
	CHECK_OK(close(s.here));
}

/* ---- relatives that were forked before there was a pipe ---- */

static void write_to_what_comes(void *arg)
{
	const struct sockets *s = arg;

	CHECK_OK(close(s->here));
	const int w = receive_end(s->there);
	write_pattern(w, 0, 10 * MIB, 700);
	CHECK_OK(close(w));
	CHECK_OK(close(s->there));
}

TEST(child_writes_to_an_end_that_it_is_sent)
{
	struct sockets s = make_sockets();
	pid_t pid = test_fork(write_to_what_comes, &s);
	struct ends e = make_pipe();

	send_end(s.here, e.w);
	CHECK_OK(close(e.w));
	read_pattern(e.r, 0, 10 * MIB);
	expect_end(e.r);
	test_join(pid);
	CHECK_OK(close(e.r));
	CHECK_OK(close(s.here));
	CHECK_OK(close(s.there));
}

static void read_what_comes(void *arg)
{
	const struct sockets *s = arg;

	CHECK_OK(close(s->here));
	const int r = receive_end(s->there);
	read_pattern(r, 0, 10 * MIB);
	expect_end(r);
	CHECK_OK(close(r));
	CHECK_OK(close(s->there));
}

TEST(child_reads_from_an_end_that_it_is_sent)
{
	struct sockets s = make_sockets();
	pid_t pid = test_fork(read_what_comes, &s);
	struct ends e = make_pipe();

	send_end(s.here, e.r);
	CHECK_OK(close(e.r));
	write_pattern(e.w, 0, 10 * MIB, 700);
	CHECK_OK(close(e.w));
	test_join(pid);
	CHECK_OK(close(s.here));
	CHECK_OK(close(s.there));
}

TEST(end_that_is_received_by_its_own_process_is_the_same_pipe)
{
	struct sockets s = make_sockets();
	struct line_pipe l = make_line_pipe();

	for (int round = 0; round < 50; round++) {
		send_end(s.here, l.w);
		const int w = receive_end(s.there);
		write_lines(w, l.next, l.next + 50);
		write_lines(l.w, l.next + 50, l.next + 100);
		l.next += 100;
		CHECK_OK(close(round % 2 ? l.w : w));
		l.w = round % 2 ? w : l.w;
	}
	CHECK_OK(close(l.w));
	expect_lines_read(&l);
	CHECK_OK(close(s.here));
	CHECK_OK(close(s.there));
}

/* ---- programs that were started before there was a pipe ---- */

static void give_both_ends(const char *writer, const char *reader)
{
	struct sockets to_writer, to_reader;
	pid_t w = start_adopter(&to_writer, writer, "pattern 0 20000000");
	pid_t r = start_adopter(&to_reader, reader, "match 0 20000000");
	struct ends e = make_pipe();

	give(to_writer, e.w);
	give(to_reader, e.r);
	drop_pipe(e);
	test_join(w);
	test_join(r);
}

TEST(two_unrelated_programs_with_the_library_meet)
{
	give_both_ends("peer", "peer");
}

TEST(unrelated_programs_with_and_without_the_library_meet)
{
	give_both_ends("peer", "stranger");
	give_both_ends("stranger", "peer");
	give_both_ends("stranger", "stranger");
}

// In full flow to a reader, this process lets an unrelated program write, waits for it, and writes on.
TEST(unrelated_program_with_the_library_writes_in_its_turn)
{
	for (int round = 0; round < 15; round++) {
		struct line_pipe l = make_line_pipe();
		struct sockets s;
		pid_t pid = start_adopter(
			&s, "peer",
			text_of("lines %llu %llu", (long long)l.next + 1000, (long long)l.next + 2000));
		write_lines(l.w, l.next, l.next + 1000);
		give(s, l.w);
		test_join(pid);
		l.next += 2000;
		write_lines(l.w, l.next, l.next + 1000);
		l.next += 1000;
		CHECK_OK(close(l.w));
		expect_lines_read(&l);
	}
}

TEST(unrelated_writers_of_all_kinds_join_a_stream_in_full_flow)
{
	for (int round = 0; round < 4; round++) {
		struct ends e = make_pipe();
		struct party p = {
			.ends = e, .writer = 3, .count = 20000, .shape = {.size = 200, .vary = true}};
		struct sockets s[2];
		pid_t pid[2] = {start_adopter(&s[0], "stranger", "write 1 20000 v200"),
		                start_adopter(&s[1], "peer", "write 2 20000 v200")};
		pid_t reader = test_fork(be_record_reader, &p);
		p.writer = 0;
		pid_t writer = test_fork(be_record_writer, &p);
		struct warming warm = {0};

		while (!is_warm(&warm, e.w))
			;
		for (int i = 0; i < 2; i++)
			give(s[i], e.w);
		drop_pipe(e);
		for (int i = 0; i < 2; i++)
			test_join(pid[i]);
		test_join(writer);
		test_join(reader);
	}
}

// The end to read from goes to another program in full flow. A stranger gets it when nobody else has it
// any more, or after an export: what a reader of the library has in the ring is as good as read.
static void give_the_reading_end(const char *name, bool exported)
{
	for (int round = 0; round < 5; round++) {
		struct ends e = make_pipe();
		struct party p = {.ends = e, .until = make_until(), .most = 300};
		pid_t writer = test_fork(be_endless_writer, &p);
		struct sockets s = make_sockets();

		CHECK_OK(close(e.w));
		const uint64_t at = read_pattern_until_warm(e.r, 0);
		const char *args =
			text_of("adopt 60 match %llu %llu", (long long)at, (long long)at + 4 * MIB);
		atomic_store(p.until, at + 4 * MIB);
		if (exported)
			CHECK_OK(ph_export(e.r));
		send_end(s.here, e.r);
		CHECK_OK(close(s.here));
		if (!exported)
			CHECK_OK(close(e.r));
		CHECK_OK(dup2(s.there, 60));
		pid_t reader = start_peer(-1, -1, name, args);
		CHECK_OK(close(60));
		CHECK_OK(close(s.there));
		if (exported)
			CHECK_OK(close(e.r));
		test_join(writer);
		test_join(reader);
	}
}

TEST(end_that_nobody_else_has_any_more_is_read_on_by_an_unrelated_program)
{
	give_the_reading_end("peer", false);
	give_the_reading_end("stranger", false);
}

TEST(exported_end_is_read_on_by_an_unrelated_program)
{
	give_the_reading_end("peer", true);
	give_the_reading_end("stranger", true);
}

/* ---- an end that is on its way only ---- */

TEST(end_in_a_socket_keeps_the_pipe_open)
{
	for (int round = 0; round < 20; round++) {
		struct line_pipe l = make_line_pipe();
		struct sockets s = make_sockets();

		send_end(s.here, l.w);
		CHECK_OK(close(l.w));
		test_wait_asleep(l.reader);
		l.w = receive_end(s.there);
		write_lines(l.w, l.next, l.next + 5000);
		l.next += 5000;
		CHECK_OK(close(l.w));
		expect_lines_read(&l);
		CHECK_OK(close(s.here));
		CHECK_OK(close(s.there));
	}
}

TEST(end_that_is_lost_with_its_socket_is_the_end_of_file)
{
	for (int round = 0; round < 20; round++) {
		struct line_pipe l = make_line_pipe();
		struct sockets s = make_sockets();

		send_end(s.here, l.w);
		CHECK_OK(close(l.w));
		CHECK_OK(close(s.here));
		CHECK_OK(close(s.there));
		expect_lines_read(&l);
	}
}
