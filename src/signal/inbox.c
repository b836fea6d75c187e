// SPDX-License-Identifier: MIT
//
// What this process has accepted: signals that came through the port, and those that the kernel handed to a stub which could
// not run a handler. Private memory, so that a sender that dies, or lies, cannot touch what was accepted, and that
// this process's own death leaves nothing to repair. Each number has a queue; standard signals hold one entry at most,
// unless PH_SA_QUEUE made them queue.
//
// One lock for all threads. Who has it is `busy` (port.h): no stub of ours runs in that thread, so that the lock is never
// wanted twice, and no handler is called with it.
#include "signal/port.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KERNEL_BYTES 48 // of a siginfo_t, as the kernel fills it
#define EXTRA \
	16384 // queued signals from the kernel, beside the queue's depth; untouched memory costs nothing
#define SLACK (EXTRA + SIGNAL_STANDARD)

// Each kind has its own room, so that none can crowd out another.
enum account {
	ACCOUNT_DEPTH,    // it came through the port's queue
	ACCOUNT_EXTRA,    // it queues, and came from the kernel
	ACCOUNT_STANDARD, // it merges: one of a number
	ACCOUNTS
};

struct node {
	uint8_t info[KERNEL_BYTES];
	uint32_t next; // index + 1
	uint16_t payload_bytes;
	uint8_t account;
};

struct list {
	uint32_t first, last; // index + 1, 0 = empty
	uint32_t count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct node *nodes;
static struct signal_payload *payloads; // of the nodes
static uint32_t capacity, fresh, free_list;
static uint32_t used[ACCOUNTS], room[ACCOUNTS];
static struct list lists[SIGNAL_NUMBERS];
static uint64_t pending;

void phi_inbox_lock(void)
{
	phi_signal_enter();
	pthread_mutex_lock(&lock);
}

void phi_inbox_unlock(void)
{
	pthread_mutex_unlock(&lock);
	phi_signal_leave();
}

uint64_t phi_inbox_pending(void)
{
	return load_relaxed_u64(&pending);
}

uint32_t phi_inbox_count(int signo)
{
	return lists[signo].count;
}

int phi_inbox_lowest(uint64_t set)
{
	uint64_t both = pending & set;
	return both == 0 ? 0 : __builtin_ctzll(both) + 1;
}

// ---- memory ----

static void *get_memory(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
	               -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static void put_memory(void)
{
	if (nodes != NULL)
		munmap(nodes, capacity * sizeof *nodes);
	if (payloads != NULL)
		munmap(payloads, capacity * sizeof *payloads);
	nodes = NULL;
	payloads = NULL;
}

static uint32_t all(void)
{
	uint32_t n = 0;
	for (int s = 1; s < SIGNAL_NUMBERS; s++)
		n += lists[s].count;
	return n;
}

static uint32_t new_node(enum account account)
{
	if (used[account] >= room[account])
		return 0;
	uint32_t n = free_list;
	if (n != 0)
		free_list = nodes[n - 1].next;
	else if (fresh < capacity)
		n = ++fresh;
	else
		return 0;
	nodes[n - 1].account = (uint8_t)account;
	nodes[n - 1].payload_bytes = 0;
	return n;
}

static void append(int signo, uint32_t n)
{
	used[nodes[n - 1].account]++;
	struct list *l = &lists[signo];
	nodes[n - 1].next = 0;
	if (l->last != 0)
		nodes[l->last - 1].next = n;
	else
		l->first = n;
	l->last = n;
	l->count++;
	store_relaxed_u64(&pending, pending | SIGNAL_BIT(signo));
}

// Move everything to memory of another size.
static void move(struct node *to, struct signal_payload *payload_to)
{
	uint32_t n = 0;
	for (int s = 1; s < SIGNAL_NUMBERS; s++) {
		struct list *l = &lists[s];
		uint32_t at = l->first;
		l->first = l->last = 0;
		for (; at != 0; at = nodes[at - 1].next) {
			to[n] = nodes[at - 1];
			if (to[n].payload_bytes > 0)
				payload_to[n] = payloads[at - 1];
			to[n].next = 0;
			if (l->last != 0)
				to[l->last - 1].next = n + 1;
			else
				l->first = n + 1;
			l->last = ++n;
		}
	}
	fresh = n;
	free_list = 0;
}

int phi_inbox_size(uint32_t depth)
{
	uint32_t wanted = depth + SLACK;
	if (nodes != NULL && wanted == capacity)
		return 0;
	if (all() > wanted || used[ACCOUNT_DEPTH] > depth)
		return -EBUSY;
	struct node *n = get_memory(wanted * sizeof *n);
	struct signal_payload *p = get_memory(wanted * sizeof *p);
	if (n == NULL || p == NULL) {
		if (n != NULL)
			munmap(n, wanted * sizeof *n);
		if (p != NULL)
			munmap(p, wanted * sizeof *p);
		return -ENOMEM;
	}
	move(n, p);
	put_memory();
	nodes = n;
	payloads = p;
	capacity = wanted;
	room[ACCOUNT_DEPTH] = depth;
	room[ACCOUNT_EXTRA] = EXTRA;
	room[ACCOUNT_STANDARD] = SIGNAL_STANDARD;
	return 0;
}

// ---- in ----

static const struct signal_record *ring_of(const struct signal_own *own)
{
	return (const struct signal_record *)(own->region.base + SIGNAL_RING_AT);
}

static const struct signal_payload *payloads_of(const struct signal_own *own)
{
	return (const struct signal_payload *)(own->region.base + SIGNAL_PAYLOAD_AT);
}

static void fill(struct node *node, const struct signal_record *r)
{
	siginfo_t info;
	phi_bell_make(&info, r);
	info.si_code = r->code < 0 || r->code == SI_USER ? r->code : SI_USER;
	memcpy(node->info, &info, 32);
	memset(node->info + 32, 0, KERNEL_BYTES - 32);
}

static bool queues(const struct signal_own *own, int signo)
{
	return ((SIGNAL_QUEUED_MASK | own->queueing) & SIGNAL_BIT(signo)) != 0;
}

// What stands there is never read: a scribbled count is right again with the next signal.
static void publish_taken(struct signal_own *own)
{
	store_release_u64(&own->port->taken, own->drained - used[ACCOUNT_DEPTH]); // SIGNAL_TAKEN
}

// The newest record, if it is the only one to be taken, and nobody writes a newer one.
static bool read_newest(const struct signal_port *port, uint64_t at, struct signal_record *r)
{
	uint32_t wanted = (uint32_t)at + 1;
	uint64_t word[SIGNAL_NEWEST_WORDS];
	if (wanted == 0 || load_acquire_u32(&port->newest_at) != wanted) // SIGNAL_NEWEST
		return false;
	for (int i = 0; i < SIGNAL_NEWEST_WORDS; i++)
		word[i] = load_acquire_u64(&port->newest[i]); // SIGNAL_NEWEST
	*r = (struct signal_record){.value = word[0],
	                            .pid = (int32_t)(uint32_t)word[1],
	                            .uid = (uint32_t)(word[1] >> 32),
	                            .code = (int32_t)(uint32_t)word[2],
	                            .signo = (uint16_t)(word[2] >> 32)};
	return load_relaxed_u32(&port->newest_at) == wanted;
}

// One record of the ring, read once: false if there is no room for it, or for what comes before it.
static bool take_record(struct signal_own *own, uint64_t at)
{
	uint32_t slot = (uint32_t)at & own->ring_mask;
	struct signal_record r;
	if (!read_newest(own->port, at, &r))
		r = ring_of(own)[slot];
	compiler_barrier();
	if (r.signo == 0 || r.signo >= SIGNAL_NUMBERS || !queues(own, r.signo))
		return true; // nothing that anybody sends
	if (r.after_kernel != 0 && !phi_inbox_adopt(SIGNAL_BIT(r.signo) & ~own->kernels))
		return false;
	uint32_t n = new_node(ACCOUNT_DEPTH);
	if (n == 0)
		return false;
	struct node *node = &nodes[n - 1];
	fill(node, &r);
	node->payload_bytes =
		own->payloads && r.payload_bytes <= sizeof(struct signal_payload) ? r.payload_bytes : 0;
	if (node->payload_bytes > 0)
		memcpy(&payloads[n - 1], &payloads_of(own)[slot], node->payload_bytes);
	append(r.signo, n);
	return true;
}

static void drain_ring(struct signal_own *own, uint64_t tail)
{
	if (tail - own->drained > (uint64_t)own->ring_mask + 1) // scribbled
		own->drained = tail;
	while (own->drained != tail && take_record(own, own->drained))
		own->drained++;
	publish_taken(own);
}

static void drain_merged(struct signal_own *own)
{
	uint64_t bits = load_acquire_u64(&own->port->standard); // SIGNAL_STANDARD_BITS
	uint64_t stay = 0;
	for (uint64_t rest = bits & (SIGNAL_BIT(SIGNAL_STANDARD) - 1); rest != 0; rest &= rest - 1) {
		int signo = __builtin_ctzll(rest) + 1;
		struct signal_record r = own->port->merged[signo];
		r.signo = (uint16_t)signo;
		if (lists[signo].count > 0)
			continue;
		uint32_t n = new_node(ACCOUNT_STANDARD);
		if (n != 0) {
			fill(&nodes[n - 1], &r);
			append(signo, n);
		} else {
			stay |= SIGNAL_BIT(signo);
		}
	}
	bits &= ~stay;
	// What a sender wrote over a slot meanwhile has found its bit set, and merged.
	if (bits != 0)
		and_acq_rel_u64(&own->port->standard, ~bits); // SIGNAL_STANDARD_BITS
}

void phi_inbox_drain(void)
{
	struct signal_own *own = phi_own();
	if (own == NULL)
		return;
	uint64_t tail = load_acquire_u64(&own->port->tail); // SIGNAL_TAIL
	own->looked = tail;
	if (tail != own->drained)
		drain_ring(own, tail);
	if (load_relaxed_u64(&own->port->standard) != 0)
		drain_merged(own);
	if (own->port->pending != pending)
		store_relaxed_u64(&own->port->pending, pending);
}

bool phi_inbox_accept(const siginfo_t *info)
{
	struct signal_own *own = phi_own();
	int signo = info->si_signo;
	bool merges = signo < SIGNAL_STANDARD && (own == NULL || !(own->queueing & SIGNAL_BIT(signo)));
	if (merges && lists[signo].count > 0)
		return true;
	uint32_t n = new_node(merges ? ACCOUNT_STANDARD : ACCOUNT_EXTRA);
	if (n == 0)
		return false;
	memcpy(nodes[n - 1].info, info, KERNEL_BYTES);
	append(signo, n);
	return true;
}

// What was sent to this thread alone is no business of the others': it goes back, in its order.
static void hold(struct list *h, const siginfo_t *info)
{
	uint32_t n = new_node(ACCOUNT_EXTRA);
	if (n == 0)
		return;
	memcpy(nodes[n - 1].info, info, KERNEL_BYTES);
	nodes[n - 1].next = 0;
	if (h->last != 0)
		nodes[h->last - 1].next = n;
	else
		h->first = n;
	h->last = n;
}

static void give_back_held(const struct list *h)
{
	const struct phi_self *self = phi_self();
	siginfo_t info;
	memset(&info, 0, sizeof info);
	for (uint32_t n = h->first, next; n != 0; n = next) {
		memcpy(&info, nodes[n - 1].info, KERNEL_BYTES);
		syscall(SYS_rt_tgsigqueueinfo, self->pid, self->tid, info.si_signo, &info);
		next = nodes[n - 1].next;
		nodes[n - 1].next = free_list;
		free_list = n;
	}
}

// What there is no room for is left where it is: to give it back would put it behind what came after it.
static bool take_in(uint64_t signals, uint64_t *bells)
{
	const struct timespec none = {0, 0};
	struct list held = {0, 0, 0};
	siginfo_t info;
	bool room_left = true;
	memset(&info, 0, sizeof info);
	while (signals != 0) {
		room_left =
			used[ACCOUNT_EXTRA] < room[ACCOUNT_EXTRA] && (free_list != 0 || fresh < capacity);
		if (!room_left || syscall(SYS_rt_sigtimedwait, &signals, &info, &none, sizeof signals) <= 0)
			break;
		if (phi_inbox_hears(&info))
			*bells |= SIGNAL_BIT(info.si_signo);
		else if (phi_bell_is_threads(&info))
			hold(&held, &info);
		else
			phi_inbox_accept(&info);
	}
	give_back_held(&held);
	return room_left;
}

bool phi_inbox_adopt(uint64_t signals)
{
	struct signal_own *own = phi_own();
	uint64_t bells = 0;
	bool all_in = take_in(signals, &bells);
	for (; own != NULL && bells != 0; bells &= bells - 1) {
		int signo = __builtin_ctzll(bells) + 1;
		bool more = lists[signo].count > 0 || load_relaxed_u64(&own->port->tail) != own->drained;
		if (more && (own->caught & ~own->quiet & ~own->kernels & SIGNAL_BIT(signo)))
			phi_bell_self(signo); // a handler waits for it
	}
	return all_in;
}

bool phi_inbox_hears(const siginfo_t *info)
{
	struct signal_own *own = phi_own();
	bool bell = phi_bell_is(info);
	if (!bell && !phi_bell_may_be(info))
		return false;
	bool ours = lists[info->si_signo].count > 0;
	if (own != NULL) {
		uint8_t *in_vain = &own->in_vain[info->si_signo];
		ours = ours || (own->handed_on & SIGNAL_BIT(info->si_signo)) || *in_vain > 0;
		if (*in_vain > 0)
			*in_vain = bell ? 0 : *in_vain - 1;
		ours = phi_own_heard(own, info->si_signo) > 0 || ours;
	}
	return bell || ours || phi_bell_was_bare(info->si_signo);
}

bool phi_inbox_has_child(pid_t pid)
{
	for (uint32_t n = lists[SIGCHLD].first; n != 0; n = nodes[n - 1].next) {
		pid_t child;
		memcpy(&child, nodes[n - 1].info + offsetof(siginfo_t, si_pid), sizeof child);
		if (child == pid)
			return true;
	}
	return false;
}

// ---- out ----

#define PAYLOAD_MAGIC 0x79617073u
#define PAYLOAD_HEAD_AT 48
#define PAYLOAD_AT 56

struct payload_head {
	uint32_t magic;
	uint32_t bytes;
};

static void hand_out(uint32_t n, siginfo_t *info)
{
	const struct node *node = &nodes[n - 1];
	uint8_t *to = (uint8_t *)info;
	memcpy(to, node->info, KERNEL_BYTES);
	memset(to + KERNEL_BYTES, 0, sizeof *info - KERNEL_BYTES);
	if (node->payload_bytes == 0)
		return;
	const struct payload_head head = {PAYLOAD_MAGIC, node->payload_bytes};
	memcpy(to + PAYLOAD_HEAD_AT, &head, sizeof head);
	memcpy(to + PAYLOAD_AT, &payloads[n - 1], node->payload_bytes);
}

const void *phi_payload_of(const siginfo_t *info, size_t *bytes)
{
	struct payload_head head;
	memcpy(&head, (const uint8_t *)info + PAYLOAD_HEAD_AT, sizeof head);
	if (head.magic != PAYLOAD_MAGIC || head.bytes > sizeof(struct signal_payload))
		return NULL;
	*bytes = head.bytes;
	return (const uint8_t *)info + PAYLOAD_AT;
}

static uint32_t unlink_first(int signo)
{
	struct list *l = &lists[signo];
	uint32_t n = l->first;
	l->first = nodes[n - 1].next;
	if (--l->count == 0) {
		l->last = 0;
		store_relaxed_u64(&pending, pending & ~SIGNAL_BIT(signo));
	}
	used[nodes[n - 1].account]--;
	struct signal_own *own = nodes[n - 1].account == ACCOUNT_DEPTH ? phi_own() : NULL;
	if (own != NULL)
		publish_taken(own);
	nodes[n - 1].next = free_list;
	free_list = n;
	return n;
}

void phi_inbox_pop(int signo, siginfo_t *info)
{
	hand_out(unlink_first(signo), info);
}

void phi_inbox_discard(int signo)
{
	while (lists[signo].count > 0)
		unlink_first(signo);
}

// ---- fork ----

void phi_inbox_hold(void)
{
	pthread_mutex_lock(&lock);
}

void phi_inbox_let_go(bool child)
{
	if (child) { // nothing is pending there
		memset(lists, 0, sizeof lists);
		memset(used, 0, sizeof used);
		pending = 0;
		fresh = 0;
		free_list = 0;
	}
	pthread_mutex_unlock(&lock);
}
