// SPDX-License-Identifier: MIT
//
// tests/pipe/loop_uv.c - libuv (libuv1-dev) over a hundred pipes whose writers are other processes: pollers
// with the library's read, streams that libuv reads by itself, and a child whose output it collects.
#include <posthaste/posix.h>

#include "loop.h"

#ifndef HAVE_UV

TEST(libuv_serves_a_hundred_pipes)
{
	SKIP("libuv1-dev was not installed when this was built");
}

#else

#include <uv.h>

struct watched {
	uv_poll_t poll;
	uv_pipe_t pipe;
	struct loop *loop;
	int i;
	char buf[3000];
};

/* ---- pollers ---- */

static void on_poll_closed(uv_handle_t *handle)
{
	struct watched *w = handle->data;

	CHECK_OK(close(w->loop->end[w->i].r));
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
	struct watched *w = poll->data;
	const int ended = w->loop->ended;

	CHECK_EQ(status, 0);
	CHECK(events & (UV_READABLE | UV_DISCONNECT));
	read_some(w->loop, w->i);
	if (w->loop->ended == ended)
		return;
	CHECK_EQ(uv_poll_stop(poll), 0);
	uv_close((uv_handle_t *)poll, on_poll_closed);
}

static struct watched *watch_all(struct loop *l)
{
	struct watched *w = calloc(PIPES, sizeof(*w));

	CHECK(w != NULL);
	for (int i = 0; i < PIPES; i++) {
		w[i].loop = l;
		w[i].i = i;
		w[i].poll.data = &w[i];
		w[i].pipe.data = &w[i];
	}
	return w;
}

static void finish(uv_loop_t *uv, struct loop *l, struct watched *w)
{
	CHECK_EQ(uv_run(uv, UV_RUN_DEFAULT), 0);
	CHECK_EQ(uv_loop_close(uv), 0);
	uv_library_shutdown();
	free(w);
	end_loop(l);
}

static void serve_by_pollers(struct loop *l)
{
	uv_loop_t uv;
	struct watched *w = watch_all(l);

	CHECK_EQ(uv_loop_init(&uv), 0);
	for (int i = 0; i < PIPES; i++) {
		set_nonblock(l->end[i].r);
		CHECK_EQ(uv_poll_init(&uv, &w[i].poll, l->end[i].r), 0);
		CHECK_EQ(uv_poll_start(&w[i].poll, UV_READABLE | UV_DISCONNECT, on_readable), 0);
	}
	finish(&uv, l, w);
}

TEST(libuv_serves_a_hundred_pipes)
{
	serve_by_pollers(start_loop(2, 0));
	serve_by_pollers(start_loop(2, 2));
}

TEST(libuv_serves_pipes_that_were_in_full_flow)
{
	struct loop *l = start_warm_loop(2, 0);

	serve_by_pollers(l);
}

/* ---- streams: libuv reads by itself, with the plain system call ---- */

static void allocate(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct watched *w = handle->data;

	(void)size;
	*buf = uv_buf_init(w->buf, sizeof(w->buf));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct watched *w = stream->data;

	if (n >= 0) {
		CHECK(records_feed(&w->loop->in[w->i], buf->base, (size_t)n));
		return;
	}
	CHECK_EQ(n, UV_EOF);
	w->loop->ended++;
	uv_close((uv_handle_t *)stream, NULL); // closes the descriptor
}

static void serve_by_streams(struct loop *l)
{
	uv_loop_t uv;
	struct watched *w = watch_all(l);

	CHECK_EQ(uv_loop_init(&uv), 0);
	for (int i = 0; i < PIPES; i++) {
		CHECK_EQ(uv_pipe_init(&uv, &w[i].pipe, 0), 0);
		CHECK_EQ(uv_pipe_open(&w[i].pipe, l->end[i].r), 0);
		CHECK_EQ(uv_read_start((uv_stream_t *)&w[i].pipe, allocate, on_read), 0);
	}
	finish(&uv, l, w);
}

TEST(streams_of_libuv_read_a_hundred_pipes)
{
	serve_by_streams(start_loop(2, 0));
	serve_by_streams(start_loop(2, 2));
}

TEST(streams_of_libuv_read_on_where_the_library_was_in_full_flow)
{
	struct loop *l = start_warm_loop(2, 0);

	for (int i = 0; i < PIPES; i++) {
		CHECK_OK(ph_export(l->end[i].r));
		ph_pipe_forget(l->end[i].r); // libuv closes by a raw call
	}
	serve_by_streams(l);
}

/* ---- children of libuv ---- */

struct collected {
	struct lines lines;
	char buf[3000];
	int64_t status;
};

static void allocate_collected(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	struct collected *c = handle->data;

	(void)size;
	*buf = uv_buf_init(c->buf, sizeof(c->buf));
}

static void on_collected(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct collected *c = stream->data;

	if (n >= 0) {
		CHECK(lines_feed(&c->lines, buf->base, (size_t)n));
		return;
	}
	CHECK_EQ(n, UV_EOF);
	uv_close((uv_handle_t *)stream, NULL);
}

static void on_exit_of_child(uv_process_t *process, int64_t status, int signal)
{
	struct collected *c = process->data;

	c->status = status + signal;
	uv_close((uv_handle_t *)process, NULL);
}

// libuv makes a pair of sockets for this: the peer must take them for what they are.
TEST(libuv_collects_the_output_of_a_program_with_the_library)
{
	uv_loop_t uv;
	uv_pipe_t out;
	uv_process_t process;
	struct collected c = {.status = -1};
	char *args[] = {(char *)program("peer"), "lines", "0", "50000", NULL};
	uv_stdio_container_t stdio[2] = {
		{.flags = UV_IGNORE},
		{.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&out}};
	uv_process_options_t options = {.file = args[0],
	                                .args = args,
	                                .exit_cb = on_exit_of_child,
	                                .stdio = stdio,
	                                .stdio_count = 2};

	CHECK_EQ(uv_loop_init(&uv), 0);
	CHECK_EQ(uv_pipe_init(&uv, &out, 0), 0);
	out.data = process.data = &c;
	CHECK_EQ(uv_spawn(&uv, &process, &options), 0);
	CHECK_EQ(uv_read_start((uv_stream_t *)&out, allocate_collected, on_collected), 0);
	CHECK_EQ(uv_run(&uv, UV_RUN_DEFAULT), 0);
	CHECK_EQ(uv_loop_close(&uv), 0);
	uv_library_shutdown();
	CHECK_EQ(c.status, 0);
	CHECK_EQ(c.lines.next, 50000);
}

#endif
