// SPDX-License-Identifier: MIT
//
// The workload of an event loop: one sender writes to many objects in turn, the receiver waits for all
// of them with epoll, level-triggered, and takes what is there without waiting. See bench_load.h.
//
// Message number s goes to object s mod n, so each object's receiver knows which number comes next:
// the last one plus n.
#define _GNU_SOURCE
#include "bench_work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define EVENTS 64
#define ROOM 65536

struct loop {
	struct bench_team *team;
	struct bench_load *load;
	struct bench_actor *actor; // one for each object
	uint64_t *next;            // the number that is to come
	unsigned n;
	char *buf;
	int fd;
};

static void attach_all(struct loop *l, struct bench_team *team, struct bench_load *load,
                       enum bench_role role)
{
	memset(l, 0, sizeof(*l));
	l->team = team;
	l->load = load;
	l->n = load->c->objects;
	l->actor = calloc(l->n, sizeof(*l->actor));
	l->next = calloc(l->n, sizeof(*l->next));
	l->buf = malloc(ROOM);
	if (!l->actor || !l->next || !l->buf)
		bench_fail_errno(team, "memory");
	for (unsigned i = 0; i < l->n; i++) {
		bench_attach(&l->actor[i], team, load, (int)i, role);
		l->next[i] = i ? i : l->n;
	}
}

static void detach_all(struct loop *l)
{
	free(l->buf);
	free(l->next);
	free(l->actor);
}

static void sender(struct bench_team *team, struct bench_load *load)
{
	struct loop l;
	attach_all(&l, team, load, BENCH_SENDER);
	bench_start(team);
	for (uint64_t seq = 1; seq <= load->count; seq++)
		bench_send_one(&l.actor[seq % l.n], seq, 0, 0);
	bench_stop(team);
	detach_all(&l);
}

static void watch_all(struct loop *l)
{
	l->fd = epoll_create1(EPOLL_CLOEXEC);
	if (l->fd < 0)
		bench_fail_errno(l->team, "epoll_create1");
	for (unsigned i = 0; i < l->n; i++) {
		struct epoll_event want = {.events = EPOLLIN, .data.u32 = i};
		if (epoll_ctl(l->fd, EPOLL_CTL_ADD, l->load->end[i].fd, &want) != 0)
			bench_fail_errno(l->team, "epoll_ctl");
	}
}

// Take what one object has; the number of messages.
static uint64_t serve(struct loop *l, unsigned i)
{
	struct bench_actor *a = &l->actor[i];
	const ssize_t got = a->ops->receive_some(a->end, l->buf, ROOM / a->size * a->size);
	if (got < 0)
		bench_fail_errno(l->team, "receive");
	if ((size_t)got % a->size != 0)
		bench_fail(l->team, "a message is torn");
	for (size_t at = 0; at < (size_t)got; at += a->size) {
		if (bench_check_stamp(a, l->buf + at, a->size).seq != l->next[i])
			bench_fail(l->team, "a message came out of order");
		l->next[i] += l->n;
	}
	return (size_t)got / a->size;
}

static void receiver(struct bench_team *team, struct bench_load *load)
{
	struct loop l;
	struct epoll_event event[EVENTS];
	attach_all(&l, team, load, BENCH_POLLER);
	watch_all(&l);
	bench_start(team);
	for (uint64_t left = load->count; left > 0;) {
		const int n = epoll_wait(l.fd, event, EVENTS, -1);
		if (n < 0 && errno != EINTR)
			bench_fail_errno(team, "epoll_wait");
		for (int i = 0; i < n; i++)
			left -= serve(&l, event[i].data.u32);
	}
	bench_stop(team);
	team->worker[team->index].ops = load->count;
	detach_all(&l);
}

void bench_events_worker(struct bench_team *team, void *arg)
{
	if (team->index == 0)
		sender(team, arg);
	else
		receiver(team, arg);
}
