// SPDX-License-Identifier: MIT
//
// tests/pipe/readiness.h - one look at the readiness of an end, by each of the calls that can look.
#ifndef TESTS_PIPE_READINESS_H
#define TESTS_PIPE_READINESS_H

#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "ends.h"

enum how { BY_POLL, BY_PPOLL, BY_SELECT, BY_PSELECT, BY_EPOLL, BY_EDGE, HOWS };

enum { NOW = 0, FOR_EVER = -1 };

static inline short by_poll(int fd, int timeout_ms, bool ppoll_instead)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
	const struct timespec t = {.tv_sec = timeout_ms / 1000};
	const int n = ppoll_instead ? ppoll(&p, 1, timeout_ms == FOR_EVER ? NULL : &t, NULL)
	                            : poll(&p, 1, timeout_ms);

	CHECK_OK(n);
	CHECK_EQ(n, p.revents != 0);
	return p.revents;
}

// select knows two answers only: POLLIN and POLLOUT stand for readable and writable.
static inline short by_select(int fd, int timeout_ms, bool pselect_instead)
{
	fd_set in, out;
	struct timeval tv = {.tv_sec = timeout_ms / 1000};
	const struct timespec ts = {.tv_sec = timeout_ms / 1000};
	const bool endless = timeout_ms == FOR_EVER;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(fd, &in);
	FD_SET(fd, &out);
	const int n = pselect_instead ? pselect(fd + 1, &in, &out, NULL, endless ? NULL : &ts, NULL)
	                              : select(fd + 1, &in, &out, NULL, endless ? NULL : &tv);
	CHECK_OK(n);
	CHECK_EQ(n, !!FD_ISSET(fd, &in) + !!FD_ISSET(fd, &out));
	return (short)((FD_ISSET(fd, &in) ? POLLIN : 0) | (FD_ISSET(fd, &out) ? POLLOUT : 0));
}

static inline int make_epoll(int fd, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.fd = fd};
	const int ep = epoll_create1(EPOLL_CLOEXEC);

	CHECK_OK(ep);
	CHECK_OK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event));
	return ep;
}

// What one look at an epoll that holds one end shows.
static inline uint32_t look(int ep, int timeout_ms)
{
	struct epoll_event event = {0};
	const int n = epoll_wait(ep, &event, 1, timeout_ms);

	CHECK_OK(n);
	return n ? event.events : 0;
}

static inline short by_epoll(int fd, int timeout_ms, uint32_t edge)
{
	const int ep = make_epoll(fd, EPOLLIN | EPOLLOUT | edge);
	const uint32_t seen = look(ep, timeout_ms);

	CHECK_OK(close(ep));
	return (short)seen;
}

// What the end is ready for; timeout_ms is 0, whole seconds or FOR_EVER.
static inline short ready(enum how how, int fd, int timeout_ms)
{
	switch (how) {
	case BY_PPOLL: return by_poll(fd, timeout_ms, true);
	case BY_SELECT: return by_select(fd, timeout_ms, false);
	case BY_PSELECT: return by_select(fd, timeout_ms, true);
	case BY_EPOLL: return by_epoll(fd, timeout_ms, 0);
	case BY_EDGE: return by_epoll(fd, timeout_ms, EPOLLET);
	default: return by_poll(fd, timeout_ms, false);
	}
}

// What poll says, as the call in question can say it.
static inline short as_seen(enum how how, short state)
{
	if (how != BY_SELECT && how != BY_PSELECT)
		return state;
	return (short)((state & (POLLIN | POLLHUP | POLLERR) ? POLLIN : 0) |
	               (state & (POLLOUT | POLLERR) ? POLLOUT : 0));
}

static inline void expect_ready(int fd, short state)
{
	for (enum how how = 0; how < HOWS; how++)
		CHECK_EQ(ready(how, fd, NOW), as_seen(how, state));
}

#endif
