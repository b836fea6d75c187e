// SPDX-License-Identifier: MIT
//
// tests/hostile/mq_storm.c - several processes use a queue while its file is scribbled on at random,
// truncated, punched and extended. Nobody crashes, hangs or reports anything undocumented; a queue made
// anew under the same name works.
#include <posthaste/posthaste.h>

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "region.h"
#include "runner.h"
#include "victim.h"

enum { VICTIMS = 3, PAGE = 4096 };

struct storm {
	struct region r;
	struct diary *diaries;
	struct victim_job jobs[VICTIMS];
	pid_t pids[VICTIMS];
	uint64_t random;
	uint32_t fields[FIELDS_MAX];
	size_t n;
};

static uint64_t draw(struct storm *s)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random;
}

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void note(struct storm *s, const char *text)
{
	for (int i = 0; i < VICTIMS; i++)
		snprintf(s->diaries[i].note, sizeof(s->diaries[i].note), "%s", text);
}

static void make_queue(void)
{
	struct mq_attr attr = {.mq_maxmsg = VICTIM_DEPTH, .mq_msgsize = VICTIM_SIZE};
	CHECK_OK(ph_mq_close(
		(mqd_t)CHECK_OK(ph_mq_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600, &attr))));
}

static bool all_called(void *arg)
{
	const struct storm *s = arg;
	for (int i = 0; i < VICTIMS; i++)
		if (atomic_load(&s->diaries[i].calls) < 50)
			return false;
	return true;
}

static void begin(struct storm *s, struct diary *diaries)
{
	static uint64_t seed;
	*s = (struct storm){.diaries = diaries, .random = (uint64_t)now_ms() * 2 + 1 + ++seed};
	memset(diaries, 0, VICTIMS * sizeof(*diaries));
	make_queue();
	region_open(&s->r, test_name());
	s->n = region_fields(&s->r, s->fields);
	for (int i = 0; i < VICTIMS; i++) {
		s->jobs[i] = (struct victim_job){test_name(), &s->diaries[i], draw(s)};
		s->pids[i] = test_fork(victim_main, &s->jobs[i]);
	}
	test_wait_until(all_called, s);
}

static unsigned end(struct storm *s)
{
	unsigned refused = 0;
	victims_join(s->diaries, s->pids, VICTIMS);
	for (int i = 0; i < VICTIMS; i++)
		refused += atomic_load(&s->diaries[i].refused);
	region_close(&s->r);
	CHECK_OK(ph_mq_unlink(test_name()));
	remove_fifos();
	queue_works(test_name());
	return refused;
}

// Let the victims run for a while that nothing depends on.
static void let_run(struct storm *s, unsigned yields)
{
	victims_watch(s->diaries, s->pids, VICTIMS);
	for (unsigned i = 0; i < yields; i++)
		sched_yield();
}

static uint32_t lock_value(struct storm *s, uint32_t own)
{
	const uint32_t values[] = {0,
	                           DEAD_TID,
	                           own | 0x80000000,
	                           own & 0x7fffffff,
	                           0x40000000,
	                           (uint32_t)s->pids[draw(s) % VICTIMS]};
	// A victim's own tid only rarely: a call that waits for it takes a second.
	return values[draw(s) % (draw(s) % 64 ? 5 : 6)];
}

static void scribble_once(struct storm *s)
{
	char text[128];
	uint32_t offset = s->fields[draw(s) % s->n];
	uint32_t *field = (uint32_t *)(s->r.map + offset);
	uint32_t value = (uint32_t)region_value(&s->r, *field, (int)(draw(s) % VALUES));
	if (draw(s) % 4 == 0)
		value = (uint32_t)draw(s);
	if (draw(s) % 16 == 0) {
		field = s->r.locks[draw(s) % LOCKS];
		offset = (uint32_t)((uint8_t *)field - s->r.map);
		value = lock_value(s, *field);
	}
	snprintf(text, sizeof(text), "%s becomes %x", region_field_name(&s->r, offset), value);
	note(s, text);
	__atomic_store_n(field, value, __ATOMIC_RELAXED);
}

// Mostly one wrong field at a time: a heap of them is refused at the first look.
TEST(random_scribbling_while_others_use_the_queue_does_no_harm)
{
	static struct storm s;
	struct diary *diaries = diaries_new(VICTIMS);
	const int64_t until = now_ms() + 6000;
	unsigned calls = 0, attacks = 0;
	begin(&s, diaries);
	while (now_ms() < until) {
		for (uint64_t n = draw(&s) % 8 == 0 ? 8 : 1; n > 0; n--, attacks++)
			scribble_once(&s);
		let_run(&s, (unsigned)(draw(&s) % 20));
		if (draw(&s) % 2)
			region_restore(&s.r);
		let_run(&s, (unsigned)(draw(&s) % 20));
	}
	region_restore(&s.r);
	for (int i = 0; i < VICTIMS; i++)
		calls += atomic_load(&diaries[i].calls);
	const unsigned refused = end(&s);
	printf("%u attacks, %u calls, %u found the queue damaged\n", attacks, calls, refused);
	CHECK(refused > 0 && refused < calls);
}

static bool all_refused(void *arg)
{
	struct storm *s = arg;
	victims_watch(s->diaries, s->pids, VICTIMS);
	for (int i = 0; i < VICTIMS; i++)
		if (atomic_load(&s->diaries[i].refused) == 0)
			return false;
	return true;
}

TEST(truncation_while_others_use_the_queue_is_noticed_by_all)
{
	static struct storm s;
	struct diary *diaries = diaries_new(VICTIMS);
	const off_t sizes[] = {0, 1, 511, 512, 700, PAGE, PAGE + 1, 2 * PAGE - 1, 2 * PAGE, 3 * PAGE};
	for (size_t i = 0; i < 3 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		const off_t size = sizes[i % (sizeof(sizes) / sizeof(sizes[0]))];
		char text[64];
		begin(&s, diaries);
		if (size >= (off_t)s.r.bytes) {
			end(&s);
			continue;
		}
		snprintf(text, sizeof(text), "truncated to %ld bytes", (long)size);
		let_run(&s, (unsigned)(draw(&s) % 50));
		note(&s, text);
		CHECK_OK(ftruncate(s.r.fd, size));
		test_wait_until(all_refused, &s);
		if (i % 2) // what is cut off comes back as zeros
			CHECK_OK(ftruncate(s.r.fd, (off_t)s.r.bytes));
		let_run(&s, 20);
		end(&s);
	}
}

TEST(holes_punched_while_others_use_the_queue_do_no_harm)
{
	static struct storm s;
	struct diary *diaries = diaries_new(VICTIMS);
	const int64_t until = now_ms() + 6000;
	begin(&s, diaries);
	for (int i = 0; i < 300 && now_ms() < until; i++) {
		char text[64];
		const off_t at = (off_t)(draw(&s) % s.r.bytes);
		const off_t length = (off_t)(1 + draw(&s) % (s.r.bytes - (uint64_t)at));
		snprintf(text, sizeof(text), "%ld bytes punched at %ld", (long)length, (long)at);
		note(&s, text);
		CHECK_OK(fallocate(s.r.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, length));
		let_run(&s, (unsigned)(draw(&s) % 30));
		region_restore(&s.r);
		let_run(&s, (unsigned)(draw(&s) % 10));
	}
	end(&s);
}

TEST(a_file_that_grows_while_others_use_the_queue_does_no_harm)
{
	static struct storm s;
	struct diary *diaries = diaries_new(VICTIMS);
	begin(&s, diaries);
	note(&s, "extended");
	CHECK_OK(ftruncate(s.r.fd, (off_t)s.r.bytes + 3 * PAGE + 5));
	let_run(&s, 500);
	CHECK_ERR(ph_mq_open(test_name(), O_RDWR), EBADMSG);
	CHECK_OK(ftruncate(s.r.fd, (off_t)s.r.bytes));
	CHECK_OK(ph_mq_close((mqd_t)CHECK_OK(ph_mq_open(test_name(), O_RDWR))));
	end(&s);
}

struct waiter {
	struct diary *diary;
	mqd_t q;
};

// A call without a limit, watched by the parent.
static void send_and_wait(void *arg)
{
	struct waiter *w = arg;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	atomic_store(&w->diary->call, "a send without a limit");
	atomic_store(&w->diary->since_ns, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
	CHECK_ERR(ph_mq_send(w->q, "abc", 3, 0), EBADMSG);
}

// The file is cut behind the control area. Who sends next finds his slot gone while he holds the lock,
// and lets go of it in memory that he shares with nobody any more: the lock still names him, and he
// lives. Others must not wait for him.
TEST(a_lock_whose_holder_lost_the_file_keeps_nobody_waiting)
{
	struct mq_attr attr = {.mq_maxmsg = VICTIM_DEPTH, .mq_msgsize = 3 * PAGE};
	char buf[3 * PAGE] = {0};
	struct region r;
	struct waiter w = {.diary = diaries_new(1)};
	w.q = (mqd_t)CHECK_OK(ph_mq_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600, &attr));
	region_open(&r, test_name());
	mqd_t q = (mqd_t)CHECK_OK(ph_mq_open(test_name(), O_RDWR));
	CHECK_OK(ftruncate(r.fd, (off_t)(r.slots_at + PAGE) / PAGE * PAGE));
	CHECK_ERR(ph_mq_send(q, buf, sizeof(buf), 0), EBADMSG);
	CHECK_ERR(ph_mq_open(test_name(), O_RDWR), EBADMSG);
	pid_t pid = test_fork(send_and_wait, &w);
	victims_join(w.diary, &pid, 1);
	CHECK_OK(ph_mq_close(w.q));
	CHECK_OK(ph_mq_close(q));
	region_close(&r);
	CHECK_OK(ph_mq_unlink(test_name()));
	queue_works(test_name());
}
