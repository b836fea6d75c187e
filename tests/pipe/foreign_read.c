// SPDX-License-Identifier: MIT
//
// tests/pipe/foreign_read.c - readers that do not use the library: from the start, after the library's two
// ends were in full flow, in place of the library's reader or beside it. Every byte arrives once.
#include <posthaste/posix.h>

#include "flow.h"

#include <spawn.h>

/* ---- from the start ---- */

// The library writes a pattern to a program, and catches what that writes.
static void write_to_program(char *const argv[])
{
	enum { BYTES = 20 * MIB };
	struct ends e = make_pipe();
	const int out = make_catch();
	pid_t pid = start_program(e.r, out, argv);

	CHECK_OK(close(e.r));
	write_pattern(e.w, 0, BYTES, 9000);
	CHECK_OK(close(e.w));
	test_join(pid);
	expect_caught(out, 0, BYTES);
	CHECK_OK(close(out));
}

TEST(cat_gets_what_the_library_writes)
{
	write_to_program((char *[]){"cat", NULL});
}

TEST(dd_gets_what_the_library_writes)
{
	write_to_program((char *[]){"dd", "bs=10000", "status=none", NULL});
}

TEST(shell_gets_what_the_library_writes)
{
	write_to_program((char *[]){"sh", "-c", "cat | cat", NULL});
}

TEST(program_of_stdio_gets_what_the_library_writes)
{
	write_to_program((char *[]){"sed", "", NULL});
}

TEST(foreign_reader_that_leaves_raises_epipe)
{
	for (int round = 0; round < 20; round++) {
		struct ends e = make_pipe();
		char buf[5000];
		const int out = make_catch();
		pid_t pid = START(e.r, out, "head", "-c", text_of("%d", 1 + round * 9000));

		CHECK_OK(close(e.r));
		signal(SIGPIPE, SIG_IGN);
		pattern_fill(buf, 0, sizeof(buf));
		while (write(e.w, buf, sizeof(buf)) > 0)
			;
		CHECK_EQ(errno, EPIPE);
		CHECK_ERR(write(e.w, buf, 1), EPIPE);
		test_join(pid);
		CHECK_OK(close(e.w));
		CHECK_OK(close(out));
	}
}

/* ---- in place of the library's reader ---- */

static pid_t by_fork_and_exec(int in, char *const argv[])
{
	return start_program(in, -1, argv);
}

static pid_t by_vfork_and_exec(int in, char *const argv[])
{
	const pid_t pid = vfork();

	if (pid == 0) {
		dup2(in, 0);
		execvp(argv[0], argv);
		_exit(127);
	}
	return (pid_t)CHECK_OK(pid);
}

static pid_t by_posix_spawn(int in, char *const argv[])
{
	posix_spawn_file_actions_t actions;
	pid_t pid;

	CHECK_EQ(posix_spawn_file_actions_init(&actions), 0);
	CHECK_EQ(posix_spawn_file_actions_adddup2(&actions, in, 0), 0);
	CHECK_EQ(posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

// The parent's own standard input is the pipe while the program starts.
static pid_t by_inheritance(int in, char *const argv[])
{
	const int saved = (int)CHECK_OK(fcntl(0, F_DUPFD_CLOEXEC, 100));
	pid_t pid;

	CHECK_OK(dup2(in, 0));
	CHECK_EQ(posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ), 0);
	CHECK_OK(dup2(saved, 0));
	CHECK_OK(close(saved));
	return pid;
}

typedef pid_t starter(int in, char *const argv[]);

// A writer of the library in full flow to the parent, which reads up to some byte (`header`, or until the
// flow is full) and lets a program read the rest.
static void hand_over(starter *start, const char *name, uint64_t header, uint64_t rest, size_t most)
{
	struct ends e = make_pipe();
	struct party writer = {.ends = e, .until = make_until(), .most = most};
	pid_t w = test_fork(be_endless_writer, &writer);
	uint64_t at = header;

	CHECK_OK(close(e.w));
	if (header)
		read_pattern(e.r, 0, header);
	else
		at = read_pattern_until_warm(e.r, 0);
	atomic_store(writer.until, at + rest);
	char *const argv[] = {(char *)program(name), "match", text_of("%llu", (long long)at),
	                      text_of("%llu", (long long)(at + rest)), NULL};
	pid_t pid = start(e.r, argv);
	CHECK_OK(close(e.r));
	test_join(w);
	test_join(pid);
}

static void hand_over_in_flow(starter *start)
{
	for (int round = 0; round < 4; round++)
		hand_over(start, round % 2 ? "peer" : "stranger", 0, 4 * MIB, 200);
}

TEST(program_started_by_fork_and_exec_reads_on_after_full_flow)
{
	hand_over_in_flow(by_fork_and_exec);
}

TEST(program_started_by_vfork_reads_on_after_full_flow)
{
	hand_over_in_flow(by_vfork_and_exec);
}

TEST(program_started_by_posix_spawn_reads_on_after_full_flow)
{
	hand_over_in_flow(by_posix_spawn);
}

TEST(program_that_inherits_standard_input_reads_on_after_full_flow)
{
	hand_over_in_flow(by_inheritance);
}

TEST(program_reads_the_rest_after_a_header_was_read)
{
	static starter *const starters[] = {by_fork_and_exec, by_vfork_and_exec, by_posix_spawn};

	for (unsigned round = 0; round < 90; round++)
		hand_over(starters[round % 3], "stranger", 1 + mix(round) % 20000, MIB / 2, 1 + round * 50);
}

// The parent reads a header and is busy for so long that the writer has filled whatever there is to fill.
TEST(program_reads_the_rest_that_has_filled_the_pipe_meanwhile)
{
	static starter *const starters[] = {by_fork_and_exec, by_vfork_and_exec, by_posix_spawn};

	for (unsigned round = 0; round < 12; round++) {
		struct ends e = make_pipe();
		struct party p = {.ends = e, .until = make_until(), .most = 1 + round * 400};
		pid_t w = test_fork(be_endless_writer, &p);
		uint64_t at = mix(round) % 3000;

		CHECK_OK(close(e.w));
		if (round % 2)
			at = read_pattern_until_warm(e.r, 0);
		else
			read_pattern(e.r, 0, at);
		test_wait_asleep(w);
		atomic_store(p.until, at + MIB);
		char *const argv[] = {(char *)program("stranger"), "match", text_of("%llu", (long long)at),
		                      text_of("%llu", (long long)(at + MIB)), NULL};
		pid_t pid = starters[round % 3](e.r, argv);
		CHECK_OK(close(e.r));
		test_join(w);
		test_join(pid);
	}
}

static void write_pages(int fd, uint64_t from, uint64_t to)
{
	char page[4096];

	for (uint64_t at = from; at < to; at += sizeof(page)) {
		pattern_fill(page, at, sizeof(page));
		CHECK_EQ(write(fd, page, sizeof(page)), sizeof(page));
	}
}

// Looking fetches what stands in the kernel's pipe: the ring is full, and no writes go there. Returns its size.
static uint64_t fill_ring(struct ends e)
{
	const uint64_t bytes = (uint64_t)CHECK_OK(fcntl(e.w, F_GETPIPE_SZ));
	struct iovec iov[2];
	int count;

	write_pages(e.w, 0, bytes);
	CHECK_EQ(ph_pipe_peek(e.r, iov, &count), bytes);
	CHECK_OK(ph_pipe_consume(e.r, 0));
	return bytes;
}

TEST(program_reads_a_full_ring_and_the_full_pipe_behind_it)
{
	static starter *const starters[] = {by_fork_and_exec, by_vfork_and_exec, by_posix_spawn,
	                                    by_inheritance};

	for (unsigned i = 0; i < 4; i++) {
		struct ends e = make_pipe();
		const uint64_t each = fill_ring(e);
		char *const argv[] = {(char *)program("stranger"), "match", "0",
		                      text_of("%llu", (long long)(2 * each)), NULL};
		write_pages(e.w, each, 2 * each);
		CHECK_OK(close(e.w));
		pid_t pid = starters[i](e.r, argv);
		CHECK_OK(close(e.r));
		test_join(pid);
	}
}

// A program that has the end to write to keeps the ring from being poured; but what a reader has made room
// for is drained into it, behind what readers have seen there.
TEST(read_goes_on_where_a_full_ring_was_filled_up_again)
{
	struct ends e = make_pipe();
	const uint64_t each = fill_ring(e);
	char buf[200];

	read_pattern(e.r, 0, 300);
	test_join(START(-1, e.w, "true"));
	write_pages(e.w, each, 2 * each);
	CHECK_OK(ph_export(e.r));
	read_pattern(e.r, 300, each - 100);
	CHECK_EQ(read(e.r, buf, sizeof(buf)), sizeof(buf));
	CHECK(pattern_match(buf, each - 100, sizeof(buf)));
	CHECK_OK(close(e.w));
	read_pattern(e.r, each + 100, 2 * each);
	expect_end(e.r);
	CHECK_OK(close(e.r));
}

// What was written before the program starts, and by somebody who is gone by then.
TEST(program_reads_the_rest_that_a_finished_writer_left)
{
	for (uint64_t round = 0; round < 50; round++) {
		struct ends e = make_pipe();
		struct party writer = {.ends = e, .to = 60000, .most = 1 + round * 20};
		const uint64_t header = 1 + mix(round) % 50000;
		pid_t w = test_fork(be_pattern_writer, &writer);

		CHECK_OK(close(e.w));
		read_pattern(e.r, 0, header);
		test_join(w);
		pid_t pid = start_peer(e.r, -1, "stranger", text_of("match %llu 60000", (long long)header));
		test_join(pid);
		CHECK_OK(close(e.r));
	}
}

// The process itself becomes the program.
static void read_a_header_and_exec(void *arg)
{
	const struct party *p = arg;
	char *const argv[] = {(char *)program("stranger"), "match", text_of("%llu", (long long)p->from),
	                      text_of("%llu", (long long)p->to), NULL};

	CHECK_OK(close(p->ends.w));
	read_pattern(p->ends.r, 0, p->from);
	CHECK_OK(dup2(p->ends.r, 0));
	execv(argv[0], argv);
	_exit(127);
}

TEST(process_that_becomes_another_program_goes_on_reading)
{
	for (unsigned round = 0; round < 50; round++) {
		struct ends e = make_pipe();
		struct party reader = {.ends = e, .from = 1 + mix(round) % 400000, .to = 2 * MIB};
		pid_t pid = test_fork(read_a_header_and_exec, &reader);

		CHECK_OK(close(e.r));
		write_pattern(e.w, 0, reader.to, 1 + round * 40);
		CHECK_OK(close(e.w));
		test_join(pid);
	}
}

TEST(several_programs_in_turn_read_one_stream)
{
	enum { TURNS = 12, EACH = 300000 };
	struct ends e = make_pipe();
	struct party writer = {.ends = e, .to = (uint64_t)TURNS * EACH, .most = 500};
	const int out = make_catch();
	pid_t w = test_fork(be_pattern_writer, &writer);

	CHECK_OK(close(e.w));
	for (int turn = 0; turn < TURNS; turn++) {
		const uint64_t at = (uint64_t)turn * EACH;
		if (turn % 3 == 0) {
			char *buf = malloc(EACH);
			read_pattern(e.r, at, at + EACH);
			pattern_fill(buf, at, EACH);
			CHECK_EQ(write(out, buf, EACH), EACH);
			free(buf);
		} else {
			test_join(START(e.r, out, "dd", "bs=1000", "iflag=fullblock", "status=none",
			                text_of("count=%d", EACH / 1000)));
		}
	}
	expect_end(e.r);
	CHECK_OK(close(e.r));
	test_join(w);
	expect_caught(out, 0, writer.to);
	CHECK_OK(close(out));
}

/* ---- a raw system call in a child that has the library ---- */

static void read_the_rest_raw(void *arg)
{
	const struct party *p = arg;
	char buf[20000];
	uint64_t at = p->from;
	ssize_t n;

	while ((n = raw_read(p->ends.r, buf, sizeof(buf))) > 0) {
		CHECK(pattern_match(buf, at, (size_t)n));
		at += (uint64_t)n;
	}
	CHECK_EQ(n, 0);
	CHECK_EQ(at, p->to);
	CHECK_OK(close(p->ends.r));
}

TEST(exported_pipe_is_read_on_by_raw_calls)
{
	for (int round = 0; round < 5; round++) {
		struct ends e = make_pipe();
		struct party p = {.ends = e, .until = make_until(), .most = 300};
		pid_t w = test_fork(be_endless_writer, &p);

		CHECK_OK(close(e.w));
		p.from = read_pattern_until_warm(e.r, 0);
		p.to = p.from + 4 * MIB;
		atomic_store(p.until, p.to);
		CHECK_OK(ph_export(e.r));
		pid_t pid = test_fork(read_the_rest_raw, &p);
		CHECK_OK(close(e.r));
		test_join(w);
		test_join(pid);
	}
}

/* ---- beside the library's reader ---- */

enum { SHARED_RECORDS = 200000 };

static const struct shape whole = {.size = 64};

struct tally {
	unsigned char seen[SHARED_RECORDS];
	atomic_int strangers; // that have got something
};

static uint32_t number_of(const unsigned char *record)
{
	unsigned char want[RECORD_MAX];
	uint32_t n;

	memcpy(&n, record + 1, sizeof(n));
	CHECK(n < SHARED_RECORDS);
	CHECK_EQ(record_make(whole, 0, n, want), whole.size);
	CHECK(memcmp(record, want, whole.size) == 0);
	return n;
}

struct sharer {
	struct ends ends;
	struct tally *tally;
	bool raw;
};

// Take records one at a time until the end. Those that one reader gets are in order.
static void share_records(void *arg)
{
	const struct sharer *s = arg;
	unsigned char buf[64];
	int64_t last = -1;
	ssize_t n;

	CHECK_OK(close(s->ends.w));
	while ((n = (s->raw ? raw_read : read)(s->ends.r, buf, sizeof(buf))) > 0) {
		CHECK_EQ(n, sizeof(buf));
		const uint32_t number = number_of(buf);
		CHECK((int64_t)number > last);
		if (s->raw && last < 0)
			atomic_fetch_add(&s->tally->strangers, 1);
		last = number;
		s->tally->seen[number]++;
	}
	CHECK_EQ(n, 0);
	CHECK_OK(close(s->ends.r));
}

static void check_tally(const struct tally *t)
{
	for (int i = 0; i < SHARED_RECORDS; i++)
		CHECK_EQ(t->seen[i], 1);
}

static void share_with_raw_readers(int library, int raw, bool late)
{
	struct ends e = make_pipe();
	struct sharer s = {.ends = e, .tally = share(sizeof(struct tally))};
	unsigned char buf[64];
	pid_t pid[8];
	int n = 0;

	while (n < library)
		pid[n++] = test_fork(share_records, &s);
	s.raw = true;
	for (uint32_t i = 0; i < SHARED_RECORDS; i++) {
		if (i == (late ? SHARED_RECORDS / 2 : 0))
			while (n < library + raw)
				pid[n++] = test_fork(share_records, &s);
		record_make(whole, 0, i, buf);
		CHECK_EQ(write(e.w, buf, sizeof(buf)), sizeof(buf));
	}
	drop_pipe(e);
	while (n--)
		test_join(pid[n]);
	check_tally(s.tally);
}

TEST(foreign_and_own_readers_share_a_stream)
{
	share_with_raw_readers(1, 1, false);
	share_with_raw_readers(2, 2, false);
}

TEST(foreign_readers_that_join_a_stream_in_full_flow_share_it)
{
	share_with_raw_readers(1, 1, true);
	share_with_raw_readers(1, 3, true);
	share_with_raw_readers(3, 1, true);
}

// The records that a program caught, whole and in order.
static void tally_caught(int fd, struct tally *t)
{
	size_t bytes;
	char *data = caught(fd, &bytes);
	int64_t last = -1;

	CHECK_EQ(bytes % whole.size, 0);
	for (size_t at = 0; at < bytes; at += whole.size) {
		const uint32_t n = number_of((unsigned char *)data + at);
		CHECK((int64_t)n > last);
		last = n;
		t->seen[n]++;
	}
	free(data);
	CHECK_OK(close(fd));
}

TEST(cats_that_join_a_stream_in_full_flow_share_it)
{
	enum { CATS = 3 };
	struct ends e = make_pipe();
	struct sharer s = {.ends = e, .tally = share(sizeof(struct tally))};
	pid_t pid = test_fork(share_records, &s);
	pid_t cat[CATS];
	int out[CATS], cats = 0;
	unsigned char buf[64];

	for (uint32_t i = 0; i < SHARED_RECORDS; i++) {
		if (cats < CATS && i == SHARED_RECORDS / (CATS + 1) * (uint32_t)(cats + 1)) {
			out[cats] = make_catch();
			cat[cats] = START(e.r, out[cats], "cat");
			cats++;
		}
		record_make(whole, 0, i, buf);
		CHECK_EQ(write(e.w, buf, sizeof(buf)), sizeof(buf));
	}
	drop_pipe(e);
	test_join(pid);
	for (int i = 0; i < CATS; i++) {
		test_join(cat[i]);
		tally_caught(out[i], s.tally);
	}
	check_tally(s.tally);
}
