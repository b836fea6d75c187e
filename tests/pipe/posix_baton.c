// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_baton.c - causal order: several writers pass a baton and write one record each in turn. A
// write that has returned comes before every write that began because of it, so the reader sees exactly
// the order of the turns, however fast the data flows and whichever way the baton goes.
#include "ends.h"

enum { RUNNERS_MAX = 8 };

enum baton { BY_PIPE, BY_WORD };

struct race {
	int data[2];
	int baton[RUNNERS_MAX][2]; // baton[i]: to runner i
	int runners;
	enum baton how;
	uint64_t turns;
	int burst;     // records of each turn
	int bytes;     // of each record
	int late;      // begin to use the data pipe only after so many turns of other runners
	atomic_int at; // BY_WORD: whose turn it is, counted from 0
};

struct runner {
	struct race *race;
	int number;
};

static int runner_of(const struct race *r, uint64_t turn)
{
	const uint64_t joined = r->late ? 1 + turn / (uint64_t)r->late : RUNNERS_MAX;
	const uint64_t runners = (uint64_t)r->runners;

	return (int)(turn % (joined < runners ? joined : runners));
}

static uint64_t wait_turn(struct race *r, int number, uint64_t expected)
{
	if (r->how == BY_PIPE)
		return take_number(r->baton[number][R]);
	while ((uint64_t)atomic_load(&r->at) != expected)
		sched_yield();
	return expected;
}

static void pass_baton(struct race *r, uint64_t turn)
{
	if (r->how == BY_WORD)
		atomic_store(&r->at, (int)(turn + 1));
	else if (turn + 1 < r->turns)
		put_number(r->baton[runner_of(r, turn + 1)][W], turn + 1);
}

static void write_turn(struct race *r, uint64_t turn)
{
	char buf[PIPE_BUF] = {0};

	for (int i = 0; i < r->burst; i++) {
		const uint64_t record = turn * (uint64_t)r->burst + (uint64_t)i;
		memcpy(buf, &record, sizeof(record));
		CHECK_EQ(write(r->data[W], buf, (size_t)r->bytes), r->bytes);
	}
}

static void run_race(void *arg)
{
	const struct runner *me = arg;
	struct race *r = me->race;

	for (uint64_t turn = 0; turn < r->turns; turn++) {
		if (runner_of(r, turn) != me->number)
			continue;
		CHECK_EQ(wait_turn(r, me->number, turn), turn);
		write_turn(r, turn);
		pass_baton(r, turn);
	}
}

static void check_order(struct race *r)
{
	char buf[PIPE_BUF];
	uint64_t record;

	for (uint64_t i = 0; i < r->turns * (uint64_t)r->burst; i++) {
		CHECK_EQ(read(r->data[R], buf, (size_t)r->bytes), r->bytes);
		memcpy(&record, buf, sizeof(record));
		CHECK_EQ(record, i);
	}
}

static void hold(struct race wanted)
{
	struct race *r = share(sizeof(*r));
	struct runner runner[RUNNERS_MAX];
	pid_t pid[RUNNERS_MAX];

	*r = wanted;
	make_pipe(r->data);
	for (int i = 0; i < r->runners; i++)
		make_pipe(r->baton[i]);
	for (int i = 0; i < r->runners; i++) {
		runner[i] = (struct runner){r, i};
		pid[i] = test_fork(run_race, &runner[i]);
	}
	CHECK_OK(close(r->data[W]));
	if (r->how == BY_PIPE)
		put_number(r->baton[0][W], 0);
	check_order(r);
	expect_eof(r->data[R]);
	for (int i = 0; i < r->runners; i++) {
		test_join(pid[i]);
		drop_pipe(r->baton[i]);
	}
	CHECK_OK(close(r->data[R]));
	CHECK_OK(munmap(r, sizeof(*r)));
}

TEST(two_writers_in_turn)
{
	hold((struct race){.runners = 2, .turns = 20000, .burst = 1, .bytes = 8});
}

TEST(many_writers_in_turn)
{
	hold((struct race){.runners = 8, .turns = 20000, .burst = 1, .bytes = 8});
}

TEST(writers_in_turn_with_bursts_that_flow_fast)
{
	hold((struct race){.runners = 3, .turns = 3000, .burst = 50, .bytes = 8});
	hold((struct race){.runners = 3, .turns = 300, .burst = 2000, .bytes = 8});
}

TEST(writers_that_join_late_keep_the_order)
{
	hold((struct race){.runners = 8, .late = 1000, .turns = 12000, .burst = 5, .bytes = 8});
	hold((struct race){.runners = 8, .late = 20, .turns = 300, .burst = 1000, .bytes = 8});
}

TEST(writers_of_pages_in_turn)
{
	hold((struct race){.runners = 3, .turns = 5000, .burst = 3, .bytes = 4096});
}

TEST(writers_in_turn_by_a_shared_word)
{
	// Who waits yields: on a machine that has other things to do, each turn costs a slice of the scheduler's.
	hold((struct race){.how = BY_WORD, .runners = 2, .turns = 6000, .burst = 1, .bytes = 8});
	hold((struct race){.how = BY_WORD, .runners = 4, .turns = 1500, .burst = 20, .bytes = 64});
}

/* ---- writers that begin late, with the pipe in full flow ---- */

struct relay {
	int data[2];
	uint64_t next; // record
	int each;
};

static void write_a_share(void *arg)
{
	struct relay *r = arg;

	send_flow(r->data[W], r->next, r->each);
	r->next += (uint64_t)r->each;
}

static void write_by_ever_new_children(void *arg)
{
	struct relay *r = arg;

	CHECK_OK(close(r->data[R]));
	for (int i = 0; i < 200; i++) {
		write_a_share(r);
		test_join(test_fork(write_a_share, r));
		r->next = (uint64_t)(i + 1) * 2 * (uint64_t)r->each;
	}
}

// A child that has never written before writes after its parent and before him, and is gone.
TEST(each_new_writer_begins_after_what_was_written_before)
{
	for (int each = 1; each <= 500; each = each * 8 + 1) {
		struct relay r = {.each = each};
		make_pipe(r.data);
		pid_t pid = test_fork(write_by_ever_new_children, &r);
		CHECK_OK(close(r.data[W]));
		take_flow(r.data[R], 0, 400 * each);
		expect_eof(r.data[R]);
		test_join(pid);
		CHECK_OK(close(r.data[R]));
	}
}

static void *write_a_share_in_a_thread(void *arg)
{
	write_a_share(arg);
	return NULL;
}

static void write_by_ever_new_threads(void *arg)
{
	struct relay *r = arg;

	CHECK_OK(close(r->data[R]));
	for (int i = 0; i < 200; i++) {
		pthread_t thread;
		write_a_share(r);
		CHECK_EQ(pthread_create(&thread, NULL, write_a_share_in_a_thread, r), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
	}
}

TEST(each_new_writing_thread_begins_after_what_was_written_before)
{
	struct relay r = {.each = 50};

	make_pipe(r.data);
	pid_t pid = test_fork(write_by_ever_new_threads, &r);
	CHECK_OK(close(r.data[W]));
	take_flow(r.data[R], 0, 400 * r.each);
	expect_eof(r.data[R]);
	test_join(pid);
	CHECK_OK(close(r.data[R]));
}

/* ---- readers in turn: what one has left is what the next one gets ---- */

static void read_a_share(void *arg)
{
	struct relay *r = arg;

	take_flow(r->data[R], r->next, r->each);
}

TEST(readers_in_turn_see_one_stream)
{
	struct relay r = {.each = 300};
	struct flow flow = {r.data, 0, 200 * 300};

	make_pipe(r.data);
	pid_t pid = test_fork(be_flow_writer, &flow);
	CHECK_OK(close(r.data[W]));
	for (int i = 0; i < 100; i++) {
		read_a_share(&r);
		r.next += (uint64_t)r.each;
		test_join(test_fork(read_a_share, &r));
		r.next += (uint64_t)r.each;
	}
	expect_eof(r.data[R]);
	test_join(pid);
	CHECK_OK(close(r.data[R]));
}
