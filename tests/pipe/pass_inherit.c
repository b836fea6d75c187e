// SPDX-License-Identifier: MIT
//
// tests/pipe/pass_inherit.c - ends that go on to children, to children's children and to other programs,
// also in full flow: whoever has one writes and reads as the first owner did, in the order in which they
// took turns.
#include <posthaste/posix.h>

#include "line_pipe.h"

#include <sys/resource.h>

/* ---- fork ---- */

// Each generation writes some lines, lets its child write the next ones, and writes on after it.
static uint64_t write_by_generations(int w, uint64_t next, int depth)
{
	_Atomic uint64_t *after = make_until();

	write_lines(w, next, next + 500);
	next += 500;
	if (depth == 0)
		return next;
	const pid_t pid = (pid_t)CHECK_OK(fork());
	if (pid == 0) {
		atomic_store(after, write_by_generations(w, next, depth - 1));
		_exit(0);
	}
	test_join(pid);
	next = atomic_load(after);
	write_lines(w, next, next + 500);
	return next + 500;
}

TEST(twenty_generations_write_in_turn)
{
	struct line_pipe l = make_line_pipe();

	l.next = write_by_generations(l.w, l.next, 20);
	CHECK_OK(close(l.w));
	expect_lines_read(&l);
}

// Each generation reads a part, and its child what follows; the last one reads to the end.
static void read_by_generations(int r, uint64_t at, uint64_t to, int depth)
{
	if (depth == 0) {
		read_pattern(r, at, to);
		expect_end(r);
		return;
	}
	const uint64_t part = at + mix(at) % 200000;
	read_pattern(r, at, part);
	const pid_t pid = (pid_t)CHECK_OK(fork());
	if (pid == 0) {
		read_by_generations(r, part, to, depth - 1);
		_exit(0);
	}
	test_join(pid);
}

TEST(twenty_generations_read_one_after_the_other)
{
	for (int round = 0; round < 4; round++) {
		struct ends e = make_pipe();
		struct party p = {.ends = e, .until = make_until(), .most = 300};
		pid_t writer = test_fork(be_endless_writer, &p);

		CHECK_OK(close(e.w));
		const uint64_t at = read_pattern_until_warm(e.r, 0);
		atomic_store(p.until, at + 5 * MIB);
		read_by_generations(e.r, at, at + 5 * MIB, 20);
		CHECK_OK(close(e.r));
		test_join(writer);
	}
}

// Parent and child read one stream by turns, passing the baton through other pipes.
struct relay {
	struct ends data, there, back;
	uint64_t to;
};

static void read_by_turns(const struct relay *r, int wait, int go)
{
	uint64_t at;
	char buf[3000];

	while (read(wait, &at, sizeof(at)) == sizeof(at)) {
		if (at < r->to) {
			const uint64_t most = r->to - at < sizeof(buf) ? r->to - at : sizeof(buf);
			const ssize_t n = read(r->data.r, buf, 1 + mix(at) % most);
			CHECK(n > 0);
			CHECK(pattern_match(buf, at, (size_t)n));
			at += (uint64_t)n;
		}
		CHECK_EQ(write(go, &at, sizeof(at)), sizeof(at));
		if (at == r->to)
			break;
	}
}

static void read_in_the_child(void *arg)
{
	const struct relay *r = arg;

	read_by_turns(r, r->there.r, r->back.w);
}

TEST(parent_and_child_read_by_turns)
{
	struct relay r = {make_pipe(), make_pipe(), make_pipe(), 4 * MIB};
	struct party p = {.ends = r.data, .to = r.to, .most = 600};
	const uint64_t start = 0;
	pid_t child = test_fork(read_in_the_child, &r);
	pid_t writer = test_fork(be_pattern_writer, &p);

	CHECK_EQ(write(r.there.w, &start, sizeof(start)), sizeof(start));
	read_by_turns(&r, r.back.r, r.there.w);
	test_join(child);
	test_join(writer);
	drop_pipe(r.data);
	drop_pipe(r.there);
	drop_pipe(r.back);
}

// Writers forked from writers, all at the same time.
static void write_and_branch(const struct party *p, unsigned *writer, int depth)
{
	struct party own = *p;
	pid_t pid[2];

	if (depth == 0)
		return;
	for (int i = 0; i < 2; i++) {
		own.writer = (*writer)++;
		unsigned below = *writer;
		*writer += (2U << (depth - 1)) - 2;
		pid[i] = (pid_t)CHECK_OK(fork());
		if (pid[i] == 0) {
			unsigned n = below;
			CHECK(write_records(write, p->ends.w, p->shape, own.writer, p->count / 2));
			write_and_branch(p, &n, depth - 1);
			unsigned char buf[RECORD_MAX];
			for (uint32_t k = p->count / 2; k < p->count; k++) {
				const size_t size = record_make(p->shape, own.writer, k, buf);
				CHECK_EQ(write(p->ends.w, buf, size), size);
			}
			_exit(0);
		}
	}
	for (int i = 0; i < 2; i++)
		test_join(pid[i]);
}

TEST(tree_of_writers_on_one_pipe)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .writer = 14, .count = 6000, .shape = {.size = 300, .vary = true}};
	pid_t reader = test_fork(be_record_reader, &p);
	unsigned writer = 0;

	write_and_branch(&p, &writer, 3);
	CHECK_EQ(writer, 14);
	drop_pipe(e);
	test_join(reader);
}

static void ping(const struct ends *there, const struct ends *back, uint32_t rounds)
{
	for (uint32_t i = 0, got; i < rounds; i++) {
		CHECK_EQ(write(there->w, &i, sizeof(i)), sizeof(i));
		CHECK_EQ(read(back->r, &got, sizeof(got)), sizeof(got));
		CHECK_EQ(got, i);
	}
}

static void pong(const struct ends *there, const struct ends *back, uint32_t rounds)
{
	for (uint32_t i = 0, got; i < rounds; i++) {
		CHECK_EQ(read(there->r, &got, sizeof(got)), sizeof(got));
		CHECK_EQ(write(back->w, &got, sizeof(got)), sizeof(got));
	}
}

TEST(every_generation_answers_its_parent_on_the_same_two_pipes)
{
	struct ends there = make_pipe(), back = make_pipe();

	for (int generation = 0; generation < 15; generation++) {
		const pid_t pid = (pid_t)CHECK_OK(fork());
		if (pid == 0) {
			pong(&there, &back, 1000);
			const pid_t grandchild = (pid_t)CHECK_OK(fork());
			if (grandchild == 0) {
				pong(&there, &back, 1000);
				_exit(0);
			}
			test_join(grandchild);
			_exit(0);
		}
		ping(&there, &back, 2000);
		test_join(pid);
	}
	drop_pipe(there);
	drop_pipe(back);
}

/* ---- exec of programs that use the library ---- */

TEST(program_on_standard_input_and_output_copies)
{
	struct ends there = make_pipe(), back = make_pipe();
	struct party p = {.ends = there, .to = 20 * MIB, .most = 5000};
	pid_t copier = start_peer(there.r, back.w, "peer", "copy");
	pid_t writer = test_fork(be_pattern_writer, &p);

	drop_pipe(there);
	CHECK_OK(close(back.w));
	read_pattern(back.r, 0, p.to);
	expect_end(back.r);
	test_join(writer);
	test_join(copier);
	CHECK_OK(close(back.r));
}

TEST(chain_of_programs_with_the_library)
{
	enum { STAGES = 6 };
	struct ends e = make_pipe();
	struct party p = {.ends = e, .to = 5 * MIB, .most = 900};
	pid_t writer = test_fork(be_pattern_writer, &p);
	pid_t stage[STAGES];
	int in = e.r;

	CHECK_OK(close(e.w));
	for (int i = 0; i < STAGES; i++) {
		struct ends next = make_pipe();
		stage[i] = start_peer(in, next.w, "peer", "copy");
		CHECK_OK(close(in));
		CHECK_OK(close(next.w));
		in = next.r;
	}
	read_pattern(in, 0, p.to);
	expect_end(in);
	CHECK_OK(close(in));
	test_join(writer);
	for (int i = 0; i < STAGES; i++)
		test_join(stage[i]);
}

static void write_and_become_a_program(void *arg)
{
	const struct line_pipe *l = arg;
	char *const argv[] = {(char *)program("peer"), "lines",
	                      text_of("%llu", (long long)l->next + 500),
	                      text_of("%llu", (long long)l->next + 50500), NULL};

	CHECK_OK(dup2(l->w, 1));
	write_lines(1, l->next, l->next + 500);
	execv(argv[0], argv);
	_exit(127);
}

TEST(writer_in_full_flow_that_becomes_another_program_goes_on)
{
	for (int round = 0; round < 20; round++) {
		struct line_pipe l = make_line_pipe();
		pid_t pid = test_fork(write_and_become_a_program, &l);

		CHECK_OK(close(l.w));
		test_join(pid);
		l.next += 50500;
		expect_lines_read(&l);
	}
}

TEST(program_writes_and_the_parent_after_it)
{
	struct line_pipe l = make_line_pipe();

	for (int round = 0; round < 10; round++) {
		const char *args =
			text_of("on 77 lines %llu %llu", (long long)l.next, (long long)l.next + 9000);
		const int fd = (int)CHECK_OK(dup2(l.w, 77));
		test_join(start_peer(-1, -1, "peer", args));
		CHECK_OK(close(fd));
		l.next += 9000;
		write_lines(l.w, l.next, l.next + 3000);
		l.next += 3000;
	}
	CHECK_OK(close(l.w));
	expect_lines_read(&l);
}

// The end that exec closes counts no longer: the other side hears of it.
static void become_a_program_without_the_end(void *arg)
{
	struct ends *e = arg;

	CHECK_OK(close(e->r));
	write_lines(e->w, 0, 100);
	execlp("sleep", "sleep", "1000", (char *)NULL);
	_exit(127);
}

TEST(exec_that_closes_the_last_writing_end_is_the_end_of_file)
{
	for (int round = 0; round < 20; round++) {
		struct ends e = make_pipe();
		struct lines l = {0};
		pid_t pid = test_fork(become_a_program_without_the_end, &e);

		CHECK_OK(close(e.w));
		read_lines(e.r, &l, 100);
		expect_end(e.r);
		CHECK_OK(close(e.r));
		test_kill(pid);
	}
}

/* ---- many numbers ---- */

TEST(every_duplicate_reaches_the_same_pipe)
{
	enum { COPIES = 300 };
	struct line_pipe l = make_line_pipe();
	int fd[COPIES];

	for (int i = 0; i < COPIES; i++)
		fd[i] = (int)CHECK_OK(i % 2 ? dup(l.w) : fcntl(l.w, F_DUPFD_CLOEXEC, 500));
	for (int i = 0; i < 20000; i++)
		CHECK(write_line(write, fd[i * 7 % COPIES], l.next++));
	CHECK_OK(close(l.w));
	for (int i = 0; i < COPIES; i++) {
		CHECK(write_line(write, fd[i], l.next++));
		CHECK_OK(close(fd[i]));
	}
	expect_lines_read(&l);
}

TEST(high_numbers_work)
{
	struct rlimit limit;
	struct line_pipe l = make_line_pipe();

	CHECK_OK(getrlimit(RLIMIT_NOFILE, &limit));
	const int highest = limit.rlim_cur > 1000000 ? 999999 : (int)limit.rlim_cur - 1;
	CHECK_OK(dup2(l.w, highest));
	CHECK_OK(close(l.w));
	write_lines(highest, l.next, l.next + 5000);
	l.next += 5000;
	CHECK_OK(close(highest));
	expect_lines_read(&l);
}
