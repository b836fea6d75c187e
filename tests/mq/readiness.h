// SPDX-License-Identifier: MIT
//
// tests/mq/readiness.h - one look at a queue's readiness, by each of the calls that can look.
#ifndef TESTS_MQ_READINESS_H
#define TESTS_MQ_READINESS_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "queue.h"

enum how { BY_POLL, BY_PPOLL, BY_SELECT, BY_PSELECT, BY_EPOLL, HOWS };

enum { FOR_EVER = -1 };

static inline short by_poll(mqd_t q, short events, int timeout_ms, bool ppoll_instead)
{
	struct pollfd p = {.fd = q, .events = events};
	const struct timespec t = {.tv_sec = timeout_ms / 1000};
	int n = ppoll_instead ? ppoll(&p, 1, timeout_ms == FOR_EVER ? NULL : &t, NULL)
	                      : poll(&p, 1, timeout_ms);

	CHECK_OK(n);
	CHECK_EQ(n, p.revents != 0);
	return p.revents;
}

static inline short by_select(mqd_t q, short events, int timeout_ms, bool pselect_instead)
{
	fd_set in;
	fd_set out;
	struct timeval tv = {.tv_sec = timeout_ms / 1000};
	const struct timespec ts = {.tv_sec = timeout_ms / 1000};
	bool endless = timeout_ms == FOR_EVER;

	FD_ZERO(&in);
	FD_ZERO(&out);
	if (events & POLLIN)
		FD_SET(q, &in);
	if (events & POLLOUT)
		FD_SET(q, &out);
	int n = pselect_instead ? pselect(q + 1, &in, &out, NULL, endless ? NULL : &ts, NULL)
	                        : select(q + 1, &in, &out, NULL, endless ? NULL : &tv);
	CHECK_OK(n);
	CHECK_EQ(n, !!FD_ISSET(q, &in) + !!FD_ISSET(q, &out));
	return (short)((FD_ISSET(q, &in) ? POLLIN : 0) | (FD_ISSET(q, &out) ? POLLOUT : 0));
}

static inline int make_epoll(mqd_t q, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = q};
	int ep = epoll_create1(EPOLL_CLOEXEC);

	CHECK_OK(ep);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, q, &event));
	return ep;
}

// What one look at an epoll that holds one queue shows.
static inline uint32_t look(int ep, int timeout_ms)
{
	struct epoll_event event = {0};
	int n = epoll_wait(ep, &event, 1, timeout_ms);

	CHECK_OK(n);
	return n ? event.events : 0;
}

static inline short by_epoll(mqd_t q, short events, int timeout_ms)
{
	int ep = make_epoll(q, (uint32_t)events);
	uint32_t seen = look(ep, timeout_ms);

	CHECK_OK(close(ep));
	return (short)seen;
}

// Which of `events` the queue is ready for; timeout_ms is 0, whole seconds or FOR_EVER.
static inline short ready(enum how how, mqd_t q, short events, int timeout_ms)
{
	if (how == BY_EPOLL)
		return by_epoll(q, events, timeout_ms);
	if (how == BY_SELECT || how == BY_PSELECT)
		return by_select(q, events, timeout_ms, how == BY_PSELECT);
	return by_poll(q, events, timeout_ms, how == BY_PPOLL);
}

static inline void expect_ready(mqd_t q, short want)
{
	for (enum how how = 0; how < HOWS; how++) {
		CHECK_EQ(ready(how, q, POLLIN | POLLOUT, 0), want);
		CHECK_EQ(ready(how, q, POLLIN, 0), want & POLLIN);
		CHECK_EQ(ready(how, q, POLLOUT, 0), want & POLLOUT);
	}
}

#endif
