// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_block.c - who sleeps and what wakes him: a reader on an empty pipe, a writer on a full
// one until all of his bytes are in, several of either. Signals and cancellation have files of their own.
#include "ends.h"

/* ---- one sleeper, in a thread ---- */

TEST(read_of_an_empty_pipe_sleeps_until_a_write)
{
	int p[2];
	struct worker w;

	make_pipe(p);
	for (int i = 0; i < 50; i++) {
		start_and_block(&w, work_read, p[R], 100);
		put(p[W], "hello");
		finish_with(&w, "hello");
	}
	expect_empty(p[R]);
	drop_pipe(p);
}

TEST(write_to_a_full_pipe_sleeps_until_a_read)
{
	int p[2];
	struct worker w = {0};

	make_pipe(p);
	for (int i = 0; i < 50; i++) {
		const size_t full = fill_up(p[W], 4096, 0);
		w.position = full;
		start_and_block(&w, work_write, p[W], 4096);
		CHECK_EQ(atomic_load(&w.done), 0);
		take_chunk(p[R], 4096, 0);
		finish(&w);
		CHECK_EQ(w.result, 4096);
		take_chunk(p[R], full, 4096);
	}
	expect_empty(p[R]);
	drop_pipe(p);
}

// POSIX: a blocking write returns when all bytes are in, however many reads that takes.
TEST(large_write_sleeps_until_all_of_it_is_in)
{
	int p[2];
	struct worker w = {0};
	const size_t total = 1 << 20;
	size_t taken = 0;

	make_pipe(p);
	start_and_block(&w, work_write, p[W], total);
	while (total - taken > HOLDS * capacity(p[W])) {
		CHECK_EQ(atomic_load(&w.done), 0);
		take_chunk(p[R], 8192, taken);
		taken += 8192;
	}
	take_chunk(p[R], total - taken, taken);
	finish(&w);
	CHECK_EQ(w.result, total);
	expect_empty(p[R]);
	drop_pipe(p);
}

TEST(atomic_write_does_not_begin_until_all_of_it_fits)
{
	int p[2];
	struct worker w = {0};

	make_pipe(p);
	const size_t full = fill_up(p[W], 4096, 0);
	w.position = full;
	start_and_block(&w, work_write, p[W], 4096);
	for (size_t taken = 0; taken < 4095; taken += 585)
		take_chunk(p[R], 585, taken);
	wait_thread_asleep(&w);
	CHECK_EQ(atomic_load(&w.done), 0);
	CHECK_EQ(available(p[R]), full - 4095);
	take_chunk(p[R], 1, 4095);
	finish(&w);
	CHECK_EQ(available(p[R]), full);
	take_chunk(p[R], full, 4096);
	drop_pipe(p);
}

/* ---- one sleeper, in another process, with the pipe in full flow before ---- */

struct family {
	int p[2], go[2];
	struct steps steps;
};

static struct family *make_family(void)
{
	struct family *f = share(sizeof(*f));

	make_pipe(f->p);
	make_pipe(f->go);
	return f;
}

static void drop_family(struct family *f)
{
	drop_pipe(f->p);
	drop_pipe(f->go);
}

enum { ROUNDS = 50 };

static void read_flow_then_sleep(void *arg)
{
	struct family *f = arg;

	for (int i = 0; i < ROUNDS; i++) {
		take_flow(f->p[R], 0, SHORT_FLOW);
		reach(&f->steps, i + 1);
		expect(f->p[R], "wake up");
	}
}

TEST(reader_sleeps_and_is_woken_after_full_flow)
{
	struct family *f = make_family();
	pid_t pid = test_fork(read_flow_then_sleep, f);

	for (int i = 0; i < ROUNDS; i++) {
		send_flow(f->p[W], 0, SHORT_FLOW);
		wait_count(&f->steps.reached, i + 1);
		test_wait_asleep(pid);
		put(f->p[W], "wake up");
	}
	test_join(pid);
	drop_family(f);
}

static void write_flow_then_sleep(void *arg)
{
	struct family *f = arg;

	for (int i = 0; i < ROUNDS; i++) {
		send_flow(f->p[W], 0, SHORT_FLOW);
		expect(f->go[R], "fill");
		put_chunk(f->p[W], 4 * 65536, 0);
		reach(&f->steps, i + 1);
	}
}

TEST(writer_sleeps_on_the_full_pipe_and_is_woken_after_full_flow)
{
	struct family *f = make_family();
	pid_t pid = test_fork(write_flow_then_sleep, f);

	for (int i = 0; i < ROUNDS; i++) {
		take_flow(f->p[R], 0, SHORT_FLOW);
		put(f->go[W], "fill");
		wait_available(f->p[R], 32768);
		test_wait_asleep(pid);
		CHECK_EQ(atomic_load(&f->steps.reached), i);
		take_chunk(f->p[R], 4 * 65536, 0);
		wait_count(&f->steps.reached, i + 1);
	}
	test_join(pid);
	drop_family(f);
}

/* ---- several sleepers ---- */

enum { CROWD = 4 };

struct crowd {
	struct worker w[CROWD];
	int want;
};

static int count_done(struct crowd *c)
{
	int done = 0;

	for (int i = 0; i < CROWD; i++)
		done += atomic_load(&c->w[i].done);
	return done;
}

// So many are through, and all the others sleep.
static bool crowd_is_at(void *arg)
{
	struct crowd *c = arg;

	if (count_done(c) != c->want)
		return false;
	for (int i = 0; i < CROWD; i++)
		if (!atomic_load(&c->w[i].done) && !test_task_sleeps(c->w[i].tid))
			return false;
	return true;
}

TEST(one_record_is_read_by_one_of_several_sleeping_readers)
{
	int p[2];
	struct crowd c = {0};

	make_pipe(p);
	for (int i = 0; i < CROWD; i++)
		start_and_block(&c.w[i], work_read, p[R], 8);
	for (int i = 1; i <= CROWD; i++) {
		put(p[W], "record");
		c.want = i;
		test_wait_until(crowd_is_at, &c);
		CHECK_EQ(available(p[R]), 0);
	}
	for (int i = 0; i < CROWD; i++)
		finish_with(&c.w[i], "record");
	drop_pipe(p);
}

TEST(room_for_one_record_lets_one_of_several_sleeping_writers_go_on)
{
	int p[2];
	struct crowd c = {0};
	char buf[4096];

	make_pipe(p);
	const size_t full = fill_up(p[W], 4096, 0);
	for (int i = 0; i < CROWD; i++)
		start_and_block(&c.w[i], work_write, p[W], 4096);
	for (int i = 1; i <= CROWD; i++) {
		CHECK_EQ(read(p[R], buf, sizeof(buf)), 4096);
		c.want = i;
		test_wait_until(crowd_is_at, &c);
		CHECK_EQ(available(p[R]), full);
	}
	for (int i = 0; i < CROWD; i++) {
		finish(&c.w[i]);
		CHECK_EQ(c.w[i].result, 4096);
	}
	drop_pipe(p);
}

TEST(burst_of_records_wakes_as_many_readers)
{
	int p[2];
	struct worker w[CROWD];

	make_pipe(p);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < CROWD; i++)
			start(&w[i], work_read, p[R], 4);
		for (int i = 0; i < CROWD; i++)
			wait_thread_asleep(&w[i]);
		for (int i = 0; i < CROWD; i++)
			put(p[W], "four");
		for (int i = 0; i < CROWD; i++)
			finish_with(&w[i], "four");
	}
	drop_pipe(p);
}

// A read that leaves bytes behind leaves them to the next sleeper.
TEST(reader_that_takes_a_part_leaves_the_rest_to_the_other_sleepers)
{
	int p[2];
	struct worker w[CROWD];

	make_pipe(p);
	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < CROWD; i++)
			start_and_block(&w[i], work_read, p[R], 1);
		put(p[W], "aaaa");
		for (int i = 0; i < CROWD; i++)
			finish_with(&w[i], "a");
	}
	expect_empty(p[R]);
	drop_pipe(p);
}

/* ---- killed sleepers take no wake-up with them ---- */

static void read_for_ever(void *arg)
{
	char buf[4096];

	for (;;)
		CHECK_OK(read(((struct family *)arg)->p[R], buf, sizeof(buf)));
}

TEST(killed_sleeping_reader_takes_no_bytes_with_it)
{
	struct family *f = make_family();

	flow_from_child(f->p, FLOW);
	for (int i = 0; i < ROUNDS; i++) {
		struct worker w;
		pid_t pid = test_fork(read_for_ever, f);
		test_wait_asleep(pid);
		start_and_block(&w, work_read, f->p[R], 100);
		test_kill(pid);
		put(f->p[W], "survivor's");
		finish_with(&w, "survivor's");
	}
	drop_family(f);
}

static void write_pages_for_ever(void *arg)
{
	struct family *f = arg;
	char page[4096];

	memset(page, 'v', sizeof(page));
	for (;;)
		CHECK_EQ(write(f->p[W], page, sizeof(page)), sizeof(page));
}

static void *work_write_survivor(void *arg)
{
	struct worker *w = arg;

	memset(w->buf, 's', w->bytes);
	at_the_call(w);
	keep(w, write(w->fd, w->buf, w->bytes));
	return NULL;
}

// Read whole pages, each of one writer, to the survivor's.
static void read_to_survivor(int fd)
{
	char page[4096];

	do {
		CHECK_EQ(read(fd, page, sizeof(page)), sizeof(page));
		CHECK(page[0] == 'v' || page[0] == 's');
		CHECK(memcmp(page, page + 1, sizeof(page) - 1) == 0);
	} while (page[0] != 's');
}

TEST(killed_sleeping_writer_leaves_the_room_to_others)
{
	struct family *f = make_family();
	struct worker w = {0};

	flow_to_child(f->p, FLOW);
	for (int i = 0; i < ROUNDS; i++) {
		pid_t pid = test_fork(write_pages_for_ever, f);
		wait_available(f->p[R], 32768);
		test_wait_asleep(pid);
		start(&w, work_write_survivor, f->p[W], 4096);
		test_kill(pid);
		read_to_survivor(f->p[R]);
		finish(&w);
		CHECK_EQ(w.result, 4096);
		expect_empty(f->p[R]);
	}
	drop_family(f);
}
