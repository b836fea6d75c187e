// SPDX-License-Identifier: MIT
//
// The policy: spin up to four times as long as it last took, quarter that on failure; when nothing is
// left, block, but try a spin longer than a wake-up at growing distances, because two sides that both
// block would otherwise never find out that both run. Where the CPUs are short (a wait was preempted)
// or the peer sits on this very CPU, do not spin; in the latter case yield once instead.
#include "sync/spin.h"

#include "base/atomic.h"
#include "base/clock.h"

#include <sched.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define WORTH_NS 2000
#define PROBE_NS 60000
#define BOUND_NS 100000
#define SHORT_CAP_NS 6000
#define SHORT_FOR_NS 300000000
#define LOOK_EVERY 32
#define LOOK_GAP_NS 1000000
#define GAP_MAX 1024
#define YIELD_SLOW_NS 50000
#define YIELD_MESSAGE_NS 4000
#define YIELD_GAP_MAX 64
#define YIELD_DEAR_MAX 8
#define NAME_OF_BOUND "POSTHASTE_SPIN_NS"

static int64_t bound_ns = -1; // -1 = not read yet

// What one thread knows of the CPUs it may use.
static __thread struct {
	int64_t looked_ns;
	int64_t short_until_ns;
	long preempted;
	uint32_t long_waits;
	bool pinned;
	int64_t no_yield_until_ns;
	unsigned dear; // yields in a row that gave the CPU to strangers
} cpus;

static int64_t default_bound(void)
{
	const char *text = getenv(NAME_OF_BOUND);
	if (text == NULL || *text == '\0')
		return BOUND_NS;
	char *end;
	long long v = strtoll(text, &end, 10);
	return *end != '\0' || v < 0 ? BOUND_NS : v;
}

int64_t phi_spin_bound_ns(void)
{
	int64_t b = (int64_t)load_relaxed_u64((uint64_t *)&bound_ns);
	if (b < 0) {
		b = default_bound();
		store_relaxed_u64((uint64_t *)&bound_ns, (uint64_t)b);
	}
	return b;
}

void phi_spin_set_bound(int64_t ns)
{
	store_relaxed_u64((uint64_t *)&bound_ns, (uint64_t)(ns < 0 ? -1 : ns));
}

void phi_spin_init(struct phi_spin *s)
{
	*s = (struct phi_spin){.limit_ns = PROBE_NS, .gap = 1};
}

static void look_at_cpus(int64_t now)
{
	cpu_set_t set;
	struct rusage ru;
	if (sched_getaffinity(0, sizeof set, &set) == 0)
		cpus.pinned = CPU_COUNT(&set) < 2;
	if (getrusage(RUSAGE_THREAD, &ru) == 0) {
		if (cpus.looked_ns != 0 && ru.ru_nivcsw > cpus.preempted)
			cpus.short_until_ns = now + SHORT_FOR_NS;
		cpus.preempted = ru.ru_nivcsw;
	}
	cpus.looked_ns = now;
}

bool phi_spin_pinned(void)
{
	if (cpus.looked_ns == 0)
		look_at_cpus(phi_now_ns());
	return cpus.pinned;
}

static bool single_cpu(void)
{
	static uint32_t online; // racy and idempotent
	if (load_relaxed_u32(&online) == 0)
		store_relaxed_u32(&online, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN));
	return load_relaxed_u32(&online) == 1;
}

int phi_spin_pauses(int64_t ns)
{
	int64_t bound = phi_spin_bound_ns();
	if (bound <= 0 || single_cpu())
		return 0;
	return (int)((bound < ns ? bound : ns) / 25);
}

// Whether the other side can run while we spin, as far as we know.
static bool pointless(const uint32_t *peer_cpu)
{
	uint32_t peer = load_relaxed_u32(peer_cpu);
	return peer == phi_cpu() || (peer == 0 && phi_spin_pinned());
}

static int64_t allowance(struct phi_spin *s)
{
	int64_t bound = phi_spin_bound_ns();
	if (bound <= 0)
		return 0;
	int64_t limit = load_relaxed_u32(&s->limit_ns);
	if (limit < WORTH_NS) {
		uint32_t skip = load_relaxed_u32(&s->skip);
		if (skip > 0) {
			store_relaxed_u32(&s->skip, skip - 1);
			return 0;
		}
		limit = PROBE_NS;
	}
	return limit < bound ? limit : bound;
}

static void succeeded(struct phi_spin *s, int64_t took)
{
	int64_t limit = 4 * took + 3000;
	store_relaxed_u32(&s->limit_ns, (uint32_t)(limit < BOUND_NS * 10 ? limit : BOUND_NS * 10));
	store_relaxed_u32(&s->gap, 1);
}

static void failed(struct phi_spin *s)
{
	uint32_t limit = load_relaxed_u32(&s->limit_ns) / 4;
	store_relaxed_u32(&s->limit_ns, limit < WORTH_NS ? 0 : limit);
	if (limit < WORTH_NS) {
		uint32_t gap = load_relaxed_u32(&s->gap);
		store_relaxed_u32(&s->skip, gap);
		store_relaxed_u32(&s->gap, gap * 2 < GAP_MAX ? gap * 2 : GAP_MAX);
	}
}

// A yield lets a peer on this CPU run, if he can, for a tenth of what sleeping and waking cost. Where a
// stranger has use for the CPU, it gives him a whole time slice: then none for 16 times as long as it
// took, and longer if it happens again. What the peer did in the time (the cursor counts messages) is
// no loss.
static void judge_yield(int64_t begin, int64_t took, uint64_t passed)
{
	if (took > YIELD_SLOW_NS && (uint64_t)took > YIELD_SLOW_NS + passed * YIELD_MESSAGE_NS) {
		cpus.dear += cpus.dear < YIELD_DEAR_MAX;
		cpus.no_yield_until_ns = begin + took + (took << (cpus.dear + 3));
	} else if (passed != 0) {
		cpus.dear = 0;
	}
}

static bool yield_to_peer(struct phi_spin *s, const uint64_t *word, uint64_t value)
{
	uint32_t skip = load_relaxed_u32(&s->yield_skip);
	if (skip > 0) {
		store_relaxed_u32(&s->yield_skip, skip - 1);
		return false;
	}
	int64_t begin = phi_now_ns();
	if (begin < cpus.no_yield_until_ns)
		return false;
	sched_yield();
	uint64_t passed = load_relaxed_u64(word) - value;
	judge_yield(begin, phi_now_ns() - begin, passed);
	uint32_t gap = load_relaxed_u32(&s->yield_gap);
	store_relaxed_u32(&s->yield_skip, passed != 0 ? 0 : gap);
	store_relaxed_u32(&s->yield_gap, passed != 0 ? 1 : gap < YIELD_GAP_MAX ? gap * 2 + 1 : gap);
	return passed != 0;
}

static bool stopped(const uint32_t *stop)
{
	return stop != NULL && load_relaxed_u32(stop) != 0;
}

enum outcome { CHANGED, EXPIRED, POINTLESS };

static enum outcome spin(const uint64_t *word, uint64_t value, const uint32_t *peer_cpu,
                         const uint32_t *stop, int64_t begin, int64_t limit)
{
	for (;;) {
		for (int i = 0; i < 16; i++) {
			if (load_relaxed_u64(word) != value)
				return CHANGED;
			cpu_relax();
		}
		if (pointless(peer_cpu) || stopped(stop))
			return POINTLESS;
		if (phi_now_ns() - begin > limit)
			return EXPIRED;
	}
}

bool phi_spin_while(struct phi_spin *s, const uint64_t *word, uint64_t value,
                    const uint32_t *peer_cpu, const uint32_t *stop)
{
	if (stopped(stop) || phi_spin_bound_ns() <= 0)
		return false;
	if (load_relaxed_u32(peer_cpu) == phi_cpu())
		return yield_to_peer(s, word, value);
	int64_t limit = pointless(peer_cpu) ? 0 : allowance(s);
	if (limit == 0)
		return false;
	// The usual case between running peers needs no clock.
	for (int i = 0; i < 8; i++) {
		if (load_relaxed_u64(word) != value)
			return true;
		cpu_relax();
	}
	int64_t begin = phi_now_ns();
	if (++cpus.long_waits % LOOK_EVERY == 0 && begin - cpus.looked_ns > LOOK_GAP_NS)
		look_at_cpus(begin);
	// Not so a probe: it is rare, and the only way back from both sides blocking.
	if (begin < cpus.short_until_ns && load_relaxed_u32(&s->limit_ns) >= WORTH_NS &&
	    limit > SHORT_CAP_NS)
		limit = SHORT_CAP_NS;
	enum outcome o = spin(word, value, peer_cpu, stop, begin, limit);
	if (o == CHANGED)
		succeeded(s, phi_now_ns() - begin);
	else if (o == EXPIRED)
		failed(s);
	return o == CHANGED;
}

bool phi_spin_pays(struct phi_spin *s, const uint32_t *peer_cpu)
{
	if (phi_spin_bound_ns() <= 0)
		return false;
	if (load_relaxed_u32(peer_cpu) != phi_cpu())
		return !pointless(peer_cpu) && allowance(s) > 0;
	uint32_t skip = load_relaxed_u32(&s->yield_skip);
	if (skip > 0)
		store_relaxed_u32(&s->yield_skip, skip - 1);
	return skip == 0 && phi_now_ns() >= cpus.no_yield_until_ns;
}
