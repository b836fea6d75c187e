// SPDX-License-Identifier: MIT
//
// Sending to one process. Under the port's lock a sender reads how the owner stands to the signal, and either puts it into
// the queue or leaves it to the kernel:
//
//   the owner                                       a queued signal          a standard one
//   has it blocked and looks here (quiet)           queue                    merged into `standard`
//   the same, and a thread sleeps for it            bell, queue              the kernel's
//   has a handler                                   bell, queue              the kernel's
//   anything else                                   the kernel's             the kernel's
//
// What finds the queue full is refused (EAGAIN), but for a kill, which becomes the kernel's: there it merges at worst.
//
// The bell comes before the commit: a sender that is killed between the two has rung in vain, and the other way round
// the owner would sleep beside a signal. Who hears a bell takes the lock before he looks, so he sees what it was
// rung for. Who has sent a signal by the kernel says so with the next one that he puts into the queue: the owner then
// fetches what the kernel has first; and who sends by the kernel says how far he saw the queue filled, so that the owner puts it
// behind that (collect.c). One sender's signals stay in order.
#include "signal/port.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

#define PATIENCE_NS 10000000
#define LEAVING_NS \
	1000000000 // for an owner that hands all that is here to the kernel: who went there now would overtake it
#define BELL_AGAIN_NS \
	20000000 // a bell that is not heard for so long may be lost: another library took it
#define UID_EVERY 256

uid_t phi_sender_uid(void)
{
	static uint32_t generation, uid, uses;
	uint32_t g = phi_self()->generation;
	if (load_relaxed_u32(&generation) != g || load_relaxed_u32(&uses) >= UID_EVERY) {
		store_relaxed_u32(&uid, (uint32_t)getuid());
		store_relaxed_u32(&uses, 0);
		store_relaxed_u32(&generation, g);
	}
	store_relaxed_u32(&uses, load_relaxed_u32(&uses) + 1);
	return load_relaxed_u32(&uid);
}

// ---- the kernel's way ----

// How many queued signals this process has sent by the kernel, plus one: who sends by a port next has to say so
// (`after_kernel`). Counted afterwards: what says so on behalf of all threads comes later than what it speaks of.
static uint32_t kernel_sends = 1;

// Begins with the time in half microseconds, so that a program's numbers are behind those of what this process was before
// an exec: no signal by the kernel takes less.
static uint32_t next_sequence(void)
{
	static uint32_t last;
	if (load_relaxed_u32(&last) == 0)
		cas_acq_rel_u32(&last, 0, (uint32_t)(phi_now_ns() >> 9));
	uint32_t n = add_acq_rel_u32(&last, 1) + 1;
	return n != 0 ? n : 1;
}

static struct signal_seen seen_by(const struct signal_peer *p)
{
	uint32_t n = next_sequence();
	if (load_relaxed_u32(&p->port->closed)) // what comes next has another queue
		return (struct signal_seen){0, 0};
	uint64_t tail = load_acquire_u64(&p->port->tail); // SIGNAL_TAIL
	return (struct signal_seen){signal_seen_word(tail, p->id), n};
}

static int kernel_queue(pid_t pid, const struct signal_record *r, const struct signal_seen *seen)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	info.si_signo = r->signo;
	info.si_code = r->code;
	info.si_pid = r->pid;
	info.si_uid = r->uid;
	info.si_value.sival_ptr = (void *)(uintptr_t)r->value;
	phi_bell_mark_process(&info, seen);
	return (int)syscall(SYS_rt_sigqueueinfo, pid, r->signo, &info);
}

// `looks`: the target's library will, and knows a kill that is told as something else.
static int kernel_send(pid_t pid, const struct signal_record *r, struct signal_seen seen,
                       bool looks)
{
	bool as_kill = r->code == SI_USER && !looks;
	int sent = as_kill ? -1 : kernel_queue(pid, r, &seen);
	if (sent != 0 && r->code == SI_USER) // is never refused
		sent = (int)syscall(SYS_kill, pid, r->signo);
	int e = sent != 0 ? -errno : 0;
	if (r->signo >= SIGNAL_STANDARD)
		add_acq_rel_u32(&kernel_sends, 1);
	return e;
}

// To the process that the port is of, whoever has the number now.
static int ring(struct signal_peer *p, const struct signal_record *r)
{
	siginfo_t info;
	phi_bell_make(&info, r);
	long sent = -1;
	errno = ENOSYS;
	if (p->pidfd >= 0)
		sent = syscall(SYS_pidfd_send_signal, p->pidfd, r->signo, &info, 0);
	if (sent != 0 && (errno == ENOSYS || errno == EBADF || errno == EINVAL))
		sent = syscall(SYS_rt_sigqueueinfo, p->pid, r->signo, &info);
	if (sent != 0 &&
	    errno == EAGAIN) // the kernel's queue is full: without siginfo it always takes one
		sent = syscall(SYS_kill, p->pid, r->signo);
	return sent != 0 ? -errno : 0;
}

// ---- the port's way ----

static bool outstanding(struct signal_port *port, int signo)
{
	const struct signal_bell *b = &port->bell[signo];
	if (load_relaxed_u32(&b->rung) == load_relaxed_u32(&b->heard))
		return false;
	const uint64_t last = load_relaxed_u64((const uint64_t *)&port->last_bell_ns);
	return (int64_t)((uint64_t)phi_now_coarse_ns() - last) < BELL_AGAIN_NS;
}

// 0 it has been rung, 1 it is to be rung once the lock is let go: by the owner itself, who would answer it at once. It is
// counted before: an owner who grows impatient while this thread does not run must know a bell without siginfo for one.
// Nobody believes the count before the bell has been rung: who dies in between has rung in vain at most.
static int ring_counted(struct signal_peer *p, const struct signal_record *r)
{
	struct signal_port *port = p->port;
	struct signal_bell *b = &port->bell[r->signo];
	store_relaxed_u64((uint64_t *)&port->last_bell_ns, (uint64_t)-BELL_AGAIN_NS);
	compiler_barrier();
	store_relaxed_u32(&b->rung, load_relaxed_u32(&b->rung) + 1);
	int e = p->own ? 1 : ring(p, r);
	if (e >= 0)
		store_relaxed_u64((uint64_t *)&port->last_bell_ns, (uint64_t)phi_now_coarse_ns());
	return e;
}

static void note(struct signal_port *port, const struct signal_record *r, uint64_t n)
{
	if (port->last_pid != r->pid || n % 8 == 0)
		store_relaxed_u64((uint64_t *)&port->last_ns, (uint64_t)phi_now_coarse_ns());
	port->last_pid = r->pid;
	port->last_uid = r->uid;
	port->last_signo = r->signo;
	port->sent++;
}

static int ring_once(struct signal_peer *p, const struct signal_record *r)
{
	return outstanding(p->port, r->signo) ? 0 : ring_counted(p, r);
}

enum went { WENT_ELSEWHERE, WENT_QUEUED, WENT_MERGED };

static int merge(struct signal_port *port, const struct signal_record *r)
{
	uint64_t bit = SIGNAL_BIT(r->signo);
	if (load_acquire_u64(&port->standard) & bit) // SIGNAL_STANDARD_BITS
		return 0;
	port->merged[r->signo] = *r;
	note(port, r, 0);
	store_relaxed_u32(&port->sender_cpu, phi_cpu());
	or_acq_rel_u64(&port->standard, bit); // SIGNAL_STANDARD_BITS
	store_release_u64(&port->events, port->events + 1);
	return 0;
}

// The owner writes `taken` with each signal: it is looked at only if the queue would be full by what was seen before.
static bool is_full(struct signal_peer *p, uint64_t tail, uint32_t depth)
{
	if (tail - p->taken >= depth)
		p->taken = load_acquire_u64(&p->port->taken); // SIGNAL_TAKEN
	return tail - p->taken >= depth;
}

// Whoever waits for one signal finds it in the line where he learns that it is there. Each store after the first is ordered
// behind it: who reads a torn copy reads another `newest_at` afterwards.
static void write_newest(struct signal_port *port, const struct signal_record *r, uint64_t tail)
{
	store_relaxed_u32(&port->newest_at, 0);
	if (r->payload_bytes != 0 || r->after_kernel != 0)
		return;
	for (int i = 0; i < SIGNAL_NEWEST_WORDS; i++)
		store_release_u64(&port->newest[i], signal_newest_word(r, i)); // SIGNAL_NEWEST
	store_release_u32(&port->newest_at, (uint32_t)tail + 1);           // SIGNAL_NEWEST
}

static void write_record(struct signal_peer *p, const struct signal_message *m, uint32_t slot)
{
	struct signal_record *ring = (struct signal_record *)(p->region.base + SIGNAL_RING_AT);
	struct signal_payload *payloads = (struct signal_payload *)(p->region.base + SIGNAL_PAYLOAD_AT);
	if (m->record.payload_bytes > 0)
		memcpy(&payloads[slot], m->payload, m->record.payload_bytes);
	uint32_t sends = load_acquire_u32(&kernel_sends);
	struct signal_record r = m->record;
	r.after_kernel = p->kernel_sends != sends;
	p->kernel_sends = sends;
	ring[slot] = r;
	write_newest(p->port, &r, load_relaxed_u64(&p->port->tail));
}

// Under the lock: 0, 1 the bell is still owed (to this process itself), -errno.
static int enqueue(struct signal_peer *p, const struct signal_message *m, bool bell)
{
	struct signal_port *port = p->port;
	uint64_t tail = load_relaxed_u64(&port->tail);
	uint32_t size = load_relaxed_u32(&port->ring_size);
	uint32_t depth = load_relaxed_u32(&port->send.guarded32);
	if (size == 0 || size > SIGNAL_RING_MAX || (size & (size - 1)) != 0 || depth > size)
		return -ENOTSUP; // scribbled
	if (is_full(p, tail, depth)) {
		if (m->record.code == SI_USER)
			return -ENOTSUP; // a kill is never refused
		port->refused++;
		return -EAGAIN;
	}
	write_record(p, m, (uint32_t)tail & (size - 1));
	int e = bell ? ring_once(p, &m->record) : 0;
	if (e < 0) {
		p->kernel_sends = 0; // what it would have said is still to be said
		return e;
	}
	note(port, &m->record, tail);
	store_relaxed_u32(&port->sender_cpu, phi_cpu());
	store_release_u64(&port->tail, tail + 1); // SIGNAL_TAIL
	store_release_u64(&port->events, port->events + 1);
	return e;
}

// Under the lock. Its holder was stopped, and goes on: the owner has not waited for it. What was committed meanwhile is
// rung for in any case; a standard signal that nobody may look for any more is taken back, and becomes the kernel's.
static int settle(struct signal_peer *p, const struct signal_record *r, enum went went)
{
	uint64_t bit = SIGNAL_BIT(r->signo);
	if (went == WENT_MERGED) {
		uint64_t bits = load_acquire_u64(&p->port->standard);
		while ((bits & bit) && !cas_acq_rel_u64(&p->port->standard, bits, bits & ~bit))
			bits = load_acquire_u64(&p->port->standard); // SIGNAL_STANDARD_BITS
		return bits & bit ? -ENOTSUP : 0;
	}
	return ring_counted(p, r) == 1; // its failure is the end of the owner
}

// Under the lock, whose holder has died: perhaps after its commit, and before it has seen that the owner had grown
// impatient. What it has committed last is rung for.
static void ring_for_dead(struct signal_peer *p)
{
	const struct signal_record *ring =
		(const struct signal_record *)(p->region.base + SIGNAL_RING_AT);
	uint64_t tail = load_relaxed_u64(&p->port->tail);
	uint32_t size = load_relaxed_u32(&p->port->ring_size);
	if (p->own || tail == 0 || size == 0 || size > SIGNAL_RING_MAX || (size & (size - 1)) != 0)
		return;
	const struct signal_record r = ring[(uint32_t)(tail - 1) & (size - 1)];
	if (r.signo > 0 && r.signo < SIGNAL_NUMBERS &&
	    ((load_relaxed_u64(&p->port->send.guarded64b) |
	      load_relaxed_u64(&p->port->send.guarded64c)) &
	     SIGNAL_BIT(r.signo)))
		ring_counted(p, &r);
}

static int push_locked(struct signal_peer *p, const struct signal_message *m, bool only_look,
                       enum went *went)
{
	const struct phi_lock *l = &p->port->send;
	const struct signal_record *r = &m->record;
	uint64_t bit = SIGNAL_BIT(r->signo);
	bool quiet = load_relaxed_u64(&l->guarded64) & bit;
	bool caught = load_relaxed_u64(&l->guarded64b) & bit;
	bool asleep = load_relaxed_u64(&l->guarded64c) & bit;
	bool queues = (SIGNAL_QUEUED_MASK | load_relaxed_u64(&l->guarded64d)) & bit;
	if (!(quiet || caught) || load_relaxed_u32(&p->port->closed) ||
	    (!queues && (!quiet || asleep))) {
		if (m->to_port)
			return quiet || caught ? -ENOTSUP : -ESRCH;
		return queues && !only_look ? kernel_send(p->pid, r, seen_by(p), false) : -ENOTSUP;
	}
	if (only_look)
		return queues && is_full(p, load_relaxed_u64(&p->port->tail), l->guarded32) ? -EAGAIN : 0;
	*went = queues ? WENT_QUEUED : WENT_MERGED;
	return queues ? enqueue(p, m, !quiet || asleep) : merge(p->port, r);
}

static inline bool is_impatient(const struct signal_peer *p, uint32_t since)
{
	return __builtin_expect(load_relaxed_u32(&p->port->impatience) != since, 0);
}

// The owner grew impatient when the lock was about to be dropped. Without it the bell is not counted.
static int settle_late(struct signal_peer *p, const struct signal_record *r, enum went went,
                       struct phi_hold *h)
{
	int locked = phi_lock_take(h, &p->port->send, PATIENCE_NS);
	int e = settle(p, r, went);
	if (locked == 0 || locked == -EOWNERDEAD)
		phi_lock_drop(h, &p->port->send);
	return e;
}

// The look for an impatient owner is made twice after the commit: with the lock, which says so if this thread dies before it
// (and where the owner's fence is one for all, phi_own_lock, this look is enough); and behind a fence of its own.
int phi_signal_push(struct signal_peer *p, const struct signal_message *m, bool only_look)
{
	struct phi_hold h;
	enum went went = WENT_ELSEWHERE;
	phi_signal_enter();
	phi_enter(&h);
	int r = phi_lock_take(&h, &p->port->send, PATIENCE_NS);
	if (r == -EAGAIN && load_relaxed_u32(&p->port->closed) == SIGNAL_CLOSING)
		r = phi_lock_take(&h, &p->port->send, LEAVING_NS);
	if (r == 0 || r == -EOWNERDEAD) {
		uint32_t impatience = load_acquire_u32(&p->port->impatience); // SIGNAL_IMPATIENCE
		if (__builtin_expect(r == -EOWNERDEAD, 0))
			ring_for_dead(p);
		r = push_locked(p, m, only_look, &went);
		compiler_barrier(); // SIGNAL_IMPATIENCE: behind the commit
		bool settled = is_impatient(p, impatience) && r >= 0 && went != WENT_ELSEWHERE;
		if (settled)
			r = settle(p, &m->record, went);
		phi_lock_drop(&h, &p->port->send);
		fence_after_rmw(); // SIGNAL_IMPATIENCE: the same
		if (is_impatient(p, impatience) && r >= 0 && went != WENT_ELSEWHERE && !settled)
			r = settle_late(p, &m->record, went, &h);
	} else {
		r = -ENOTSUP; // this thread itself, interrupted, or somebody who is stopped, has it
	}
	phi_leave(&h);
	phi_signal_leave();
	return r == 1 ? ring(p, &m->record) : r; // who dies before that is the one to be rung for
}

// ---- the calls ----

static enum phi_peer_effort effort_for(int signo)
{
	// Opening allocates memory: not from a handler that may have interrupted just that.
	if (phi_signal_self.handling != 0)
		return PHI_PEER_KNOWN;
	return signo < SIGNAL_STANDARD ? PHI_PEER_TRY : PHI_PEER_LOOK;
}

// Without the lock, which could not be had.
static bool looks_for(const struct signal_peer *p, int signo)
{
	const struct phi_lock *l = &p->port->send;
	uint64_t looked_for = load_relaxed_u64(&l->guarded64) | load_relaxed_u64(&l->guarded64b);
	uint64_t queues = SIGNAL_QUEUED_MASK | load_relaxed_u64(&l->guarded64d);
	return (looked_for & queues & SIGNAL_BIT(signo)) != 0 &&
	       load_relaxed_u32(&p->port->closed) == 0;
}

int phi_signal_send(pid_t pid, int signo, int code, union sigval value)
{
	PHI_KEEP_ERRNO;
	const struct phi_self *me = phi_self();
	struct signal_message m = {.record = {.value = (uint64_t)(uintptr_t)value.sival_ptr,
	                                      .pid = me->pid,
	                                      .uid = (uint32_t)phi_sender_uid(),
	                                      .code = code,
	                                      .signo = (uint16_t)signo}};
	bool possible = pid > 0 && signo > 0 && signo < SIGNAL_NUMBERS && phi_signal_self.busy == 0;
	struct signal_peer *p = possible ? phi_peer_get(pid, effort_for(signo)) : NULL;
	int r = -ENOTSUP;
	struct signal_seen seen = {0, 0};
	bool looks = false;
	if (p != NULL) {
		r = phi_signal_push(p, &m, false);
		if (r == -ENOTSUP) {
			looks = looks_for(p, signo);
			seen = seen_by(p);
		}
		phi_peer_put(p);
	}
	if (r != -ENOTSUP)
		return r;
	if (signo < 0 || signo >= SIGNAL_NUMBERS)
		return -EINVAL;
	return kernel_send(pid, &m.record, seen, looks);
}
