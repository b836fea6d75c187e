// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_epoll.c - pipes in an epoll set that stays: level- and edge-triggered, one-shot, sets that
// are made before and after the bytes flow fast, that are inherited, that hold many pipes. Single looks
// at the states are in posix_poll.c.
#include "readiness.h"

static void modify(int ep, int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};

	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event));
}

/* ---- one process ---- */

TEST(level_triggered_set_follows_the_fill)
{
	int p[2];

	make_pipe(p);
	int in = make_epoll(p[R], EPOLLIN), out = make_epoll(p[W], EPOLLOUT);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(look(in, NOW), 0);
		CHECK_EQ(look(out, NOW), EPOLLOUT);
		put(p[W], "x");
		CHECK_EQ(look(in, NOW), EPOLLIN);
		CHECK_EQ(look(in, NOW), EPOLLIN);
		expect(p[R], "x");
		CHECK_EQ(look(in, NOW), 0);
		const size_t full = fill_up(p[W], 4096, 0);
		CHECK_EQ(look(out, NOW), 0);
		take_chunk(p[R], full, 0);
		CHECK_EQ(look(out, NOW), EPOLLOUT);
	}
	CHECK_OK(close(p[W]));
	CHECK_EQ(look(in, NOW), EPOLLHUP);
	CHECK_OK(close(p[R]));
	CHECK_OK(close(in));
	CHECK_OK(close(out));
}

TEST(edge_is_seen_once)
{
	int p[2];

	make_pipe(p);
	int ep = make_epoll(p[R], EPOLLIN | EPOLLET);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(look(ep, NOW), 0);
		put(p[W], "x");
		CHECK_EQ(look(ep, NOW), EPOLLIN);
		CHECK_EQ(look(ep, NOW), 0);
		expect(p[R], "x");
		CHECK_EQ(look(ep, NOW), 0);
	}
	put(p[W], "x");
	CHECK_EQ(look(ep, NOW), EPOLLIN);
	CHECK_OK(close(p[W]));
	CHECK_EQ(look(ep, NOW), EPOLLIN | EPOLLHUP);
	CHECK_OK(close(p[R]));
	CHECK_OK(close(ep));
}

TEST(edge_of_the_write_end_comes_with_the_room)
{
	int p[2];

	make_pipe(p);
	int ep = make_epoll(p[W], EPOLLOUT | EPOLLET);
	CHECK_EQ(look(ep, NOW), EPOLLOUT);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(look(ep, NOW), 0);
		const size_t full = fill_up(p[W], 4096, 0);
		CHECK_EQ(look(ep, NOW), 0);
		take_chunk(p[R], full, 0);
		CHECK_EQ(look(ep, NOW), EPOLLOUT);
	}
	CHECK_OK(close(p[R]));
	CHECK_EQ(look(ep, NOW), EPOLLOUT | EPOLLERR);
	CHECK_OK(close(p[W]));
	CHECK_OK(close(ep));
}

TEST(oneshot_is_silent_until_it_is_armed_again)
{
	int p[2];

	make_pipe(p);
	int ep = make_epoll(p[R], EPOLLIN | EPOLLONESHOT);
	put(p[W], "x");
	CHECK_EQ(look(ep, NOW), EPOLLIN);
	put(p[W], "x");
	CHECK_EQ(look(ep, NOW), 0);
	modify(ep, p[R], EPOLLIN | EPOLLONESHOT);
	CHECK_EQ(look(ep, NOW), EPOLLIN);
	drop_pipe(p);
	CHECK_OK(close(ep));
}

TEST(closed_end_leaves_the_set)
{
	int p[2];

	make_pipe(p);
	int ep = make_epoll(p[R], EPOLLIN);
	put(p[W], "x");
	CHECK_EQ(look(ep, NOW), EPOLLIN);
	CHECK_OK(close(p[R]));
	CHECK_EQ(look(ep, NOW), 0);
	CHECK_OK(close(p[W]));
	CHECK_OK(close(ep));
}

/* ---- a set that is made after the bytes have flowed fast ---- */

struct family {
	int p[2], ep;
	struct steps steps;
};

static void write_flow_and_wait(void *arg)
{
	struct family *f = arg;
	int fd = only(f->p, W);

	send_flow(fd, 0, FLOW);
	reach_and_wait(&f->steps, 1);
	send_flow(fd, FLOW, FLOW);
}

static void add_after_flow(uint32_t edge)
{
	struct family *f = share(sizeof(*f));
	uint64_t next = FLOW - 50, got;

	make_pipe(f->p);
	pid_t pid = test_fork(write_flow_and_wait, f);
	int fd = only(f->p, R);
	take_flow(fd, 0, (int)next);
	wait_count(&f->steps.reached, 1);
	int ep = make_epoll(fd, EPOLLIN | edge);
	set_nonblock(fd, true);
	allow(&f->steps, 1);
	while (look(ep, FOR_EVER) != EPOLLHUP) {
		while (read(fd, &got, 8) == 8)
			CHECK_EQ(got, next++);
		if (next == 2 * FLOW && read(fd, &got, 8) == 0)
			break;
	}
	CHECK_EQ(next, 2 * FLOW);
	test_join(pid);
	CHECK_OK(close(ep));
	CHECK_OK(close(fd));
}

TEST(bytes_that_came_before_the_set_was_made_are_seen_level_triggered)
{
	for (int i = 0; i < 10; i++)
		add_after_flow(0);
}

TEST(bytes_that_came_before_the_set_was_made_are_seen_edge_triggered)
{
	for (int i = 0; i < 10; i++)
		add_after_flow(EPOLLET);
}

static void read_flow_and_wait(void *arg)
{
	struct family *f = arg;
	int fd = only(f->p, R);

	take_flow(fd, 0, FLOW);
	reach_and_wait(&f->steps, 1);
	take_chunk(fd, 65536, 0);
	reach_and_wait(&f->steps, 2);
}

TEST(room_after_full_flow_is_seen_edge_triggered)
{
	for (int i = 0; i < 10; i++) {
		struct family *f = share(sizeof(*f));
		make_pipe(f->p);
		pid_t pid = test_fork(read_flow_and_wait, f);
		int fd = only(f->p, W);
		send_flow(fd, 0, FLOW);
		wait_count(&f->steps.reached, 1);
		CHECK_EQ(fill_up(fd, 4096, 0), 65536);
		int ep = make_epoll(fd, EPOLLOUT | EPOLLET);
		CHECK_EQ(look(ep, NOW), 0);
		allow(&f->steps, 1);
		CHECK_EQ(look(ep, FOR_EVER), EPOLLOUT);
		wait_count(&f->steps.reached, 2);
		allow(&f->steps, 2);
		test_join(pid);
		CHECK(look(ep, FOR_EVER) & EPOLLERR);
		CHECK_OK(close(ep));
		CHECK_OK(close(fd));
	}
}

/* ---- a set that is there all the time ---- */

static void stream_by_set(uint32_t events, size_t at_once)
{
	int p[2];
	struct flow flow = {p, 0, 3 * FLOW};
	uint64_t next = 0;
	static uint64_t buf[8192];
	ssize_t n = -1;

	make_pipe(p);
	int ep = make_epoll(p[R], events);
	pid_t pid = test_fork(be_flow_writer, &flow);
	CHECK_OK(close(p[W]));
	set_nonblock(p[R], true);
	while (n != 0) {
		CHECK(look(ep, FOR_EVER) != 0);
		do {
			n = read(p[R], buf, at_once * 8);
			for (ssize_t i = 0; i < n / 8; i++)
				CHECK_EQ(buf[i], next++);
		} while ((events & EPOLLET) && n > 0);
		CHECK(n >= 0 || errno == EAGAIN);
	}
	CHECK_EQ(next, 3 * FLOW);
	test_join(pid);
	CHECK_OK(close(ep));
	CHECK_OK(close(p[R]));
}

TEST(level_triggered_reader_misses_nothing)
{
	stream_by_set(EPOLLIN, 1);
	stream_by_set(EPOLLIN, 8192);
}

TEST(edge_triggered_reader_that_drains_misses_nothing)
{
	stream_by_set(EPOLLIN | EPOLLET, 1);
	stream_by_set(EPOLLIN | EPOLLET, 8192);
}

TEST(edge_triggered_writer_that_fills_misses_no_room)
{
	int p[2];
	struct flow flow = {p, 0, 3 * FLOW};
	uint64_t next = 0;

	make_pipe(p);
	int ep = make_epoll(p[W], EPOLLOUT | EPOLLET);
	pid_t pid = test_fork(be_flow_reader, &flow);
	CHECK_OK(close(p[R]));
	set_nonblock(p[W], true);
	while (next < 3 * FLOW) {
		look(ep, FOR_EVER);
		while (next < 3 * FLOW && write(p[W], &next, 8) == 8)
			next++;
	}
	test_join(pid);
	CHECK_OK(close(ep));
	CHECK_OK(close(p[W]));
}

/* ---- asleep in epoll_wait ---- */

static void wait_in_inherited_set(void *arg)
{
	const struct family *f = arg;

	CHECK_EQ(look(f->ep, FOR_EVER), EPOLLIN);
}

TEST(sleeper_in_an_inherited_set_is_woken)
{
	struct family f;

	make_pipe(f.p);
	f.ep = make_epoll(f.p[R], EPOLLIN);
	for (int i = 0; i < 10; i++) {
		flow_from_child(f.p, SHORT_FLOW);
		pid_t pid = test_fork(wait_in_inherited_set, &f);
		test_wait_asleep(pid);
		put(f.p[W], "x");
		test_join(pid);
		expect(f.p[R], "x");
	}
	CHECK_OK(close(f.ep));
	drop_pipe(f.p);
}

static void *wait_in_set(void *arg)
{
	struct worker *w = arg;

	at_the_call(w);
	keep(w, look(w->fd, FOR_EVER));
	return NULL;
}

TEST(sleeper_is_woken_by_a_pipe_added_meanwhile)
{
	int p[2];
	struct epoll_event event = {.events = EPOLLIN};
	struct worker w;
	int ep = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));

	make_pipe(p);
	flow_from_child(p, FLOW);
	start_and_block(&w, wait_in_set, ep, 1);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, p[R], &event));
	wait_thread_asleep(&w);
	put(p[W], "x");
	finish(&w);
	CHECK_EQ(w.result, EPOLLIN);
	CHECK_OK(close(ep));
	drop_pipe(p);
}

TEST(epoll_itself_is_pollable)
{
	int p[2];

	make_pipe(p);
	int ep = make_epoll(p[R], EPOLLIN);
	struct pollfd entry = {.fd = ep, .events = POLLIN};
	CHECK_EQ(poll(&entry, 1, 0), 0);
	put(p[W], "x");
	CHECK_EQ(poll(&entry, 1, 0), 1);
	expect(p[R], "x");
	CHECK_EQ(poll(&entry, 1, 0), 0);
	CHECK_OK(close(ep));
	drop_pipe(p);
}

/* ---- many pipes, one loop ---- */

enum { PIPES = 100, EACH = 300 };

static int many[PIPES][2];

static void write_to_each(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < EACH; i++)
		for (int k = 0; k < PIPES; k++)
			put_number(many[k][W], i);
}

static int make_many(uint32_t events)
{
	const int ep = (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));

	for (uint32_t k = 0; k < PIPES; k++) {
		struct epoll_event event = {.events = events, .data.u32 = k};
		CHECK_OK(pipe2(many[k], O_NONBLOCK));
		set_nonblock(many[k][W], false);
		CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, many[k][R], &event));
	}
	return ep;
}

static int serve(uint32_t k, uint64_t *next, bool all)
{
	uint64_t got;
	int served = 0;

	do {
		if (read(many[k][R], &got, 8) != 8) {
			CHECK_EQ(errno, EAGAIN);
			break;
		}
		CHECK_EQ(got, next[k]++);
		served++;
	} while (all);
	return served;
}

static void loop_over_many(uint32_t events)
{
	const int ep = make_many(events);
	uint64_t next[PIPES] = {0};

	pid_t pid = test_fork(write_to_each, NULL);
	for (int left = PIPES * EACH; left;) {
		struct epoll_event event[16];
		const int n = epoll_wait(ep, event, 16, -1);
		CHECK_OK(n);
		for (int i = 0; i < n; i++)
			left -= serve(event[i].data.u32, next, events & EPOLLET);
	}
	test_join(pid);
	for (int k = 0; k < PIPES; k++)
		drop_pipe(many[k]);
	CHECK_OK(close(ep));
}

TEST(one_loop_serves_many_pipes)
{
	loop_over_many(EPOLLIN);
	loop_over_many(EPOLLIN | EPOLLET);
}
