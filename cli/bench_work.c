// SPDX-License-Identifier: MIT
//
// What the workers of each workload do, over any transport. See bench_load.h.
//
// The end of a stream with several receivers: the sender that finishes last sends one stop message
// for each receiver. All data was sent before, and the queue is first in, first out: so the first
// stop that a receiver meets is its last message, and every number has been received by somebody.
// That all were is seen by the leader from the receivers' counts and sums.
#define _GNU_SOURCE
#include "bench_work.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WARM_ROUNDTRIPS 2000
#define TAIL_MARK UINT64_C(0x9e3779b97f4a7c15)

// The marks in between, for byte streams: a piece that is lost, doubled or swapped shows.
static bool marked(const struct bench_actor *a)
{
	return a->end->c->pipe_size > 0 && !a->end->c->zero_copy;
}

static void put_marks(void *data, size_t len, uint64_t mark)
{
	for (size_t at = BENCH_MARKS_EVERY; at + 2 * sizeof(mark) <= len; at += BENCH_MARKS_EVERY) {
		const uint64_t here = mark + at;
		memcpy((char *)data + at, &here, sizeof(here));
	}
}

static bool marks_hold(const void *data, size_t len, uint64_t mark)
{
	uint64_t wrong = 0, here;
	for (size_t at = BENCH_MARKS_EVERY; at + 2 * sizeof(mark) <= len; at += BENCH_MARKS_EVERY) {
		memcpy(&here, (const char *)data + at, sizeof(here));
		wrong |= here ^ (mark + at);
	}
	return wrong == 0;
}

static void put_stamp(struct bench_actor *a, void *data, uint64_t seq, uint32_t from)
{
	const struct bench_stamp stamp = {.seq = seq, .from = from};
	const uint64_t mark = seq ^ TAIL_MARK;
	memcpy(data, &stamp, sizeof(stamp));
	if (marked(a))
		put_marks(data, a->size, mark);
	memcpy((char *)data + a->size - sizeof(mark), &mark, sizeof(mark));
}

struct bench_stamp bench_check_stamp(struct bench_actor *a, const void *data, size_t len)
{
	struct bench_stamp stamp;
	uint64_t mark;
	if (len != a->size)
		bench_fail(a->team, "a message has the wrong length");
	memcpy(&stamp, data, sizeof(stamp));
	memcpy(&mark, (const char *)data + len - sizeof(mark), sizeof(mark));
	if (mark != (stamp.seq ^ TAIL_MARK) || stamp.from >= BENCH_MAX_SENDERS ||
	    (marked(a) && !marks_hold(data, len, mark)))
		bench_fail(a->team, "a message is torn");
	return stamp;
}

void bench_send_one(struct bench_actor *a, uint64_t seq, uint32_t from, unsigned prio)
{
	if (a->put_in_place) {
		void *room = a->ops->reserve(a->end);
		if (!room)
			bench_fail_errno(a->team, "reserve");
		put_stamp(a, room, seq, from);
		if (a->ops->commit(a->end, a->size, prio) != 0)
			bench_fail_errno(a->team, "commit");
		return;
	}
	put_stamp(a, a->buf, seq, from);
	if (a->ops->send(a->end, a->buf, a->size, prio) != 0)
		bench_fail_errno(a->team, "send");
}

struct bench_stamp bench_receive_one(struct bench_actor *a, unsigned *prio)
{
	if (a->get_in_place) {
		size_t len = 0;
		const void *data = a->ops->borrow(a->end, &len);
		if (!data)
			bench_fail_errno(a->team, "borrow");
		const struct bench_stamp stamp = bench_check_stamp(a, data, len);
		if (a->ops->release(a->end) != 0)
			bench_fail_errno(a->team, "release");
		return stamp;
	}
	const ssize_t len = a->ops->receive(a->end, a->buf, a->size, prio);
	if (len < 0)
		bench_fail_errno(a->team, "receive");
	return bench_check_stamp(a, a->buf, (size_t)len);
}

static void expect(struct bench_actor *a, struct bench_stamp got, uint64_t seq)
{
	if (got.seq != seq)
		bench_fail(a->team, "a message came out of order");
}

void bench_attach(struct bench_actor *a, struct bench_team *team, struct bench_load *load,
                  int which, enum bench_role role)
{
	memset(a, 0, sizeof(*a));
	a->team = team;
	a->ops = load->ops;
	a->end = &load->end[which];
	a->end->role = role;
	a->size = a->end->size;
	a->put_in_place = load->ops->reserve && (load->c->zero_copy || !load->ops->send);
	a->get_in_place = load->ops->borrow && load->c->zero_copy;
	a->buf = aligned_alloc(64, (a->size + 63) / 64 * 64);
	if (!a->buf)
		bench_fail_errno(team, "memory");
	memset(a->buf, 'x', a->size);
	if (load->ops->attach(a->end) != 0)
		bench_fail_errno(team, "open");
}

void bench_same_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	struct bench_actor a;
	bench_attach(&a, team, load, 0, BENCH_BOTH);
	bench_start(team);
	for (uint64_t seq = 1; seq <= load->count; seq++) {
		bench_send_one(&a, seq, 0, 0);
		expect(&a, bench_receive_one(&a, NULL), seq);
	}
	bench_stop(team);
	team->worker[team->index].ops = load->count;
}

// A permutation of the numbers of a round, so that priorities come neither sorted nor by chance.
static unsigned priority_of(uint64_t seq)
{
	return (unsigned)((seq * UINT64_C(2654435761)) >> 7) & 32767;
}

// One time through the queue: full, then empty.
static void fill_and_drain(struct bench_actor *a, uint64_t first, size_t depth, bool priorities)
{
	unsigned prio = 0, before = 32767;
	uint64_t sum = 0;
	for (uint64_t seq = first; seq < first + depth; seq++) {
		bench_send_one(a, seq, 0, priorities ? priority_of(seq) : 0);
		sum += seq;
	}
	for (uint64_t seq = first; seq < first + depth; seq++) {
		const struct bench_stamp got = bench_receive_one(a, &prio);
		sum -= got.seq;
		if (!priorities)
			expect(a, got, seq);
		else if (prio > before || prio != priority_of(got.seq))
			bench_fail(a->team, "a message came out of order");
		before = prio;
	}
	if (sum != 0)
		bench_fail(a->team, "messages were lost or repeated");
}

void bench_fill_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	struct bench_actor a;
	bench_attach(&a, team, load, 0, BENCH_BOTH);
	const size_t depth = a.end->depth;
	const uint64_t rounds = load->count / depth ? load->count / depth : 1;
	fill_and_drain(&a, 1, depth, load->c->priorities); // touches every page for the first time
	bench_start(team);
	for (uint64_t r = 1; r <= rounds; r++)
		fill_and_drain(&a, 1 + r * depth, depth, load->c->priorities);
	bench_stop(team);
	team->worker[team->index].ops = rounds * depth;
}

static void stream_sender(struct bench_team *team, struct bench_load *load, uint32_t from)
{
	struct bench_actor a;
	bench_attach(&a, team, load, 0, BENCH_SENDER);
	const uint64_t mine = bench_share(load, from);
	bench_start(team);
	for (uint64_t seq = 1; seq <= mine; seq++)
		bench_send_one(&a, seq, from, 0);
	if (atomic_fetch_add((_Atomic uint32_t *)team->counter, 1) + 1 == load->c->senders) {
		for (unsigned i = 0; i < load->c->receivers; i++)
			bench_send_one(&a, 0, from, 0);
	}
	bench_stop(team);
}

static void stream_receiver(struct bench_team *team, struct bench_load *load)
{
	struct bench_actor a;
	struct bench_worker *me = &team->worker[team->index];
	bench_attach(&a, team, load, 0, BENCH_RECEIVER);
	bench_start(team);
	for (;;) {
		const struct bench_stamp got = bench_receive_one(&a, NULL);
		if (got.seq == 0)
			break;
		if (load->c->receivers == 1)
			expect(&a, got, a.seen[got.from] + 1);
		else if (got.seq <= a.seen[got.from])
			bench_fail(team, "a message came out of order");
		a.seen[got.from] = got.seq;
		me->sum += got.seq;
		me->ops++;
	}
	bench_stop(team);
}

void bench_stream_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	// The first sender is worker 0 and the first receiver worker 1: on two CPUs they are apart.
	const size_t i = team->index;
	const size_t pairs =
		load->c->senders < load->c->receivers ? load->c->senders : load->c->receivers;
	if (i < 2 * pairs ? i % 2 == 0 : load->c->senders > pairs)
		stream_sender(team, load, (uint32_t)(i < 2 * pairs ? i / 2 : i - pairs));
	else
		stream_receiver(team, load);
}

static void asker(struct bench_team *team, struct bench_load *load)
{
	struct bench_actor there, back;
	bench_attach(&there, team, load, 0, BENCH_SENDER);
	bench_attach(&back, team, load, 1, BENCH_RECEIVER);
	memset(team->samples_ns, 0xff, team->samples * sizeof(*team->samples_ns));
	const uint64_t total = load->count + WARM_ROUNDTRIPS;
	int64_t before = 0;
	for (uint64_t seq = 1; seq <= total; seq++) {
		if (seq == WARM_ROUNDTRIPS + 1) {
			bench_start(team);
			before = team->worker[team->index].start_ns;
		}
		bench_send_one(&there, seq, 0, 0);
		expect(&back, bench_receive_one(&back, NULL), seq);
		if (seq > WARM_ROUNDTRIPS) {
			const int64_t now = bench_now_ns();
			const int64_t took = now - before;
			team->samples_ns[seq - WARM_ROUNDTRIPS - 1] =
				took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
			before = now;
		}
	}
	bench_stop(team);
	team->worker[team->index].ops = load->count;
}

static void answerer(struct bench_team *team, struct bench_load *load)
{
	struct bench_actor there, back;
	bench_attach(&there, team, load, 0, BENCH_RECEIVER);
	bench_attach(&back, team, load, 1, BENCH_SENDER);
	const uint64_t total = load->count + WARM_ROUNDTRIPS;
	for (uint64_t seq = 1; seq <= total; seq++) {
		if (seq == WARM_ROUNDTRIPS + 1)
			bench_start(team);
		expect(&there, bench_receive_one(&there, NULL), seq);
		bench_send_one(&back, seq, 0, 0);
	}
	bench_stop(team);
}

void bench_roundtrip_worker(struct bench_team *team, void *arg)
{
	if (team->index == 0)
		asker(team, arg);
	else
		answerer(team, arg);
}

// Worker 0 waits out the time and then wakes the receivers, whose use is what counts.
void bench_idle_worker(struct bench_team *team, void *arg)
{
	struct bench_load *load = arg;
	struct bench_actor a;
	const bool waker = team->index == 0;
	bench_attach(&a, team, load, 0, waker ? BENCH_SENDER : BENCH_RECEIVER);
	for (uint64_t i = 1; i <= load->c->warm; i++) {
		if (waker)
			bench_send_one(&a, i, 0, 0);
		else
			bench_receive_one(&a, NULL);
	}
	bench_start(team);
	if (waker) {
		const struct timespec span = {(time_t)(load->count / 1000000000),
		                              (long)(load->count % 1000000000)};
		nanosleep(&span, NULL);
		for (unsigned i = 0; i < load->c->receivers; i++)
			bench_send_one(&a, i + 1, 0, 0);
		bench_stop(team);
		memset(&team->worker[0], 0, sizeof(team->worker[0]));
		return;
	}
	bench_receive_one(&a, NULL);
	bench_stop(team);
	team->worker[team->index].ops = 1;
}
