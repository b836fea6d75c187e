// SPDX-License-Identifier: MIT
//
// tests/pipe/foreign_write.c - writers that do not use the library: from the start, in turn with the
// library's writer, at the same time as others. A writer that was waited for comes before what is written
// afterwards, though the reader was in full flow with the library's writer.
#include <posthaste/posix.h>

#include "flow.h"

#include <spawn.h>

/* ---- from the start ---- */

static void read_from_program(char *const argv[], uint64_t lines)
{
	struct ends e = make_pipe();
	struct lines l = {0};
	pid_t pid = start_program(-1, e.w, argv);

	CHECK_OK(close(e.w));
	read_lines(e.r, &l, lines);
	expect_end(e.r);
	CHECK_OK(close(e.r));
	test_join(pid);
}

TEST(library_reads_what_seq_writes)
{
	read_from_program((char *[]){"seq", "0", "999999", NULL}, 1000000);
}

TEST(library_reads_what_a_shell_echoes)
{
	read_from_program(
		(char *[]){"sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done", NULL},
		20000);
}

TEST(library_reads_what_dd_writes)
{
	read_from_program((char *[]){"sh", "-c", "seq 0 299999 | dd bs=777 status=none", NULL}, 300000);
}

TEST(library_reads_what_one_program_after_the_other_writes)
{
	read_from_program(
		(char *[]){"sh", "-c",
	               "seq 0 9999; echo 10000; seq 10001 19999; (echo 20000; seq 20001 29999)", NULL},
		30000);
}

/* ---- in turn: what is waited for comes first ---- */

// Each starter has a program write the line `number` to descriptor `fd`, and waits for it.
typedef void starter(int fd, uint64_t number);

static void by_fork_and_exec(int fd, uint64_t number)
{
	test_join(START(-1, fd, "echo", text_of("%llu", (long long)number)));
}

static void by_vfork(int fd, uint64_t number)
{
	char *text = text_of("%llu", (long long)number);
	const pid_t pid = vfork();

	if (pid == 0) {
		dup2(fd, 1);
		execlp("echo", "echo", text, (char *)NULL);
		_exit(127);
	}
	test_join((pid_t)CHECK_OK(pid));
}

static void by_posix_spawn(int fd, uint64_t number)
{
	char *const argv[] = {"echo", text_of("%llu", (long long)number), NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid;

	CHECK_EQ(posix_spawn_file_actions_init(&actions), 0);
	CHECK_EQ(posix_spawn_file_actions_adddup2(&actions, fd, 1), 0);
	CHECK_EQ(posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	test_join(pid);
}

// The number of an inherited descriptor that stays open over exec.
static int inheritable(int fd)
{
	return (int)CHECK_OK(fcntl(fd, F_DUPFD, 9));
}

static void by_system(int fd, uint64_t number)
{
	const int open_fd = inheritable(fd);

	CHECK(open_fd == 9); // a shell takes one digit
	CHECK_EQ(system(text_of("echo %llu >&9", (long long)number)), 0);
	CHECK_OK(close(open_fd));
}

static void by_popen(int fd, uint64_t number)
{
	const int open_fd = inheritable(fd);
	char byte;

	CHECK(open_fd == 9);
	FILE *f = popen(text_of("echo %llu >&9", (long long)number), "re");
	CHECK(f != NULL);
	CHECK_EQ(fread(&byte, 1, 1, f), 0);
	CHECK_EQ(pclose(f), 0);
	CHECK_OK(close(open_fd));
}

// A process of this family that becomes the program a while after it was forked, in the flow.
static void by_a_late_exec(int fd, uint64_t number)
{
	char *text = text_of("%llu", (long long)number);
	int go[2];
	char byte;

	CHECK_OK(pipe2(go, O_CLOEXEC));
	const pid_t pid = (pid_t)CHECK_OK(fork());
	if (pid == 0) {
		CHECK_EQ(read(go[0], &byte, 1), 1);
		CHECK_OK(dup2(fd, 1));
		execlp("echo", "echo", text, (char *)NULL);
		_exit(127);
	}
	CHECK_EQ(write(go[1], "x", 1), 1);
	test_join(pid);
	CHECK_OK(close(go[0]));
	CHECK_OK(close(go[1]));
}

// A child that was forked before the pipe was in flow, and writes with the library.
static void by_a_child_with_the_library(int fd, uint64_t number)
{
	const pid_t pid = (pid_t)CHECK_OK(fork());

	if (pid == 0)
		_exit(!write_line(write, fd, number));
	test_join(pid);
}

static void by_peer_program(int fd, uint64_t number)
{
	const char *args = text_of("lines %llu %llu", (long long)number, (long long)number + 1);

	test_join(start_peer(-1, fd, "peer", args));
}

// The library's writer, in full flow to the library's reader, lets a program write and goes on, several
// times on each pipe.
static void take_turns(starter *start, int pipes)
{
	enum { TURNS = 3, BETWEEN = 300 };

	for (int i = 0; i < pipes; i++) {
		struct ends e = make_pipe();
		struct party reader = {.ends = e, .to = UINT64_MAX};
		uint64_t *last = share(sizeof(*last));
		pid_t pid = (pid_t)CHECK_OK(fork());
		if (pid == 0) {
			struct lines l = {0};
			char buf[2000];
			ssize_t n;
			CHECK_OK(close(reader.ends.w));
			while ((n = read(e.r, buf, sizeof(buf))) > 0)
				CHECK(lines_feed(&l, buf, (size_t)n));
			*last = l.next;
			CHECK_OK(close(e.r));
			_exit(n != 0);
		}
		CHECK_OK(close(e.r));
		uint64_t next = i % 2 ? write_lines_until_warm(e.w, 0) : 0;
		for (int turn = 0; turn < TURNS; turn++) {
			write_lines(e.w, next, next + BETWEEN);
			next += BETWEEN;
			start(e.w, next++);
		}
		write_lines(e.w, next, next + BETWEEN);
		CHECK_OK(close(e.w));
		test_join(pid);
		CHECK_EQ(*last, next + BETWEEN);
	}
}

TEST(line_of_a_forked_program_comes_in_its_turn)
{
	take_turns(by_fork_and_exec, 12);
}

TEST(line_of_a_vforked_program_comes_in_its_turn)
{
	take_turns(by_vfork, 12);
}

TEST(line_of_a_spawned_program_comes_in_its_turn)
{
	take_turns(by_posix_spawn, 12);
}

TEST(line_of_a_shell_started_by_system_comes_in_its_turn)
{
	take_turns(by_system, 12);
}

TEST(line_of_a_shell_started_by_popen_comes_in_its_turn)
{
	take_turns(by_popen, 12);
}

TEST(line_of_a_child_that_execs_later_comes_in_its_turn)
{
	take_turns(by_a_late_exec, 12);
}

TEST(line_of_a_child_with_the_library_comes_in_its_turn)
{
	take_turns(by_a_child_with_the_library, 12);
}

TEST(line_of_a_program_with_the_library_comes_in_its_turn)
{
	take_turns(by_peer_program, 12);
}

/* ---- in a shell's pipeline ---- */

static void run_shell(const char *script)
{
	char *const argv[] = {
		"sh", "-ec", (char *)script, (char *)program("peer"), (char *)program("stranger"), NULL};

	test_join(start_program(-1, -1, argv)); // $0 is the peer, $1 the stranger
}

TEST(programs_with_and_without_the_library_write_in_turn_to_one_with_it)
{
	run_shell("(\"$0\" lines 0 50000; echo 50000; \"$0\" lines 50001 100000; seq 100000 100999;"
	          " \"$0\" lines 101000 150000; \"$1\" lines 150000 150100) | \"$0\" expect 0 150100");
}

TEST(programs_with_and_without_the_library_write_in_turn_to_one_without_it)
{
	run_shell("(\"$0\" lines 0 50000; echo 50000; \"$0\" lines 50001 100000; seq 100000 100999;"
	          " \"$0\" lines 101000 150000) | \"$1\" expect 0 150000");
}

TEST(pipeline_of_programs_with_and_without_the_library)
{
	run_shell("\"$0\" pattern 0 9000000 | \"$0\" copy | cat | \"$0\" copy | \"$1\" copy |"
	          " \"$0\" match 0 9000000");
	run_shell("\"$1\" pattern 0 9000000 | \"$0\" copy | \"$0\" copy | \"$1\" match 0 9000000");
}

TEST(programs_in_the_background_write_at_the_same_time)
{
	run_shell("(\"$0\" write 0 9000 v500 & \"$1\" write 1 9000 v500 & \"$0\" write 2 9000 v500 &"
	          " \"$1\" write 3 9000 v500 & wait) | \"$0\" check 4 9000 v500");
}

/* ---- at the same time ---- */

// Writers of all kinds on one pipe: [0, own) of this process's family by the library, then by raw calls,
// then programs without and with the library.
struct crowd {
	unsigned own, raw, strangers, peers;
};

static void write_in_a_crowd(struct crowd c, uint32_t count, bool late)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .count = count, .shape = {.size = 600, .vary = true}};
	pid_t pid[WRITERS_MAX + 1];
	unsigned n = 0;
	struct warming warm = {0};

	p.writer = c.own + c.raw + c.strangers + c.peers;
	pid[WRITERS_MAX] = test_fork(be_record_reader, &p);
	for (; n < c.own; n++) {
		p.writer = n;
		pid[n] = test_fork(be_record_writer, &p);
	}
	while (late && !is_warm(&warm, e.w))
		;
	for (; n < c.own + c.raw; n++) {
		p.writer = n;
		pid[n] = test_fork(be_raw_record_writer, &p);
	}
	for (; n < c.own + c.raw + c.strangers + c.peers; n++)
		pid[n] = start_peer(-1, e.w, n < c.own + c.raw + c.strangers ? "stranger" : "peer",
		                    text_of("write %u %u v600", n, (unsigned)count));
	drop_pipe(e);
	while (n--)
		test_join(pid[n]);
	test_join(pid[WRITERS_MAX]);
}

TEST(raw_writer_beside_one_of_the_library)
{
	write_in_a_crowd((struct crowd){.own = 1, .raw = 1}, 60000, false);
	write_in_a_crowd((struct crowd){.own = 1, .raw = 1}, 60000, true);
}

TEST(stranger_beside_a_writer_of_the_library)
{
	write_in_a_crowd((struct crowd){.own = 1, .strangers = 1}, 60000, false);
	write_in_a_crowd((struct crowd){.own = 1, .strangers = 1}, 60000, true);
}

TEST(writers_of_all_kinds_at_the_same_time)
{
	const struct crowd c = {.own = 2, .raw = 2, .strangers = 2, .peers = 2};

	write_in_a_crowd(c, 10000, false);
	write_in_a_crowd(c, 10000, true);
}

// A raw writer that comes and goes: each of its records is there though the reader is never idle.
TEST(strangers_that_come_one_after_the_other_into_full_flow)
{
	enum { STRANGERS = 15 };
	struct ends e = make_pipe();
	struct party p = {.ends = e, .count = 200000, .shape = {.size = 100, .vary = true}};
	pid_t writer = test_fork(be_record_writer, &p);
	pid_t reader;

	p.writer = 1;
	reader = (pid_t)CHECK_OK(fork());
	if (reader == 0) {
		struct records r = {.shape = p.shape};
		CHECK_OK(close(e.w));
		read_records(e.r, &r);
		CHECK_EQ(r.next[0], p.count);
		for (unsigned w = 1; w <= STRANGERS; w++)
			CHECK_EQ(r.next[w], 50);
		CHECK_EQ(r.bytes, 0);
		CHECK_OK(close(e.r));
		_exit(0);
	}
	for (unsigned w = 1; w <= STRANGERS; w++)
		test_join(start_peer(-1, e.w, "stranger", text_of("write %u 50 v100", w)));
	drop_pipe(e);
	test_join(writer);
	test_join(reader);
}

/* ---- a stranger at each end ---- */

TEST(stranger_at_both_ends_of_a_pipe_of_the_library)
{
	struct ends e = make_pipe();
	pid_t reader = start_peer(e.r, -1, "stranger", "match 0 20000000");
	pid_t writer = start_peer(-1, e.w, "stranger", "pattern 0 20000000");

	drop_pipe(e);
	test_join(writer);
	test_join(reader);
}

// Both of the library's ends are in full flow, and then each becomes a stranger.
TEST(strangers_take_over_both_ends_of_a_pipe_in_full_flow)
{
	for (int round = 0; round < 10; round++) {
		struct ends e = make_pipe();
		struct party p = {.ends = e, .until = make_until(), .most = 200};
		pid_t w = test_fork(be_endless_writer, &p);
		const uint64_t at = read_pattern_until_warm(e.r, 0);
		atomic_store(p.until, at + MIB);
		pid_t reader =
			start_peer(e.r, -1, "stranger",
		               text_of("match %llu %llu", (long long)at, (long long)at + 2 * MIB));
		test_join(w);
		pid_t writer =
			start_peer(-1, e.w, "stranger",
		               text_of("pattern %llu %llu", (long long)at + MIB, (long long)at + 2 * MIB));
		drop_pipe(e);
		test_join(writer);
		test_join(reader);
	}
}
