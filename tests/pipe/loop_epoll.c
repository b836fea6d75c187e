// SPDX-License-Identifier: MIT
//
// tests/pipe/loop_epoll.c - epoll, poll and select by hand over a hundred pipes whose other ends are in
// other processes, some of them in full flow before the loop comes to them. No readiness is missed.
#include <posthaste/posix.h>

#include "loop.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

static int make_set(void)
{
	return (int)CHECK_OK(epoll_create1(EPOLL_CLOEXEC));
}

static void watch(int ep, int fd, uint32_t events, int i)
{
	struct epoll_event event = {.events = events, .data.u32 = (uint32_t)i};

	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
}

static void close_ended(struct loop *l, int i, int ended_before)
{
	if (l->ended > ended_before)
		CHECK_OK(close(l->end[i].r));
}

static void read_ready(struct loop *l, int i, bool all)
{
	const int ended = l->ended;

	while (read_some(l, i) && all)
		;
	close_ended(l, i, ended);
}

static void read_by_epoll(struct loop *l, uint32_t flags)
{
	const int ep = make_set();

	for (int i = 0; i < PIPES; i++) {
		set_nonblock(l->end[i].r);
		watch(ep, l->end[i].r, EPOLLIN | flags, i);
	}
	while (l->ended < PIPES) {
		struct epoll_event event[16];
		const int n = (int)CHECK_OK(epoll_wait(ep, event, 16, -1));
		for (int k = 0; k < n; k++)
			read_ready(l, (int)event[k].data.u32, flags != 0);
	}
	CHECK_OK(close(ep));
	end_loop(l);
}

TEST(level_triggered_epoll_serves_a_hundred_pipes)
{
	read_by_epoll(start_loop(1, 0), 0);
	read_by_epoll(start_loop(3, 0), 0);
}

TEST(edge_triggered_epoll_serves_a_hundred_pipes)
{
	read_by_epoll(start_loop(1, 0), EPOLLET);
	read_by_epoll(start_loop(3, 0), EPOLLET);
}

TEST(epoll_serves_pipes_that_were_in_full_flow)
{
	struct loop *l = start_warm_loop(2, 0);

	read_by_epoll(l, 0);
	l = start_warm_loop(2, 0);
	read_by_epoll(l, EPOLLET);
}

TEST(epoll_serves_writers_with_and_without_the_library)
{
	read_by_epoll(start_loop(2, 2), 0);
	read_by_epoll(start_loop(2, 2), EPOLLET);
}

static void read_by_poll(struct loop *l)
{
	struct pollfd p[PIPES];

	for (int i = 0; i < PIPES; i++)
		p[i] = (struct pollfd){.fd = l->end[i].r, .events = POLLIN};
	while (l->ended < PIPES) {
		CHECK_OK(poll(p, PIPES, -1));
		for (int i = 0; i < PIPES; i++)
			if (p[i].revents) {
				const int ended = l->ended;
				read_ready(l, i, false); // blocking descriptors: this does not block
				if (l->ended > ended)
					p[i].fd = -1;
			}
	}
	end_loop(l);
}

TEST(poll_serves_a_hundred_pipes)
{
	struct loop *l = start_loop(2, 0);

	read_by_poll(l);
	l = start_warm_loop(2, 1);
	read_by_poll(l);
}

static void read_by_select(struct loop *l)
{
	bool closed[PIPES] = {false};

	while (l->ended < PIPES) {
		fd_set in;
		FD_ZERO(&in);
		for (int i = 0; i < PIPES; i++)
			if (!closed[i])
				FD_SET(l->end[i].r, &in);
		CHECK_OK(select(FD_SETSIZE, &in, NULL, NULL, NULL));
		for (int i = 0; i < PIPES; i++) {
			const int ended = l->ended;
			if (!closed[i] && FD_ISSET(l->end[i].r, &in))
				read_ready(l, i, false);
			closed[i] = closed[i] || l->ended > ended;
		}
	}
	end_loop(l);
}

TEST(select_serves_a_hundred_pipes)
{
	struct loop *l = start_warm_loop(2, 0);

	read_by_select(l);
}

// A loop that polls one pipe and reads another, in turn with blocking reads of both.
TEST(blocking_reads_and_polls_alternate)
{
	enum { ROUNDS = 300 };
	struct ends e = make_pipe();
	struct party p = {.ends = e, .to = ROUNDS * 5000, .most = 900};
	struct pollfd poller = {.fd = e.r, .events = POLLIN};
	pid_t pid = test_fork(be_pattern_writer, &p);

	CHECK_OK(close(e.w));
	for (uint64_t round = 0; round < ROUNDS; round++) {
		read_pattern(e.r, round * 5000, (round + 1) * 5000);
		CHECK_EQ(poll(&poller, 1, -1), 1);
	}
	expect_end(e.r);
	test_join(pid);
	CHECK_OK(close(e.r));
}

/* ---- the loop writes ---- */

enum { SINKS = 40, SINK_BYTES = 300000 };

struct sinks {
	struct ends end[SINKS];
};

// Reads all of them, with the library and blocking.
static void read_sinks(void *arg)
{
	struct sinks *s = arg;

	for (int i = 0; i < SINKS; i++)
		CHECK_OK(close(s->end[i].w));
	for (uint64_t at = 0; at < SINK_BYTES; at += 30000)
		for (int i = 0; i < SINKS; i++)
			read_pattern(s->end[i].r, at, at + 30000);
	for (int i = 0; i < SINKS; i++) {
		expect_end(s->end[i].r);
		CHECK_OK(close(s->end[i].r));
	}
}

static bool write_some(int fd, uint64_t *at)
{
	char buf[6000];
	const uint64_t left = SINK_BYTES - *at;
	const uint64_t want = 1 + mix(*at) % sizeof(buf);
	const uint64_t n = want < left ? want : left;

	pattern_fill(buf, *at, n);
	const ssize_t done = write(fd, buf, n);
	if (done < 0)
		CHECK_EQ(errno, EAGAIN);
	else
		*at += (uint64_t)done;
	return done > 0 && *at < SINK_BYTES;
}

static void write_by_epoll(uint32_t flags)
{
	struct sinks s;
	uint64_t at[SINKS] = {0};
	int open_ends = SINKS;
	const int ep = make_set();

	for (int i = 0; i < SINKS; i++) {
		s.end[i] = make_pipe();
		set_nonblock(s.end[i].w);
		watch(ep, s.end[i].w, EPOLLOUT | flags, i);
	}
	pid_t pid = test_fork(read_sinks, &s);
	for (int i = 0; i < SINKS; i++)
		CHECK_OK(close(s.end[i].r));
	while (open_ends) {
		struct epoll_event event[8];
		const int n = (int)CHECK_OK(epoll_wait(ep, event, 8, -1));
		for (int k = 0; k < n; k++) {
			const int i = (int)event[k].data.u32;
			while (write_some(s.end[i].w, &at[i]) && flags)
				;
			if (at[i] < SINK_BYTES)
				continue;
			CHECK_OK(epoll_ctl(ep, EPOLL_CTL_DEL, s.end[i].w, NULL));
			CHECK_OK(close(s.end[i].w));
			open_ends--;
		}
	}
	test_join(pid);
	CHECK_OK(close(ep));
}

TEST(level_triggered_epoll_fills_many_pipes)
{
	write_by_epoll(0);
}

TEST(edge_triggered_epoll_fills_many_pipes)
{
	write_by_epoll(EPOLLET);
}

/* ---- sets that live longer than their process's knowledge of them ---- */

struct inherited {
	int ep;
	struct ends e;
};

// The child has the set, but never called epoll_ctl itself.
static void wait_in_an_inherited_set(void *arg)
{
	const struct inherited *h = arg;
	struct epoll_event event;
	uint64_t at = 0;
	char buf[2000];
	ssize_t n = 1;

	CHECK_OK(close(h->e.w));
	while (n) {
		CHECK_EQ(epoll_wait(h->ep, &event, 1, -1), 1);
		n = read(h->e.r, buf, sizeof(buf));
		CHECK_OK(n);
		CHECK(pattern_match(buf, at, (size_t)n));
		at += (uint64_t)n;
	}
	CHECK_EQ(at, MIB);
	CHECK_OK(close(h->e.r));
}

TEST(set_works_in_a_child_that_inherited_it)
{
	struct inherited h = {make_set(), make_pipe()};

	watch(h.ep, h.e.r, EPOLLIN, 0);
	pid_t pid = test_fork(wait_in_an_inherited_set, &h);
	CHECK_OK(close(h.e.r));
	write_pattern(h.e.w, 0, MIB, 300);
	CHECK_OK(close(h.e.w));
	test_join(pid);
	CHECK_OK(close(h.ep));
}

static void *wait_in_a_set(void *arg)
{
	const struct inherited *h = arg;
	struct epoll_event event;

	CHECK_EQ(epoll_wait(h->ep, &event, 1, -1), 1);
	return NULL;
}

TEST(pipe_in_full_flow_that_joins_a_set_wakes_its_sleeper)
{
	for (int round = 0; round < 20; round++) {
		struct inherited h = {make_set(), make_pipe()};
		struct party p = {.ends = h.e, .until = make_until(), .most = 300};
		pthread_t thread;
		pid_t pid = test_fork(be_endless_writer, &p);

		CHECK_OK(close(h.e.w));
		CHECK_EQ(pthread_create(&thread, NULL, wait_in_a_set, &h), 0);
		const uint64_t at = read_pattern_until_warm(h.e.r, 0);
		watch(h.ep, h.e.r, EPOLLIN, 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
		atomic_store(p.until, at + MIB);
		read_pattern(h.e.r, at, at + MIB);
		expect_end(h.e.r);
		test_join(pid);
		CHECK_OK(close(h.e.r));
		CHECK_OK(close(h.ep));
	}
}
