// SPDX-License-Identifier: MIT
//
// tests/hostile/pipe_victim.c - see pipe_victim.h. Each call stands in a small function that names the
// errors which its documentation allows; `ended` judges.
#include "pipe_victim.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

#include "pipe/pipe.h"
#include "runner.h"

enum { R, W, MOST = 3 * 4096, CANARY = 0xa5, CANARIES = 256 };

// Bytes between two stretches that nobody may touch.
struct fenced {
	uint8_t before[CANARIES];
	uint8_t bytes[MOST];
	uint8_t after[CANARIES];
};

static int64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static unsigned draw(struct pipe_victim *v, unsigned below)
{
	v->random = v->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(v->random >> 33) % below;
}

static void begins(struct pipe_victim *v, const char *call)
{
	atomic_store(&v->diary->call, call);
	atomic_store(&v->diary->since_ns, now_ns());
}

// The errors of this call, up to 0, besides EBADMSG; and EDEADLK, where a word names this thread. True: it
// succeeded.
static bool ended(struct pipe_victim *v, long result, const int *errors)
{
	const int e = errno;
	atomic_store(&v->diary->since_ns, 0);
	atomic_fetch_add(&v->diary->calls, 1);
	if (result >= 0)
		return true;
	if (e == EBADMSG) {
		atomic_fetch_add(&v->diary->refused, 1);
		return false;
	}
	if (e == EDEADLK)
		return false;
	for (; *errors != 0; errors++)
		if (e == *errors)
			return false;
	test_failed(__FILE__, __LINE__, "%s fails as documented (%s); the attack: %s",
	            atomic_load(&v->diary->call), strerror(e), v->diary->note);
}

#define ERRORS(...) ((const int[]){__VA_ARGS__, 0})

static void fence_in(struct fenced *f)
{
	memset(f->before, CANARY, CANARIES);
	memset(f->after, CANARY, CANARIES);
}

static void check_fence(const struct pipe_victim *v, const struct fenced *f, size_t used)
{
	for (size_t i = 0; i < CANARIES; i++)
		if (f->before[i] != CANARY || f->after[i] != CANARY)
			test_failed(__FILE__, __LINE__,
			            "a read of %zu bytes keeps within its buffer; the attack: %s", used,
			            v->diary->note);
}

static void do_write(struct pipe_victim *v, size_t bytes)
{
	static const uint8_t buf[MOST];
	begins(v, "write");
	const ssize_t r = ph_write(v->fds[W], buf, bytes);
	if (ended(v, r, ERRORS(EAGAIN, EBUSY)))
		CHECK((size_t)r <= bytes && (bytes > 4096 || (size_t)r == bytes));
}

static void do_writev(struct pipe_victim *v, size_t bytes)
{
	static uint8_t buf[MOST];
	struct iovec iov[] = {{buf, bytes / 3}, {buf, 0}, {buf, bytes - bytes / 3}};
	begins(v, "writev");
	const ssize_t r = ph_writev(v->fds[W], iov, 3);
	if (ended(v, r, ERRORS(EAGAIN, EBUSY)))
		CHECK((size_t)r <= bytes && (bytes > 4096 || (size_t)r == bytes));
}

// The buffer ends where the canaries begin.
static void do_read(struct pipe_victim *v, size_t bytes)
{
	struct fenced f;
	fence_in(&f);
	begins(v, "read");
	const ssize_t r = ph_read(v->fds[R], f.bytes + MOST - bytes, bytes);
	if (ended(v, r, ERRORS(EAGAIN)))
		CHECK((size_t)r <= bytes);
	check_fence(v, &f, bytes);
}

static void do_readv(struct pipe_victim *v, size_t bytes)
{
	struct fenced f;
	fence_in(&f);
	struct iovec iov[] = {{f.bytes, bytes / 2},
	                      {f.bytes + MOST - (bytes - bytes / 2), bytes - bytes / 2}};
	begins(v, "readv");
	const ssize_t r = ph_readv(v->fds[R], iov, 2);
	if (ended(v, r, ERRORS(EAGAIN)))
		CHECK((size_t)r <= bytes);
	check_fence(v, &f, bytes);
}

static size_t sum(const struct iovec iov[2], int count)
{
	CHECK(count == 1 || count == 2);
	return iov[0].iov_len + (count == 2 ? iov[1].iov_len : 0);
}

static void do_reserve(struct pipe_victim *v, size_t bytes)
{
	struct iovec iov[2];
	int count = 0;
	if (v->reserved)
		return;
	begins(v, "reserve");
	const ssize_t r = ph_pipe_reserve(v->fds[W], bytes, iov, &count);
	v->reserved = ended(v, r, ERRORS(EAGAIN, EBUSY));
	if (!v->reserved)
		return;
	CHECK(r > 0 && (size_t)r <= bytes && sum(iov, count) == (size_t)r);
	v->reserved_bytes = (size_t)r;
	begins(v, "filling what is reserved");
	for (int i = 0; i < count; i++)
		memset(iov[i].iov_base, i, iov[i].iov_len);
	ended(v, 0, ERRORS(0));
}

static void do_commit(struct pipe_victim *v, size_t bytes)
{
	if (!v->reserved)
		return;
	if (bytes > v->reserved_bytes)
		bytes = v->reserved_bytes;
	begins(v, "commit");
	const ssize_t r = ph_pipe_commit(v->fds[W], bytes);
	v->reserved = false;
	if (ended(v, r, ERRORS(EAGAIN, EBUSY, ESTALE)))
		CHECK((size_t)r <= bytes);
}

static void do_peek(struct pipe_victim *v)
{
	struct iovec iov[2];
	int count = 0;
	volatile uint8_t all = 0;
	if (v->looking)
		return;
	begins(v, "peek");
	const ssize_t r = ph_pipe_peek(v->fds[R], iov, &count);
	v->looking = ended(v, r, ERRORS(EAGAIN, EBUSY, ENOTSUP)) && r > 0;
	if (!v->looking)
		return;
	CHECK(sum(iov, count) == (size_t)r && r <= PIPE_SIZE_MAX);
	v->looked_bytes = (size_t)r;
	begins(v, "looking at what is there");
	for (int i = 0; i < count; i++)
		for (size_t k = 0; k < iov[i].iov_len; k++)
			all ^= ((const uint8_t *)iov[i].iov_base)[k];
	(void)all;
	ended(v, 0, ERRORS(0));
}

static void do_consume(struct pipe_victim *v, size_t bytes)
{
	if (!v->looking)
		return;
	begins(v, "consume");
	const int r = ph_pipe_consume(v->fds[R], bytes < v->looked_bytes ? bytes : v->looked_bytes);
	v->looking = false;
	ended(v, r, ERRORS(ESTALE));
}

static void do_count(struct pipe_victim *v)
{
	int bytes = -1;
	begins(v, "ioctl(FIONREAD)");
	if (ended(v, ph_ioctl(v->fds[R], FIONREAD, &bytes), ERRORS(0)))
		CHECK(bytes >= 0 && bytes <= 4 * PIPE_SIZE_MAX);
}

static void do_info(struct pipe_victim *v)
{
	struct ph_pipe_info info;
	begins(v, "info");
	if (ended(v, ph_pipe_info(v->fds[R], &info), ERRORS(ENOENT, EXDEV)))
		CHECK(memchr(info.name, 0, sizeof(info.name)) != NULL);
}

static void do_dup(struct pipe_victim *v)
{
	begins(v, "dup");
	const int fd = ph_dup(v->fds[draw(v, 2)]);
	if (!ended(v, fd, ERRORS(0)))
		return;
	begins(v, "close of a duplicate");
	ended(v, ph_close(fd), ERRORS(0));
}

void pipe_victim_lease(struct pipe_victim *v)
{
	begins(v, "taking the lease");
	phi_pipe_force_lease(v->fds[R]);
	ended(v, 0, ERRORS(0));
}

void pipe_victim_do_everything(struct pipe_victim *v)
{
	do_count(v);
	do_consume(v, 5); // of what was reserved and looked at before the attack
	do_commit(v, 7);
	do_read(v, 10);
	do_write(v, 10);
	pipe_victim_lease(v);
	do_write(v, 4096);
	do_peek(v);
	do_info(v);
	do_consume(v, 20);
	do_reserve(v, 30);
	do_commit(v, 30);
	do_reserve(v, 5000);
	do_readv(v, 5000);
	do_commit(v, 0);
	do_writev(v, MOST);
	do_dup(v);
	do_read(v, MOST);
	do_read(v, 1);
	do_write(v, 1);
}

static void do_poll(struct pipe_victim *v)
{
	struct pollfd fds[] = {{.fd = v->fds[R], .events = POLLIN},
	                       {.fd = v->fds[W], .events = POLLOUT}};
	begins(v, "poll");
	ended(v, poll(fds, 2, 0), ERRORS(EBADMSG));
}

static void do_export(struct pipe_victim *v)
{
	begins(v, "export");
	ended(v, ph_export(v->fds[draw(v, 2)]), ERRORS(0));
}

static void do_resize(struct pipe_victim *v, int bytes)
{
	begins(v, "fcntl(F_SETPIPE_SZ)");
	ended(v, ph_fcntl(v->fds[W], F_SETPIPE_SZ, bytes), ERRORS(EBUSY));
}

void pipe_victim_say_farewell(struct pipe_victim *v, int n)
{
	switch (n) {
	case 0: do_poll(v); break;
	case 1: do_export(v); break;
	case 2: do_resize(v, 1 << 20); break;
	default: do_resize(v, 4096); break;
	}
	do_read(v, MOST);
	do_write(v, 10);
	do_read(v, MOST);
}

void pipe_victim_do_something(struct pipe_victim *v)
{
	const size_t bytes = 1 + (draw(v, 4) ? draw(v, 100) : draw(v, MOST - 1));
	switch (draw(v, 24)) {
	case 0: do_count(v); break;
	case 1: do_info(v); break;
	case 2: do_reserve(v, bytes); break;
	case 3: do_commit(v, bytes); break;
	case 4: do_peek(v); break;
	case 5: do_consume(v, bytes); break;
	case 6: do_dup(v); break;
	case 7: do_writev(v, bytes); break;
	case 8: do_readv(v, bytes); break;
	case 9:
	case 10:
	case 11: pipe_victim_lease(v); break;
	case 12:
		draw(v, 500) == 0 ? pipe_victim_say_farewell(v, (int)draw(v, PIPE_FAREWELLS)) : do_count(v);
		break;
	case 13:
	case 14:
	case 15:
	case 16:
	case 17: do_read(v, bytes); break;
	default: do_write(v, bytes); break;
	}
}

void pipe_victim_take(struct pipe_victim *v, const int fds[2], struct diary *diary)
{
	*v = (struct pipe_victim){.fds = {fds[R], fds[W]}, .diary = diary, .random = 1};
}

void pipe_victim_make(struct pipe_victim *v, struct diary *diary)
{
	int fds[2];
	CHECK_OK(ph_pipe2(fds, O_NONBLOCK | O_CLOEXEC));
	pipe_victim_take(v, fds, diary);
}

void pipe_victim_end(struct pipe_victim *v)
{
	begins(v, "close of the end to write to");
	ended(v, ph_close(v->fds[W]), ERRORS(0));
	begins(v, "close of the end to read from");
	ended(v, ph_close(v->fds[R]), ERRORS(0));
}

void pipe_victim_main(void *arg)
{
	const struct pipe_victim_job *job = arg;
	struct pipe_victim v;
	pipe_victim_take(&v, job->fds, job->diary);
	v.random = job->seed;
	while (!atomic_load(&job->diary->stop))
		pipe_victim_do_something(&v);
	pipe_victim_end(&v);
}

// A static program whose polls do not come to the library, but to a sanitizer's, gives each pipe to the
// kernel when it is made; here it is known when somebody polls.
static void take_poll_back(int fd)
{
	uint32_t *family = phi_pipe_find(fd)->p->family;
	__atomic_fetch_and(family, ~(uint32_t)FAMILY_POLLED, __ATOMIC_RELAXED);
}

void pipe_lease(int fd)
{
	take_poll_back(fd);
	CHECK_EQ(phi_pipe_force_lease(fd), 1);
}

void pipe_carries(const int fds[2])
{
	uint8_t out[MOST], in[MOST];
	for (size_t round = 0; round < 50; round++) {
		const size_t bytes = 1 + round * 37 % 4096;
		memset(out, (int)round, bytes);
		CHECK_EQ(ph_write(fds[W], out, bytes), bytes);
		CHECK_EQ(ph_read(fds[R], in, MOST), bytes);
		CHECK(memcmp(in, out, bytes) == 0);
	}
	CHECK_ERR(ph_read(fds[R], in, 1), EAGAIN);
}

void pipe_works(void)
{
	int fds[2];
	CHECK_OK(ph_pipe2(fds, O_NONBLOCK | O_CLOEXEC));
	pipe_lease(fds[R]);
	pipe_carries(fds);
	CHECK_OK(ph_export(fds[W]));
	pipe_carries(fds);
	CHECK_OK(ph_close(fds[W]));
	CHECK_EQ(ph_read(fds[R], &(char){0}, 1), 0);
	CHECK_OK(ph_close(fds[R]));
}
