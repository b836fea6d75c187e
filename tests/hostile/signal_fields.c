// SPDX-License-Identifier: MIT
//
// tests/hostile/signal_fields.c - each field of a process's port, of its peer's and of a named one is set to each
// adversarial value, in turn; after each, every call is made once. One process attacks itself, so that a failure names
// its field and value.
#include "signal_victim.h"

#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "runner.h"

enum whose { OWN_PORT, PEERS_PORT, NAMED_PORT };

struct sweep {
	struct diary *diary;
	enum whose whose;
	pid_t peer;
};

static void scribble(struct sweep *s, uint8_t *map, uint32_t offset, bool wide, int i)
{
	uint64_t *wide_field = (uint64_t *)(void *)(map + offset);
	uint32_t *narrow_field = (uint32_t *)(void *)(map + offset);
	const uint64_t value = signal_value(wide ? *wide_field : *narrow_field, i);
	snprintf(s->diary->note, sizeof s->diary->note, "offset %u (u%d) becomes %llx", offset,
	         wide ? 64 : 32, (unsigned long long)value);
	if (wide)
		__atomic_store_n(wide_field, value, __ATOMIC_RELAXED);
	else
		__atomic_store_n(narrow_field, (uint32_t)value, __ATOMIC_RELAXED);
}

static void open_target(struct signal_region *r, const struct sweep *s)
{
	if (s->whose == NAMED_PORT)
		signal_region_open_named(r);
	else
		signal_region_open(r, s->whose == OWN_PORT ? getpid() : s->peer);
}

static void sweep_fields(void *arg)
{
	struct sweep *s = arg;
	static uint32_t fields[SIGNAL_FIELDS_MAX];
	struct signal_victim v;
	struct signal_region r;
	signal_victim_begin(&v, s->diary, s->peer);
	signal_victim_do_everything(&v);
	open_target(&r, s);
	const size_t n = signal_region_fields(&r, fields);
	for (size_t f = 0; f < n * 2; f++) {
		const bool wide = f % 2;
		// Each value once, in one width or the other.
		for (int i = wide; i < SIGNAL_VALUES && (!wide || fields[f / 2] % 8 == 0); i += 2) {
			scribble(s, r.map, fields[f / 2], wide, i);
			signal_victim_do_everything(&v);
			signal_region_restore(&r);
		}
	}
	signal_region_close(&r);
	signal_victim_end(&v);
}

static void attack(enum whose whose)
{
	struct sweep s = {diaries_new(1), whose, signal_peer_start()};
	pid_t pid = test_fork(sweep_fields, &s);
	victims_join(s.diary, &pid, 1);
	printf("%u calls, %u were refused\n", atomic_load(&s.diary->calls),
	       atomic_load(&s.diary->refused));
	CHECK(atomic_load(&s.diary->calls) > 5000);
	test_kill(s.peer);
	signals_work();
}

TEST(scribbled_fields_of_ones_own_port_do_no_harm)
{
	attack(OWN_PORT);
}

TEST(scribbled_fields_of_a_peers_port_do_no_harm)
{
	attack(PEERS_PORT);
}

TEST(scribbled_fields_of_a_named_port_do_no_harm)
{
	attack(NAMED_PORT);
}

// ---- the lock ----

static void meet_holder(void *arg)
{
	struct sweep *s = arg;
	struct signal_victim v;
	struct signal_region r[3];
	const pid_t holder = s->peer;
	signal_victim_begin(&v, s->diary, s->peer);
	signal_victim_do_everything(&v);
	signal_region_open(&r[0], getpid());
	signal_region_open(&r[1], s->peer);
	signal_region_open_named(&r[2]);
	// One who lives and never lets go; this thread itself; one who is dead; nobody at all.
	const uint32_t words[] = {(uint32_t)holder, (uint32_t)getpid(), 0x40000000,
	                          0x3ffffff0,       0xffffffff,         0x80000000 | (uint32_t)holder};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		for (int which = 0; which < 3; which++) {
			snprintf(s->diary->note, sizeof s->diary->note, "lock %d is %x", which, words[i]);
			__atomic_store_n((uint32_t *)(void *)(r[which].map + PHI_REGION_BODY), words[i],
			                 __ATOMIC_SEQ_CST);
			signal_victim_do_everything(&v);
			__atomic_store_n((uint32_t *)(void *)(r[which].map + PHI_REGION_BODY), 0,
			                 __ATOMIC_SEQ_CST);
			signal_victim_do_everything(&v);
		}
	for (int which = 0; which < 3; which++)
		signal_region_close(&r[which]);
	signal_victim_end(&v);
}

TEST(a_lock_that_names_whoever_never_lets_go_keeps_nobody_waiting)
{
	struct sweep s = {diaries_new(1), OWN_PORT, signal_peer_start()};
	pid_t pid = test_fork(meet_holder, &s);
	victims_join(s.diary, &pid, 1);
	test_kill(s.peer);
	signals_work();
}

// ---- forged signals ----

// Records of signals that the process does not take, of numbers that there are not, with a payload that is too
// long: only what it looks for comes, and no more than there was room for.
static void get_forged(void *arg)
{
	struct sweep *s = arg;
	struct signal_victim v;
	struct signal_region r;
	signal_victim_begin(&v, s->diary, s->peer);
	signal_region_open(&r, getpid());
	struct signal_port *port = (struct signal_port *)(void *)(r.map + PHI_REGION_BODY);
	struct signal_record *ring = (struct signal_record *)(void *)(r.map + SIGNAL_RING_AT);
	for (unsigned round = 0; round < 3000; round++) {
		for (unsigned i = 0; i < 64; i++)
			ring[i] = (struct signal_record){.value = round,
			                                 .pid = (int32_t)round,
			                                 .code = (int32_t)(round * 7919 - 3000),
			                                 .signo = (uint16_t)(round * 31 + i),
			                                 .payload_bytes = (uint16_t)(round * 13 + i)};
		snprintf(s->diary->note, sizeof s->diary->note, "forged records, round %u", round);
		__atomic_fetch_add(&port->tail, round % 70, __ATOMIC_SEQ_CST);
		__atomic_fetch_or(&port->standard, UINT64_C(0x9e3779b97f4a7c15) * round, __ATOMIC_SEQ_CST);
		signal_victim_do_something(&v);
	}
	signal_region_close(&r);
	signal_victim_end(&v);
}

TEST(forged_signals_do_no_harm)
{
	struct sweep s = {diaries_new(1), OWN_PORT, signal_peer_start()};
	pid_t pid = test_fork(get_forged, &s);
	victims_join(s.diary, &pid, 1);
	test_kill(s.peer);
	signals_work();
}
