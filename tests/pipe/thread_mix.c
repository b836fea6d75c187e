// SPDX-License-Identifier: MIT
//
// tests/pipe/thread_mix.c - threads of one process on one pipe, for ThreadSanitizer: streams by all the
// library's calls, while others duplicate, count, poll, export and look from outside.
#include <posthaste/posix.h>

#include "loan.h"

#include <poll.h>
#include <sys/ioctl.h>

enum { THREADS = 4, EACH = 6000 };

struct team {
	struct ends e;
	struct shape shape;
	unsigned writers;
	atomic_uint seen[THREADS][EACH]; // [writer][record]: how often it was read
	atomic_int left;                 // records to be read
	atomic_bool over;
	atomic_uint looks;
};

struct member {
	pthread_t thread;
	struct team *team;
	unsigned number;
};

static ssize_t write_by_turns(int fd, const void *data, size_t bytes)
{
	static __thread unsigned turn;

	switch (++turn % 4) {
	case 0: return write_in_place(fd, data, bytes);
	case 1: return ph_write_nosignal(fd, data, bytes);
	case 2: {
		const struct iovec iov[2] = {{(void *)data, bytes / 2},
		                             {(char *)data + bytes / 2, bytes - bytes / 2}};
		return writev(fd, iov, 2);
	}
	default: return write(fd, data, bytes);
	}
}

static ssize_t read_by_turns(int fd, void *buf, size_t bytes)
{
	static __thread unsigned turn;

	return (++turn % 3 ? read : read_whole_in_place)(fd, buf, bytes);
}

static void *be_writer(void *arg)
{
	const struct member *m = arg;

	CHECK(write_records(write_by_turns, m->team->e.w, m->team->shape, m->number, EACH));
	return NULL;
}

// Takes records one at a time; all have one size.
static void *be_reader(void *arg)
{
	const struct member *m = arg;
	struct team *t = m->team;
	unsigned char buf[RECORD_MAX], want[RECORD_MAX];
	uint32_t n;

	while (atomic_fetch_sub(&t->left, 1) > 0) {
		CHECK_EQ(read_by_turns(t->e.r, buf, t->shape.size), t->shape.size);
		memcpy(&n, buf + 1, sizeof(n));
		CHECK(buf[0] >> 4 < (int)t->writers && n < EACH);
		record_make(t->shape, buf[0] >> 4, n, want);
		CHECK(memcmp(buf, want, t->shape.size) == 0);
		atomic_fetch_add(&t->seen[buf[0] >> 4][n], 1);
	}
	return NULL;
}

static void look_around(struct team *t)
{
	struct ph_pipe_info info;
	struct stat st;
	int bytes = -1;

	CHECK_OK(ioctl(t->e.r, FIONREAD, &bytes));
	CHECK(bytes >= 0);
	CHECK_OK(fstat(t->e.w, &st));
	CHECK(S_ISFIFO(st.st_mode));
	if (ph_pipe_info(t->e.r, &info) == 0)
		CHECK_EQ(info.damaged, 0);
	const int copy = (int)CHECK_OK(dup(t->e.w));
	CHECK_EQ(write(copy, "", 0), 0);
	CHECK_OK(close(copy));
	atomic_fetch_add(&t->looks, 1);
}

static void *be_onlooker(void *arg)
{
	const struct member *m = arg;

	while (!atomic_load(&m->team->over))
		look_around(m->team);
	return NULL;
}

static void start(struct member *m, struct team *t, unsigned number, void *(*fn)(void *))
{
	*m = (struct member){.team = t, .number = number};
	CHECK_EQ(pthread_create(&m->thread, NULL, fn, m), 0);
}

static void finish(struct member *m, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		CHECK_EQ(pthread_join(m[i].thread, NULL), 0);
}

enum event { NOTHING, ONLOOKER, POLL, EXPORT };

static void make_event(struct team *t, enum event event)
{
	struct pollfd p = {.fd = t->e.r, .events = POLLIN};

	if (event == POLL)
		CHECK_OK(poll(&p, 1, 0));
	if (event == EXPORT)
		CHECK_OK(ph_export(t->e.w));
}

static void run(unsigned writers, unsigned readers, enum event event)
{
	struct team *t = calloc(1, sizeof(*t));
	struct member w[THREADS], r[THREADS], onlooker;

	CHECK(t != NULL);
	t->e = make_pipe();
	t->shape = (struct shape){.size = 200};
	t->writers = writers;
	atomic_store(&t->left, (int)(writers * EACH));
	for (unsigned i = 0; i < readers; i++)
		start(&r[i], t, i, be_reader);
	for (unsigned i = 0; i < writers; i++)
		start(&w[i], t, i, be_writer);
	if (event == ONLOOKER)
		start(&onlooker, t, 0, be_onlooker);
	while (atomic_load(&t->left) > (int)(writers * EACH / 2))
		sched_yield();
	make_event(t, event);
	finish(w, writers);
	finish(r, readers);
	atomic_store(&t->over, true);
	if (event == ONLOOKER)
		finish(&onlooker, 1);
	for (unsigned i = 0; i < writers; i++)
		for (int n = 0; n < EACH; n++)
			CHECK_EQ(atomic_load(&t->seen[i][n]), 1);
	drop_pipe(t->e);
	free(t);
}

TEST(two_threads_by_all_calls)
{
	run(1, 1, NOTHING);
}

TEST(four_threads_by_all_calls)
{
	run(2, 2, NOTHING);
}

TEST(many_writing_threads)
{
	run(4, 1, NOTHING);
}

TEST(many_reading_threads)
{
	run(1, 4, NOTHING);
}

TEST(threads_beside_one_that_looks_and_duplicates)
{
	run(2, 2, ONLOOKER);
}

TEST(threads_whose_pipe_is_polled_in_full_flow)
{
	run(1, 1, POLL);
	run(2, 2, POLL);
}

TEST(threads_whose_pipe_is_exported_in_full_flow)
{
	run(1, 1, EXPORT);
	run(2, 2, EXPORT);
}

// Each thread makes, uses and closes pipes of its own: the tables of the process are shared.
static void *make_and_drop(void *arg)
{
	char buf[8];

	(void)arg;
	for (int i = 0; i < 300; i++) {
		struct ends e = make_pipe();
		const int copy = (int)CHECK_OK(dup(e.w));
		CHECK_EQ(write(copy, "text", 4), 4);
		CHECK_OK(close(copy));
		CHECK_EQ(read(e.r, buf, sizeof(buf)), 4);
		drop_pipe(e);
	}
	return NULL;
}

TEST(threads_make_and_drop_pipes)
{
	struct member m[THREADS];

	for (unsigned i = 0; i < THREADS; i++)
		start(&m[i], NULL, i, make_and_drop);
	finish(m, THREADS);
}

// Two threads with a pipe each way.
struct echo {
	struct ends there, back;
};

static void *answer(void *arg)
{
	const struct echo *e = arg;
	uint32_t n;

	while (read(e->there.r, &n, sizeof(n)) == sizeof(n))
		CHECK_EQ(write(e->back.w, &n, sizeof(n)), sizeof(n));
	return NULL;
}

TEST(threads_answer_each_other)
{
	struct echo e = {make_pipe(), make_pipe()};
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, answer, &e), 0);
	for (uint32_t i = 0, n; i < 5000; i++) {
		CHECK_EQ(write(e.there.w, &i, sizeof(i)), sizeof(i));
		CHECK_EQ(read(e.back.r, &n, sizeof(n)), sizeof(n));
		CHECK_EQ(n, i);
	}
	CHECK_OK(close(e.there.w));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_OK(close(e.there.r));
	drop_pipe(e.back);
}
