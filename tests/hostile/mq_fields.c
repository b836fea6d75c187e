// SPDX-License-Identifier: MIT
//
// tests/hostile/mq_fields.c - each field of a queue's region is set to each adversarial value, in turn,
// in several states of the queue; after each, every call is made once. One process attacks itself, so
// that a failure names its field and value. The words on which threads sleep, and the locks, have
// tests of their own: there the question is not what is believed but how long it takes.
#include <posthaste/posthaste.h>

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "region.h"
#include "runner.h"
#include "victim.h"

static mqd_t make(const char *name)
{
	struct mq_attr attr = {.mq_maxmsg = VICTIM_DEPTH, .mq_msgsize = VICTIM_SIZE};
	return (mqd_t)CHECK_OK(ph_mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr));
}

static void put(mqd_t q, unsigned prio)
{
	CHECK_OK(ph_mq_send(q, "message", 7, prio));
}

// The states in which a queue is attacked.

static void leave_empty(struct victim *v)
{
	char buf[VICTIM_SIZE];
	put(v->q, 3);
	CHECK_OK(ph_mq_receive(v->q, buf, sizeof(buf), NULL));
}

static void fill_partly(struct victim *v)
{
	char buf[VICTIM_SIZE];
	for (unsigned i = 0; i < 4; i++)
		put(v->q, i % 2 * 9000 + 1);
	CHECK_OK(ph_mq_receive(v->q, buf, sizeof(buf), NULL)); // builds the index
	put(v->q, 5);
}

static void fill_up(struct victim *v)
{
	for (unsigned i = 0; i < VICTIM_DEPTH; i++)
		put(v->q, i / 2);
}

static void lend(struct victim *v)
{
	fill_partly(v);
	CHECK_OK(ph_mq_borrow(v->q, &v->borrowed));
	CHECK_OK(ph_mq_reserve(v->q, &v->reserved));
	v->has_borrowed = v->has_reserved = true;
}

static void poll_it(struct victim *v)
{
	fill_partly(v);
	CHECK_OK(ph_mq_setpoll(v->q, 1));
}

static void scribble(struct region *r, uint32_t offset, int i, bool wide, struct diary *d)
{
	uint32_t *narrow_field = (uint32_t *)(r->map + offset);
	uint64_t *wide_field = (uint64_t *)(r->map + offset);
	const uint64_t own = wide ? *wide_field : *narrow_field;
	const uint64_t value = region_value(r, own, i);
	snprintf(d->note, sizeof(d->note), "%s (u%d): %llx becomes %llx", region_field_name(r, offset),
	         wide ? 64 : 32, (unsigned long long)own, (unsigned long long)value);
	if (wide)
		__atomic_store_n(wide_field, value, __ATOMIC_RELAXED);
	else
		__atomic_store_n(narrow_field, (uint32_t)value, __ATOMIC_RELAXED);
}

struct sweep {
	const char *name;
	struct diary *diary;
	void (*prepare)(struct victim *v);
};

// Attack every field, in the child.
static void sweep_fields(void *arg)
{
	const struct sweep *s = arg;
	static uint32_t fields[FIELDS_MAX];
	struct victim before, v;
	struct region r;
	victim_begin(&before, s->name, s->diary);
	s->prepare(&before);
	region_open(&r, s->name);
	const size_t n = region_fields(&r, fields);
	for (size_t f = 0; f < n * 2; f++) {
		const bool wide = f % 2;
		for (int i = 0; i < VALUES && (!wide || region_may_be_wide(&r, fields[f / 2])); i++) {
			v = before;
			scribble(&r, fields[f / 2], i, wide, s->diary);
			victim_do_everything(&v);
			region_restore(&r);
		}
	}
	snprintf(s->diary->note, sizeof(s->diary->note), "none any more");
	victim_do_everything(&before);
	victim_end(&before);
	region_close(&r);
}

static void attack_state(void (*prepare)(struct victim *v))
{
	struct diary *d = diaries_new(1);
	struct sweep s = {test_name(), d, prepare};
	CHECK_OK(ph_mq_close(make(test_name())));
	pid_t pid = test_fork(sweep_fields, &s);
	victims_join(d, &pid, 1);
	CHECK(atomic_load(&d->calls) > 100000);
	CHECK(atomic_load(&d->refused) > 1000);
	printf("%u calls, %u found the queue damaged\n", atomic_load(&d->calls),
	       atomic_load(&d->refused));
	CHECK_OK(ph_mq_unlink(test_name()));
	remove_fifos();
	queue_works(test_name());
}

TEST(scribbled_fields_of_an_empty_queue_do_no_harm)
{
	attack_state(leave_empty);
}

TEST(scribbled_fields_of_a_partly_filled_queue_do_no_harm)
{
	attack_state(fill_partly);
}

TEST(scribbled_fields_of_a_full_queue_do_no_harm)
{
	attack_state(fill_up);
}

TEST(scribbled_fields_of_a_queue_with_loans_do_no_harm)
{
	attack_state(lend);
}

TEST(scribbled_fields_of_a_polled_queue_do_no_harm)
{
	attack_state(poll_it);
}

// Lock words.

#define WAITERS UINT32_C(0x80000000)
#define DIED UINT32_C(0x40000000)

static double seconds(clockid_t clock)
{
	struct timespec ts;
	clock_gettime(clock, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static struct timespec in_ms(long ms)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

static void set_locks(struct region *r, uint32_t value)
{
	for (int i = 0; i < LOCKS; i++)
		__atomic_store_n(r->locks[i], value, __ATOMIC_RELAXED);
}

TEST(a_lock_that_names_nobody_alive_is_taken_over)
{
	const uint32_t values[] = {DEAD_TID, DEAD_TID | WAITERS, DIED,       DIED | WAITERS,
	                           WAITERS,  DIED | DEAD_TID,    UINT32_MAX, UINT32_MAX & ~DIED};
	char buf[VICTIM_SIZE];
	struct region r;
	const mqd_t q = make(test_name());
	region_open(&r, test_name());
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		const double begin = seconds(CLOCK_MONOTONIC);
		set_locks(&r, values[i]);
		put(q, 1);
		CHECK_EQ(ph_mq_receive(q, buf, sizeof(buf), NULL), 7);
		CHECK(seconds(CLOCK_MONOTONIC) - begin < STEP_LIMIT_S);
	}
	CHECK_OK(ph_mq_close(q));
	CHECK_OK(ph_mq_unlink(test_name()));
	region_close(&r);
}

TEST(a_lock_that_names_the_caller_is_a_deadlock)
{
	char buf[VICTIM_SIZE];
	struct region r;
	const mqd_t q = make(test_name());
	region_open(&r, test_name());
	set_locks(&r, (uint32_t)getpid());
	CHECK_ERR(ph_mq_send(q, "a", 1, 0), EDEADLK);
	CHECK_ERR(ph_mq_receive(q, buf, sizeof(buf), NULL), EDEADLK);
	CHECK_ERR(ph_mq_peek(q, buf, sizeof(buf), NULL), EDEADLK);
	set_locks(&r, 0);
	CHECK_OK(ph_mq_close(q));
	CHECK_OK(ph_mq_unlink(test_name()));
	region_close(&r);
}

// A timed call ends near its deadline, another after the library's patience; neither burns CPU time.
TEST(a_lock_that_names_a_stranger_does_not_hold_up_calls_with_a_limit)
{
	char buf[VICTIM_SIZE];
	struct region r;
	const mqd_t q = make(test_name());
	region_open(&r, test_name());
	set_locks(&r, (uint32_t)getppid());
	const double begin = seconds(CLOCK_MONOTONIC);
	const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	struct timespec until = in_ms(100);
	CHECK_ERR(ph_mq_clocksend(q, "a", 1, 0, CLOCK_MONOTONIC, &until), ETIMEDOUT);
	until = in_ms(100);
	CHECK_ERR(ph_mq_clockreceive(q, buf, sizeof(buf), NULL, CLOCK_MONOTONIC, &until), ETIMEDOUT);
	CHECK_ERR(ph_mq_peek(q, buf, sizeof(buf), NULL), EAGAIN);
	CHECK(seconds(CLOCK_MONOTONIC) - begin < STEP_LIMIT_S);
	CHECK(seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu < 1);
	set_locks(&r, 0);
	CHECK_OK(ph_mq_close(q));
	CHECK_OK(ph_mq_unlink(test_name()));
	region_close(&r);
}

// Words that sleepers sleep on.

static void sleep_under_attack(size_t offset, uint32_t value)
{
	char buf[VICTIM_SIZE];
	struct region r;
	const mqd_t q = make(test_name());
	region_open(&r, test_name());
	__atomic_store_n((uint32_t *)((char *)r.c + offset), value, __ATOMIC_RELAXED);
	const double begin = seconds(CLOCK_MONOTONIC);
	const double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
	const struct timespec until = in_ms(400);
	CHECK_EQ(ph_mq_clockreceive(q, buf, sizeof(buf), NULL, CLOCK_MONOTONIC, &until), -1);
	if (errno != ETIMEDOUT && errno != EBADMSG)
		test_failed(__FILE__, __LINE__, "word %zu: %s", offset, strerror(errno));
	const double used = seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	if (used > 0.2) // who spins uses 0.4
		test_failed(__FILE__, __LINE__, "the sleeper sleeps (word %zu = %x: %.3f s of CPU time)",
		            offset, value, used);
	CHECK(seconds(CLOCK_MONOTONIC) - begin < STEP_LIMIT_S);
	CHECK_OK(ph_mq_close(q));
	CHECK_OK(ph_mq_unlink(test_name()));
	region_close(&r);
	remove_fifos();
}

TEST(a_scribbled_deathword_does_not_make_sleepers_spin)
{
	sleep_under_attack(offsetof(struct mq_control, deathword), 1);
	sleep_under_attack(offsetof(struct mq_control, deathword), UINT32_MAX);
}

TEST(scribbled_event_words_and_flags_do_not_make_sleepers_spin)
{
	const size_t words[] = {
		offsetof(struct mq_control, rx_event),   offsetof(struct mq_control, tx_event),
		offsetof(struct mq_control, note_event), offsetof(struct mq_control, generation),
		offsetof(struct mq_control, rx_asleep),  offsetof(struct mq_control, watched),
		offsetof(struct mq_control, loans),      offsetof(struct mq_control, borrowed),
		offsetof(struct mq_control, polled),     offsetof(struct mq_control, tokens),
	};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		sleep_under_attack(words[i], UINT32_MAX);
}

// Notification.

struct bystander {
	pid_t pid;
	atomic_int asked, answered;
};

static void answer(void *arg)
{
	struct bystander *b = arg;
	for (;;) {
		atomic_store(&b->answered, atomic_load(&b->asked));
		sched_yield();
	}
}

static bool has_answered(void *arg)
{
	struct bystander *b = arg;
	CHECK_EQ(waitpid(b->pid, NULL, WNOHANG), 0);
	return atomic_load(&b->answered) == atomic_load(&b->asked);
}

static void check_alive(struct bystander *b)
{
	atomic_fetch_add(&b->asked, 1);
	test_wait_until(has_answered, b);
}

// A queue that others may write to: a registration forged by one of them must not make a sender with
// more rights send signals in its place.
TEST(a_forged_registration_does_not_make_a_sender_signal_a_bystander)
{
	const struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct bystander *b = (struct bystander *)diaries_new(1);
	struct region r;
	const mqd_t q = make(test_name());
	signal(SIGUSR1, SIG_IGN);
	b->pid = test_fork(answer, b);
	check_alive(b);
	region_open(&r, test_name());
	CHECK_OK(fchmod(r.fd, 0666));
	CHECK_OK(ph_mq_notify(q, &ev));
	r.c->notice.pid = b->pid;
	r.c->notice.signo = SIGKILL;
	put(q, 0);
	check_alive(b);
	test_kill(b->pid);
	CHECK_OK(ph_mq_close(q));
	CHECK_OK(ph_mq_unlink(test_name()));
	region_close(&r);
}

struct registrant {
	struct bystander b;
	mqd_t q;
	atomic_int registered;
};

static void register_and_answer(void *arg)
{
	struct registrant *g = arg;
	const struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	signal(SIGUSR1, SIG_IGN);
	CHECK_OK(ph_mq_notify(g->q, &ev));
	atomic_store(&g->registered, 1);
	answer(&g->b);
}

static bool has_registered(void *arg)
{
	return atomic_load(&((struct registrant *)arg)->registered) != 0;
}

// Nor does a forged signal number kill the registrant itself.
TEST(a_forged_registration_does_not_make_a_sender_kill_the_registrant)
{
	struct registrant *g = (struct registrant *)diaries_new(1);
	struct region r;
	g->q = make(test_name());
	region_open(&r, test_name());
	CHECK_OK(fchmod(r.fd, 0666));
	g->b.pid = test_fork(register_and_answer, g);
	test_wait_until(has_registered, g);
	r.c->notice.signo = SIGKILL;
	put(g->q, 0);
	check_alive(&g->b);
	test_kill(g->b.pid);
	CHECK_OK(ph_mq_close(g->q));
	CHECK_OK(ph_mq_unlink(test_name()));
	region_close(&r);
}
