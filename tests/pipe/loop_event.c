// SPDX-License-Identifier: MIT
//
// tests/pipe/loop_event.c - libevent (libevent-dev) over a hundred pipes whose writers are other processes:
// events with the library's read, buffers that libevent fills by itself.
#include <posthaste/posix.h>

#include "loop.h"

#ifndef HAVE_EVENT

TEST(libevent_serves_a_hundred_pipes)
{
	SKIP("libevent-dev was not installed when this was built");
}

#else

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

struct watched {
	struct loop *loop;
	struct event *event;
	struct bufferevent *buffered;
	int i;
	bool drain;
};

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct watched *w = arg;
	const int ended = w->loop->ended;

	(void)what;
	while (read_some(w->loop, w->i) && w->drain)
		;
	if (w->loop->ended == ended)
		return;
	event_free(w->event);
	CHECK_OK(close(fd));
}

static struct event_base *make_base(int flags)
{
	struct event_config *config = event_config_new();

	CHECK(config != NULL);
	event_config_set_flag(config, flags);
	struct event_base *base = event_base_new_with_config(config);
	CHECK(base != NULL);
	event_config_free(config);
	return base;
}

static void serve(struct loop *l, short how, int flags)
{
	struct event_base *base = make_base(flags);
	struct watched w[PIPES];

	for (int i = 0; i < PIPES; i++) {
		set_nonblock(l->end[i].r);
		w[i] = (struct watched){.loop = l, .i = i, .drain = (how & EV_ET) != 0};
		w[i].event =
			event_new(base, l->end[i].r, (short)(EV_READ | EV_PERSIST | how), on_readable, &w[i]);
		CHECK(w[i].event != NULL);
		CHECK_EQ(event_add(w[i].event, NULL), 0);
	}
	CHECK_EQ(event_base_dispatch(base), 1); // no events are left
	event_base_free(base);
	end_loop(l);
}

TEST(libevent_serves_a_hundred_pipes)
{
	serve(start_loop(2, 0), 0, 0);
	serve(start_loop(2, 2), 0, 0);
}

TEST(libevent_serves_pipes_that_were_in_full_flow)
{
	struct loop *l = start_warm_loop(2, 0);

	serve(l, 0, 0);
}

TEST(libevent_edge_triggered_serves_a_hundred_pipes)
{
	struct loop *l = start_warm_loop(2, 0);

	serve(l, EV_ET, 0);
}

TEST(libevent_with_a_list_of_changes_serves_a_hundred_pipes)
{
	serve(start_loop(2, 0), 0, EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
}

/* ---- buffers: libevent reads by itself, with the plain system call ---- */

static void on_buffered(struct bufferevent *buffered, void *arg)
{
	struct watched *w = arg;
	char buf[4096];
	size_t n;

	while ((n = bufferevent_read(buffered, buf, sizeof(buf))) > 0)
		CHECK(records_feed(&w->loop->in[w->i], buf, n));
}

static void on_buffer_event(struct bufferevent *buffered, short what, void *arg)
{
	struct watched *w = arg;

	CHECK(what & BEV_EVENT_EOF);
	on_buffered(buffered, w);
	w->loop->ended++;
	bufferevent_free(buffered);
	CHECK_OK(close(w->loop->end[w->i].r));
}

static void fill_buffers(struct loop *l)
{
	struct event_base *base = make_base(0);
	struct watched w[PIPES];

	for (int i = 0; i < PIPES; i++) {
		set_nonblock(l->end[i].r);
		CHECK_OK(ph_export(l->end[i].r));
		w[i] = (struct watched){.loop = l, .i = i};
		w[i].buffered = bufferevent_socket_new(base, l->end[i].r, 0);
		CHECK(w[i].buffered != NULL);
		bufferevent_setcb(w[i].buffered, on_buffered, NULL, on_buffer_event, &w[i]);
		CHECK_EQ(bufferevent_disable(w[i].buffered, EV_WRITE), 0);
		CHECK_EQ(bufferevent_enable(w[i].buffered, EV_READ), 0);
	}
	CHECK_EQ(event_base_dispatch(base), 1);
	event_base_free(base);
	end_loop(l);
}

// Rings in full flow are moved to the kernel. With a stranger in full flow beside them that is not promised:
// docs/limits.md, "A writer that comes unseen".
TEST(buffers_of_libevent_are_filled_from_a_hundred_pipes)
{
	fill_buffers(start_warm_loop(3, 0));
}

TEST(buffers_of_libevent_are_filled_beside_a_stranger)
{
	fill_buffers(start_loop(2, 1));
}

#endif
