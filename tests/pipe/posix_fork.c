// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_fork.c - pipes over fork: children, grandchildren and siblings use what they inherit, in
// both directions, while others do, over many generations, from processes with threads.
#include "ends.h"

struct family {
	int p[2], q[2];
	struct steps steps;
	atomic_int count;
};

static struct family *make_family(void)
{
	struct family *f = share(sizeof(*f));

	make_pipe(f->p);
	make_pipe(f->q);
	return f;
}

static void drop_family(struct family *f)
{
	drop_pipe(f->p);
	drop_pipe(f->q);
}

static void answer(void *arg)
{
	struct family *f = arg;

	expect(f->p[R], "question");
	put(f->q[W], "answer");
}

TEST(child_uses_what_it_inherits)
{
	struct family *f = make_family();

	put(f->p[W], "question");
	test_join(test_fork(answer, f));
	expect(f->q[R], "answer");
	drop_family(f);
}

static void fork_again(void *arg)
{
	test_join(test_fork(answer, arg));
}

TEST(grandchild_uses_what_it_inherits)
{
	struct family *f = make_family();

	put(f->p[W], "question");
	test_join(test_fork(fork_again, f));
	expect(f->q[R], "answer");
	drop_family(f);
}

TEST(bytes_written_before_the_fork_are_read_once)
{
	struct family *f = make_family();

	flow_from_child(f->p, FLOW);
	put(f->p[W], "question");
	test_join(test_fork(answer, f));
	expect_empty(f->p[R]);
	expect(f->q[R], "answer");
	drop_family(f);
}

/* ---- ping-pong ---- */

static void echo(void *arg)
{
	struct family *f = arg;
	int in = only(f->p, R), out = only(f->q, W);
	uint64_t number;
	ssize_t n;

	while ((n = read(in, &number, 8)) != 0) {
		CHECK_EQ(n, 8);
		put_number(out, number + 1);
	}
}

static void ask(int out, int in, int rounds)
{
	for (int i = 0; i < rounds; i++) {
		put_number(out, (uint64_t)i);
		CHECK_EQ(take_number(in), i + 1);
	}
}

TEST(parent_and_child_alternate)
{
	struct family *f = make_family();
	pid_t pid = test_fork(echo, f);
	int out = only(f->p, W), in = only(f->q, R);

	ask(out, in, FLOW);
	CHECK_OK(close(out));
	expect_eof(in);
	CHECK_OK(close(in));
	test_join(pid);
}

static void ask_from_child(void *arg)
{
	struct family *f = arg;

	ask(f->p[W], f->q[R], SHORT_FLOW);
}

// Who asks changes from process to process; the one who answers stays.
TEST(one_child_after_the_other_takes_the_parents_part)
{
	struct family *f = make_family();
	pid_t pid = test_fork(echo, f);

	CHECK_OK(close(f->p[R]));
	CHECK_OK(close(f->q[W]));
	for (int i = 0; i < 10; i++) {
		ask(f->p[W], f->q[R], SHORT_FLOW);
		test_join(test_fork(ask_from_child, f));
	}
	CHECK_OK(close(f->p[W]));
	test_join(pid);
	CHECK_OK(close(f->q[R]));
}

/* ---- generations ---- */

enum { GENERATIONS = 200 };

// Each generation reads what its parent has written, writes the next, and forks its successor.
static void live(void *arg)
{
	struct family *f = arg;

	for (;;) {
		const uint64_t generation = take_number(f->p[R]);
		take_flow(f->p[R], 0, 200);
		if (generation == GENERATIONS) {
			put(f->q[W], "last");
			return;
		}
		put_number(f->p[W], generation + 1);
		send_flow(f->p[W], 0, 200);
		const pid_t pid = (pid_t)CHECK_OK(fork());
		if (pid != 0)
			_exit(0);
	}
}

TEST(bytes_pass_from_generation_to_generation)
{
	struct family *f = make_family();

	flow_from_child(f->p, FLOW);
	put_number(f->p[W], 1);
	send_flow(f->p[W], 0, 200);
	test_join(test_fork(live, f));
	expect(f->q[R], "last");
	expect_empty(f->p[R]);
	drop_family(f);
}

// A reader in full flow hands over to his child in mid-stream, again and again.
static void relay(void *arg)
{
	struct family *f = arg;
	int fd = only(f->p, R);
	uint64_t next = 0, got;
	ssize_t n;

	while ((n = read(fd, &got, 8)) != 0) {
		CHECK_EQ(n, 8);
		CHECK_EQ(got, next++);
		if (next % (FLOW / 20) == 0) {
			const pid_t pid = (pid_t)CHECK_OK(fork());
			if (pid != 0)
				_exit(0);
		}
	}
	CHECK_EQ(next, FLOW);
	put(f->q[W], "all");
}

TEST(reader_hands_the_stream_to_his_child_in_full_flow)
{
	struct family *f = make_family();
	pid_t pid = test_fork(relay, f);

	CHECK_OK(close(f->p[R]));
	send_flow(f->p[W], 0, FLOW);
	CHECK_OK(close(f->p[W]));
	expect(f->q[R], "all");
	test_join(pid);
	drop_pipe(f->q);
}

static void write_and_pass_on(void *arg)
{
	struct family *f = arg;
	int fd = only(f->p, W);

	for (uint64_t i = 0; i < FLOW; i++) {
		put_number(fd, i);
		if (i % (FLOW / 20) == 0 && CHECK_OK(fork()) != 0)
			_exit(0);
	}
}

TEST(writer_hands_the_stream_to_his_child_in_full_flow)
{
	struct family *f = make_family();
	pid_t pid = test_fork(write_and_pass_on, f);

	CHECK_OK(close(f->p[W]));
	take_flow(f->p[R], 0, FLOW);
	expect_eof(f->p[R]);
	test_join(pid);
	CHECK_OK(close(f->p[R]));
	drop_pipe(f->q);
}

/* ---- fork while others stream ---- */

static void look_and_leave(void *arg)
{
	(void)arg;
}

static void read_one_own(void *arg)
{
	struct family *f = arg;

	put(f->q[W], "own");
	expect(f->q[R], "own");
}

TEST(children_that_only_inherit_do_not_disturb_the_flow)
{
	struct family *f = make_family();
	struct flow flow = {f->p, 0, FLOW};
	pid_t pid = test_fork(be_flow_writer, &flow);

	for (uint64_t i = 0; i < FLOW; i++) {
		CHECK_EQ(take_number(f->p[R]), i);
		if (i % (FLOW / 50) == 0)
			test_join(test_fork(i % 3 ? look_and_leave : read_one_own, f));
	}
	test_join(pid);
	drop_family(f);
}

/* ---- fork from a process with threads ---- */

static void *stream_in_thread(void *arg)
{
	struct worker *w = arg;
	struct family *f = (struct family *)w->buf;

	for (uint64_t i = 0; !atomic_load(&w->done); i++) {
		put_number(f->p[W], i);
		CHECK_EQ(take_number(f->p[R]), i);
	}
	return NULL;
}

static void exchange_in_child(void *arg)
{
	struct family *f = arg;
	int own[2];

	for (uint64_t i = 0; i < 50; i++) {
		put_number(f->q[W], i);
		CHECK_EQ(take_number(f->q[R]), i);
	}
	make_pipe(own);
	put(own[W], "own");
	expect(own[R], "own");
	drop_pipe(own);
}

// A thread is inside calls at the moment of the fork, and may hold whatever locks these take.
TEST(fork_from_a_busy_process_gives_working_children)
{
	struct family *f = make_family();
	struct worker w = {.buf = (char *)f};

	CHECK_EQ(pthread_create(&w.thread, NULL, stream_in_thread, &w), 0);
	for (int i = 0; i < 200; i++)
		test_join(test_fork(exchange_in_child, f));
	atomic_store(&w.done, 1);
	CHECK_EQ(pthread_join(w.thread, NULL), 0);
	drop_family(f);
}

/* ---- a pipeline of many stages ---- */

enum { STAGES = 12 };

struct stage {
	int in, out;
};

static void pass_on(void *arg)
{
	const struct stage *s = arg;
	uint64_t number;
	ssize_t n;

	while ((n = read(s->in, &number, 8)) != 0) {
		CHECK_EQ(n, 8);
		put_number(s->out, number + 1);
	}
}

TEST(pipeline_of_many_stages)
{
	int p[2], in, out;
	pid_t pid[STAGES];

	make_pipe(p);
	in = p[R];
	out = p[W];
	CHECK_OK(fcntl(out, F_SETFD, FD_CLOEXEC));
	for (int i = 0; i < STAGES; i++) {
		make_pipe(p);
		struct stage s = {in, p[W]};
		pid[i] = (pid_t)CHECK_OK(fork());
		if (pid[i] == 0) {
			CHECK_OK(close(out));
			CHECK_OK(close(p[R]));
			pass_on(&s);
			_exit(0);
		}
		CHECK_OK(close(in));
		CHECK_OK(close(p[W]));
		in = p[R];
	}
	for (uint64_t i = 0; i < SHORT_FLOW; i++) {
		put_number(out, i);
		if (i >= 100)
			CHECK_EQ(take_number(in), i - 100 + STAGES);
	}
	CHECK_OK(close(out));
	for (uint64_t i = SHORT_FLOW - 100; i < SHORT_FLOW; i++)
		CHECK_EQ(take_number(in), i + STAGES);
	expect_eof(in);
	for (int i = 0; i < STAGES; i++)
		test_join(pid[i]);
	CHECK_OK(close(in));
}
