// SPDX-License-Identifier: MIT
//
// tests/pipe/torture_random.c - random orders to several processes on one pipe, and an oracle: since the
// orders come one at a time, but for streams between two, it is known at each moment which bytes are in
// the pipe. Reads, writes, looks, reservations, polls, forks, deaths, duplicates, strangers, and what
// each of them leaves in the ring or in the kernel's pipe for the next one.
//
// TEST_SEED repeats one play, TEST_TRACE shows it; without it the plays of a few seconds are chosen anew. TEST_FULL: a minute.
#include <posthaste/posix.h>

#include "actor.h"

#include <sys/prctl.h>

// More than this is never left in the pipe, so that no single write blocks.
enum { FILL = 24000 };

enum { ANSWER_MS = 8000 };

struct play {
	struct actor a;
	uint64_t seed, draws;
	uint64_t head, tail; // of the stream: [head, tail) is in the pipe
	pid_t pid[ACTORS];   // 0: nobody
	int alive;
	struct order last;
};

static uint64_t draw(struct play *p, uint64_t below)
{
	return mix(p->seed * 1000003 + ++p->draws) % below;
}

static void complain(const struct play *p, struct outcome out, const char *what)
{
	fprintf(
		stderr,
		"TEST_SEED=%llu, draw %llu: order %d at %llu of %llu bytes: %s: %lld (%s); [%llu, %llu)\n",
		(unsigned long long)p->seed, (unsigned long long)p->draws, p->last.kind,
		(unsigned long long)p->last.at, (unsigned long long)p->last.bytes, what,
		(long long)out.result, strerror(out.error), (unsigned long long)p->head,
		(unsigned long long)p->tail);
	test_failed(__FILE__, __LINE__, "the oracle is right");
}

static int someone(struct play *p)
{
	for (;;) {
		const int slot = (int)draw(p, ACTORS);
		if (p->pid[slot])
			return slot;
	}
}

static void tell(struct play *p, int slot, struct order o)
{
	p->last = o;
	if (getenv("TEST_TRACE"))
		fprintf(stderr, "%d: order %d at %llu of %llu bytes\n", (int)p->pid[slot], o.kind,
		        (unsigned long long)o.at, (unsigned long long)o.bytes);
	CHECK_EQ(send(p->a.sock[slot][0], &o, sizeof(o), MSG_NOSIGNAL), sizeof(o));
}

// An answer must come soon; which order it was that hangs or kills is worth knowing.
static struct outcome hear(struct play *p, int slot)
{
	struct pollfd ready = {.fd = p->a.sock[slot][0], .events = POLLIN};
	struct outcome out = {-1, ETIMEDOUT};

	if (poll(&ready, 1, ANSWER_MS) != 1 ||
	    recv(ready.fd, &out, sizeof(out), MSG_DONTWAIT) != sizeof(out))
		complain(p, out, "no answer");
	return out;
}

static struct outcome ask(struct play *p, int slot, struct order o)
{
	tell(p, slot, o);
	return hear(p, slot);
}

static void expect_result(struct play *p, struct outcome out, int64_t want)
{
	if (out.result != want)
		complain(p, out, "another result");
}

/* ---- the scenes ---- */

static void read_once(struct play *p)
{
	const uint64_t there = p->tail - p->head;
	const enum order_kind kinds[] = {DO_READ, DO_TRY_READ, DO_TAKE};
	const struct order o = {kinds[draw(p, 3)], p->head, 1 + draw(p, 9000)};

	if (there == 0)
		return;
	const struct outcome out = ask(p, someone(p), o);
	if (out.result < 1 || (uint64_t)out.result > o.bytes || (uint64_t)out.result > there)
		complain(p, out, "more or less than can be");
	p->head += (uint64_t)out.result;
}

static void read_nothing(struct play *p)
{
	const struct order o = {DO_TRY_READ, p->head, 100};

	if (p->tail != p->head)
		return;
	const struct outcome out = ask(p, someone(p), o);
	if (out.result != -1 || out.error != EAGAIN)
		complain(p, out, "EAGAIN expected");
}

static void write_once(struct play *p)
{
	const enum order_kind kinds[] = {DO_WRITE, DO_TRY_WRITE, DO_PUT};
	const struct order o = {kinds[draw(p, 3)], p->tail, 1 + draw(p, draw(p, 3) ? 300 : PIPE_BUF)};

	if (p->tail + o.bytes > p->head + FILL)
		return;
	expect_result(p, ask(p, someone(p), o), (int64_t)o.bytes);
	p->tail += o.bytes;
}

static void reserve_in_vain(struct play *p)
{
	if (p->tail - p->head < FILL)
		expect_result(
			p, ask(p, someone(p), (struct order){DO_GIVE_UP, p->tail, 1 + draw(p, PIPE_BUF)}), 0);
}

static void count(struct play *p)
{
	expect_result(p, ask(p, someone(p), (struct order){.kind = DO_COUNT}),
	              (int64_t)(p->tail - p->head));
}

static void look_for_readiness(struct play *p)
{
	const struct outcome out = ask(p, someone(p), (struct order){.kind = DO_POLL});

	expect_result(p, out, POLLOUT | (p->tail > p->head ? POLLIN : 0));
}

static void duplicate(struct play *p)
{
	expect_result(p, ask(p, someone(p), (struct order){.kind = DO_SWAP_FDS}), 0);
}

static int free_slot(const struct play *p)
{
	for (int i = 0; i < ACTORS; i++)
		if (!p->pid[i])
			return i;
	return -1;
}

static void multiply(struct play *p)
{
	const int slot = free_slot(p);

	if (slot < 0)
		return;
	const struct outcome out = ask(p, someone(p), (struct order){DO_SPAWN, 0, (uint64_t)slot});
	if (out.result <= 0)
		complain(p, out, "no child");
	p->pid[slot] = (pid_t)out.result;
	p->alive++;
}

// Dead, and its descriptors closed: a zombie, or buried by its parent.
static bool is_dead(void *arg)
{
	char *path = text_of("/proc/%d/fd", (int)*(pid_t *)arg);

	return access(path, F_OK) < 0 || readlink(text_of("%s/0", path), (char[8]){0}, 8) < 0;
}

static void die(struct play *p)
{
	const int slot = someone(p);

	if (p->alive < 2)
		return;
	if (getenv("TEST_TRACE"))
		fprintf(stderr, "%d: killed\n", (int)p->pid[slot]);
	CHECK_OK(kill(p->pid[slot], SIGKILL));
	test_wait_until(is_dead, &p->pid[slot]);
	p->pid[slot] = 0;
	p->alive--;
}

static void be_read_by_a_stranger(struct play *p)
{
	const uint64_t there = p->tail - p->head;
	const struct order o = {DO_STRANGER_READ, p->head, 1 + draw(p, there ? there : 1)};

	if (there == 0)
		return;
	expect_result(p, ask(p, someone(p), o), (int64_t)o.bytes);
	p->head += o.bytes;
}

static void be_written_by_a_stranger(struct play *p)
{
	const struct order o = {DO_STRANGER_WRITE, p->tail, 1 + draw(p, 3000)};

	if (p->tail + o.bytes > p->head + FILL)
		return;
	expect_result(p, ask(p, someone(p), o), (int64_t)o.bytes);
	p->tail += o.bytes;
}

static void export(struct play *p)
{
	expect_result(p, ask(p, someone(p), (struct order){DO_EXPORT, 0, draw(p, 2)}), 0);
}

// Two of them run at the same time: here the ring comes into use. What is left is little enough.
static void stream(struct play *p)
{
	const int writer = someone(p), reader = someone(p);
	const uint64_t bytes = 1000 + draw(p, 400000);
	const uint64_t left = draw(p, 2) ? 0 : draw(p, FILL / 2 < bytes ? FILL / 2 : bytes);

	if (writer == reader)
		return;
	tell(p, writer, (struct order){DO_STREAM_OUT, p->tail, bytes});
	p->tail += bytes;
	tell(p, reader, (struct order){DO_STREAM_IN, p->head, p->tail - p->head - left});
	const struct outcome in = hear(p, reader);
	hear(p, writer);
	p->head += (uint64_t)in.result;
}

// What is done how often: of 1000. What ends the use of the ring for good is rare.
static const struct scene {
	int weight;
	void (*play)(struct play *p);
} scenes[] = {
	{220, read_once},
	{60, read_nothing},
	{240, write_once},
	{40, reserve_in_vain},
	{90, count},
	{6, look_for_readiness},
	{30, duplicate},
	{50, multiply},
	{40, die},
	{5, be_read_by_a_stranger},
	{5, be_written_by_a_stranger},
	{2, export},
	{212, stream},
};

static void play_a_scene(struct play *p)
{
	int64_t n = (int64_t)draw(p, 1000);

	for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++)
		if ((n -= scenes[i].weight) < 0) {
			scenes[i].play(p);
			return;
		}
}

/* ---- one play ---- */

static void start_play(struct play *p, uint64_t seed)
{
	*p = (struct play){.seed = seed, .a = {.e = make_pipe()}};
	for (int i = 0; i < ACTORS; i++)
		CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->a.sock[i]));
	for (int i = 0; i < 3; i++, p->alive++)
		p->pid[i] = (pid_t)actor_spawn(&p->a, i).result;
	drop_pipe(p->a.e);
}

// Everybody but one leaves; he reads what is left, up to the end.
static void end_play(struct play *p)
{
	while (p->alive > 1) {
		const int slot = someone(p);
		ask(p, slot, (struct order){.kind = DO_END});
		p->pid[slot] = 0;
		p->alive--;
	}
	const int last = someone(p);
	expect_result(p, ask(p, last, (struct order){.kind = DO_CLOSE_WRITE}), 0);
	while (p->head < p->tail) {
		const struct outcome out = ask(p, last, (struct order){DO_READ, p->head, 50000});
		if (out.result < 1)
			complain(p, out, "bytes are missing");
		p->head += (uint64_t)out.result;
	}
	expect_result(p, ask(p, last, (struct order){DO_READ, p->head, 100}), 0);
	expect_result(p, ask(p, last, (struct order){.kind = DO_END}), 0);
}

static void play(uint64_t seed)
{
	struct play p;

	start_play(&p, seed);
	const uint64_t length = 20 + draw(&p, 150);
	for (uint64_t i = 0; i < length; i++)
		play_a_scene(&p);
	end_play(&p);
	for (int i = 0; i < ACTORS; i++)
		for (int k = 0; k < 2; k++)
			CHECK_OK(close(p.a.sock[i][k]));
	while (waitpid(-1, NULL, 0) > 0)
		;
}

TEST(oracle_is_right_about_random_plays)
{
	const char *seed = getenv("TEST_SEED");
	const int64_t end = now_ms() + (getenv("TEST_FULL") ? 50000 : 6000);
	uint64_t plays = 0, n = (uint64_t)now_ms();

	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		SKIP("children of the killed cannot be waited for");
	if (seed) {
		play(strtoull(seed, NULL, 10));
		return;
	}
	for (; now_ms() < end; plays++)
		play(n++);
	printf("%llu plays from TEST_SEED=%llu on\n", (unsigned long long)plays,
	       (unsigned long long)(n - plays));
}
