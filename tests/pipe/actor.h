// SPDX-License-Identifier: MIT
//
// tests/pipe/actor.h - processes that do to one pipe what they are told, one order at a time, and check the
// bytes themselves: the byte at each position of the stream is known (record.h). torture_random.c gives
// the orders and knows what must come of them.
#ifndef TESTS_PIPE_ACTOR_H
#define TESTS_PIPE_ACTOR_H

#include "loan.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { ACTORS = 6 };

enum order_kind {
	DO_READ,     // one read of up to `bytes`; the stream stands at `at`
	DO_TRY_READ, // the same with O_NONBLOCK
	DO_WRITE,    // one write of `bytes`
	DO_TRY_WRITE,
	DO_TAKE,     // look, and take up to `bytes`
	DO_PUT,      // reserve `bytes` and commit them
	DO_GIVE_UP,  // reserve, and give back
	DO_COUNT,    // how many bytes are in the pipe?
	DO_POLL,     // POLLIN and POLLOUT
	DO_SWAP_FDS, // use duplicates from now on
	DO_SPAWN,    // fork the actor of the slot `bytes`
	DO_STRANGER_READ,
	DO_STRANGER_WRITE,
	DO_EXPORT,
	DO_STREAM_OUT, // many small writes of together `bytes`
	DO_STREAM_IN,
	DO_CLOSE_WRITE, // the end to write to
	DO_END,         // close all, exit
	ORDERS
};

struct order {
	enum order_kind kind;
	uint64_t at, bytes;
};

struct outcome {
	int64_t result;
	int error;
};

struct actor {
	struct ends e;
	int sock[ACTORS][2]; // [0] is the director's
};

static inline struct outcome outcome_of(ssize_t result)
{
	return (struct outcome){result, result < 0 ? errno : 0};
}

static inline struct outcome actor_read(const struct actor *a, struct order o, bool nonblock)
{
	char buf[70000];

	if (nonblock)
		set_nonblock(a->e.r, true);
	const struct outcome out = outcome_of(read(a->e.r, buf, o.bytes));
	if (nonblock)
		set_nonblock(a->e.r, false);
	if (out.result > 0)
		CHECK(pattern_match(buf, o.at, (size_t)out.result));
	return out;
}

static inline struct outcome actor_write(const struct actor *a, struct order o, bool nonblock)
{
	char buf[70000];

	pattern_fill(buf, o.at, o.bytes);
	if (nonblock)
		set_nonblock(a->e.w, true);
	const struct outcome out = outcome_of(write(a->e.w, buf, o.bytes));
	if (nonblock)
		set_nonblock(a->e.w, false);
	return out;
}

static inline struct outcome actor_take(const struct actor *a, struct order o)
{
	const struct loan l = peek(a->e.r);
	const size_t n = o.bytes < l.bytes ? o.bytes : l.bytes;
	uint64_t at = o.at;

	for (int i = 0; i < l.count; at += l.iov[i++].iov_len)
		CHECK(pattern_match(l.iov[i].iov_base, at, l.iov[i].iov_len));
	CHECK_OK(ph_pipe_consume(a->e.r, n));
	return (struct outcome){(int64_t)n, 0};
}

static inline struct outcome actor_put(const struct actor *a, struct order o, bool commit)
{
	const struct loan l = reserve(a->e.w, o.bytes);
	char buf[PIPE_BUF];

	pattern_fill(buf, commit ? o.at : o.at + 77777, l.bytes);
	loan_fill(&l, buf, l.bytes);
	return outcome_of(ph_pipe_commit(a->e.w, commit ? l.bytes : 0));
}

static inline struct outcome actor_poll(const struct actor *a)
{
	struct pollfd p[2] = {{.fd = a->e.r, .events = POLLIN}, {.fd = a->e.w, .events = POLLOUT}};

	CHECK_OK(poll(p, 2, 0));
	return (struct outcome){(p[0].revents & POLLIN ? POLLIN : 0) | (p[1].revents & POLLOUT), 0};
}

static inline struct outcome actor_swap(struct actor *a)
{
	const struct ends old = a->e;

	a->e.r = (int)CHECK_OK(fcntl(old.r, F_DUPFD_CLOEXEC, 50));
	a->e.w = (int)CHECK_OK(dup3(old.w, a->e.r + 1, O_CLOEXEC));
	drop_pipe(old);
	return (struct outcome){0, 0};
}

static inline struct outcome actor_stranger_read(const struct actor *a, struct order o)
{
	const int out = make_catch();

	test_join(START(a->e.r, out, "dd", "status=none", "iflag=fullblock", "count=1",
	                text_of("bs=%llu", (long long)o.bytes)));
	expect_caught(out, o.at, o.at + o.bytes);
	CHECK_OK(close(out));
	return (struct outcome){(int64_t)o.bytes, 0};
}

static inline struct outcome actor_stranger_write(const struct actor *a, struct order o)
{
	test_join(
		start_peer(-1, a->e.w, "stranger",
	               text_of("pattern %llu %llu", (long long)o.at, (long long)(o.at + o.bytes))));
	return (struct outcome){(int64_t)o.bytes, 0};
}

static inline struct outcome actor_count(const struct actor *a)
{
	int bytes = -1;

	CHECK_OK(ioctl(a->e.r, FIONREAD, &bytes));
	return (struct outcome){bytes, 0};
}

static inline struct outcome actor_stream(const struct actor *a, struct order o, bool out)
{
	if (out)
		write_pattern(a->e.w, o.at, o.at + o.bytes, 300);
	else
		read_pattern(a->e.r, o.at, o.at + o.bytes);
	return (struct outcome){(int64_t)o.bytes, 0};
}

static inline struct outcome actor_close(int *end)
{
	const struct outcome out = *end < 0 ? (struct outcome){0, 0} : outcome_of(close(*end));

	*end = -1;
	return out;
}

static inline void act(struct actor *a, int slot);

static inline struct outcome actor_spawn(struct actor *a, int slot)
{
	const pid_t pid = (pid_t)CHECK_OK(fork());

	if (pid == 0) {
		act(a, slot);
		_exit(0);
	}
	return (struct outcome){pid, 0};
}

static inline struct outcome obey(struct actor *a, struct order o)
{
	switch (o.kind) {
	case DO_READ:
	case DO_TRY_READ: return actor_read(a, o, o.kind == DO_TRY_READ);
	case DO_WRITE:
	case DO_TRY_WRITE: return actor_write(a, o, o.kind == DO_TRY_WRITE);
	case DO_TAKE: return actor_take(a, o);
	case DO_PUT:
	case DO_GIVE_UP: return actor_put(a, o, o.kind == DO_PUT);
	case DO_COUNT: return actor_count(a);
	case DO_POLL: return actor_poll(a);
	case DO_SWAP_FDS: return actor_swap(a);
	case DO_SPAWN: return actor_spawn(a, (int)o.bytes);
	case DO_STRANGER_READ: return actor_stranger_read(a, o);
	case DO_STRANGER_WRITE: return actor_stranger_write(a, o);
	case DO_EXPORT: return outcome_of(ph_export(o.bytes % 2 ? a->e.r : a->e.w));
	case DO_STREAM_OUT:
	case DO_STREAM_IN: return actor_stream(a, o, o.kind == DO_STREAM_OUT);
	case DO_END: actor_close(&a->e.r); __attribute__((fallthrough));
	case DO_CLOSE_WRITE: return actor_close(&a->e.w);
	default: return (struct outcome){0, 0};
	}
}

// The life of an actor: obey what comes over its socket.
static inline void act(struct actor *a, int slot)
{
	struct order o = {.kind = ORDERS};

	while (o.kind != DO_END) {
		if (recv(a->sock[slot][1], &o, sizeof(o), 0) != sizeof(o))
			_exit(0); // the director is gone
		const struct outcome out = obey(a, o);
		CHECK_EQ(send(a->sock[slot][1], &out, sizeof(out), MSG_NOSIGNAL), sizeof(out));
	}
}

#endif
