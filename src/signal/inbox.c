// SPDX-License-Identifier: MIT
//
// What this process has accepted: signals that came through the port, and those that the kernel handed to a stub which could
// not run a handler. Private memory, so that a sender that dies, or lies, cannot touch what was accepted, and that
// this process's own death leaves nothing to repair. Each number has a queue; standard signals hold one entry at most,
// unless PH_SA_QUEUE made them queue.
//
// One lock for all threads. Who has it is `busy` (port.h): no stub of ours runs in that thread, so that the lock is never
// wanted twice, and no handler is called with it.
#include "signal/inbox.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define EXTRA \
	16384 // queued signals from the kernel, beside the queue's depth; untouched memory costs nothing
#define SLACK (EXTRA + SIGNAL_STANDARD)
#define STEPS_MOST 4096 // on the way to a signal's place: somebody may have scribbled

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct inbox_node *nodes;
static struct signal_payload *payloads; // of the nodes
static uint32_t capacity, fresh, free_list;
static uint32_t used[INBOX_ACCOUNTS], room[INBOX_ACCOUNTS];
static struct inbox_list lists[SIGNAL_NUMBERS];
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

// Copy everything to memory of another size.
static void move(struct inbox_node *to, struct signal_payload *payload_to)
{
	uint32_t n = 0;
	for (int s = 1; s < SIGNAL_NUMBERS; s++) {
		struct inbox_list *l = &lists[s];
		uint32_t first = n + 1;
		for (uint32_t at = l->first; at != 0; at = nodes[at - 1].next) {
			to[n] = nodes[at - 1];
			if (to[n].payload_bytes > 0)
				payload_to[n] = payloads[at - 1];
			to[n].prev = n + 1 == first ? 0 : n;
			to[n].next = n + 2;
			n++;
		}
		if (l->count > 0) {
			to[n - 1].next = 0;
			l->first = first;
			l->last = n;
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
	if (all() > wanted || used[INBOX_DEPTH] > depth)
		return -EBUSY;
	struct inbox_node *n = get_memory(wanted * sizeof *n);
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
	room[INBOX_DEPTH] = depth;
	room[INBOX_EXTRA] = EXTRA;
	room[INBOX_STANDARD] = SIGNAL_STANDARD;
	return 0;
}

// ---- nodes ----

static uint32_t number_of(const struct inbox_node *node)
{
	return (uint32_t)(node - nodes) + 1;
}

static struct inbox_node *node_of(uint32_t number)
{
	return number != 0 ? &nodes[number - 1] : NULL;
}

bool phi_inbox_has_room(enum inbox_account account)
{
	return used[account] < room[account] && (free_list != 0 || fresh < capacity);
}

struct inbox_node *phi_inbox_new(enum inbox_account account)
{
	if (!phi_inbox_has_room(account))
		return NULL;
	uint32_t n = free_list;
	if (n != 0)
		free_list = nodes[n - 1].next;
	else
		n = ++fresh;
	nodes[n - 1].account = (uint8_t)account;
	nodes[n - 1].payload_bytes = 0;
	nodes[n - 1].place = INBOX_LAST;
	nodes[n - 1].sequence = 0;
	used[account]++;
	return &nodes[n - 1];
}

void phi_inbox_free(struct inbox_node *node)
{
	used[node->account]--;
	node->next = free_list;
	free_list = number_of(node);
}

struct signal_payload *phi_inbox_payload(const struct inbox_node *node)
{
	return &payloads[node - nodes];
}

// ---- lists ----

static void insert_behind(struct inbox_list *l, uint32_t at, struct inbox_node *node)
{
	struct inbox_node *before = node_of(at);
	uint32_t *link = before != NULL ? &before->next : &l->first;
	struct inbox_node *behind = node_of(*link);
	node->prev = at;
	node->next = *link;
	*link = number_of(node);
	*(behind != NULL ? &behind->prev : &l->last) = number_of(node);
	l->count++;
}

void phi_inbox_append(struct inbox_list *l, struct inbox_node *node)
{
	insert_behind(l, l->last, node);
}

struct inbox_node *phi_inbox_unlink_first(struct inbox_list *l)
{
	struct inbox_node *node = node_of(l->first);
	if (node == NULL)
		return NULL;
	struct inbox_node *next = node_of(node->next);
	l->first = node->next;
	*(next != NULL ? &next->prev : &l->last) = 0;
	l->count--;
	return node;
}

static int32_t sender_of(const struct inbox_node *node)
{
	int32_t pid;
	memcpy(&pid, (const uint8_t *)node->info + offsetof(siginfo_t, si_pid), sizeof pid);
	return pid;
}

// One without a number was sent when no queue was known: before all that have one.
static bool is_earlier(const struct inbox_node *a, const struct inbox_node *b)
{
	return a->sequence == 0 || (int32_t)(a->sequence - b->sequence) <= 0;
}

// Behind which one it goes (inbox.h).
static uint32_t spot_for(const struct inbox_list *l, const struct inbox_node *node)
{
	uint32_t spot = l->last;
	for (uint32_t at = l->last, steps = 0; at != 0 && steps < STEPS_MOST; steps++) {
		const struct inbox_node *there = &nodes[at - 1];
		bool same = there->place == node->place;
		bool his = same && sender_of(there) == sender_of(node);
		if (there->place < node->place || (his && is_earlier(there, node)))
			break;
		at = there->prev;
		if (!same || his)
			spot = at;
	}
	return spot;
}

void phi_inbox_put(int signo, struct inbox_node *node)
{
	struct inbox_list *l = &lists[signo];
	const struct inbox_node *last = node_of(l->last);
	uint32_t spot = l->last;
	if (node->place == INBOX_LAST)
		node->place = last != NULL ? last->place : 0;
	else if (last != NULL && last->place >= node->place)
		spot = spot_for(l, node);
	insert_behind(l, spot, node);
	store_relaxed_u64(&pending, pending | SIGNAL_BIT(signo));
}

// ---- out ----

#define PAYLOAD_MAGIC 0x79617073u
#define PAYLOAD_HEAD_AT 48
#define PAYLOAD_AT 56

struct payload_head {
	uint32_t magic;
	uint32_t bytes;
};

static void hand_out(const struct inbox_node *node, siginfo_t *info)
{
	uint8_t *to = (uint8_t *)info;
	for (size_t i = 0; i < SIGNAL_KERNEL_BYTES / 8; i++) { // as they were stored
		uint64_t word = load_relaxed_u64(&node->info[i]);
		memcpy(to + 8 * i, &word, sizeof word);
	}
	memset(to + SIGNAL_KERNEL_BYTES, 0, sizeof *info - SIGNAL_KERNEL_BYTES);
	if (node->payload_bytes == 0)
		return;
	const struct payload_head head = {PAYLOAD_MAGIC, node->payload_bytes};
	memcpy(to + PAYLOAD_HEAD_AT, &head, sizeof head);
	memcpy(to + PAYLOAD_AT, phi_inbox_payload(node), node->payload_bytes);
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

// What stands there is never read: a scribbled count is right again with the next signal.
void phi_inbox_publish_taken(struct signal_own *own)
{
	store_release_u64(&own->port->taken, own->drained - used[INBOX_DEPTH]); // SIGNAL_TAKEN
}

static void free_first(int signo, siginfo_t *info)
{
	struct inbox_node *node = phi_inbox_unlink_first(&lists[signo]);
	if (lists[signo].count == 0)
		store_relaxed_u64(&pending, pending & ~SIGNAL_BIT(signo));
	if (info != NULL)
		hand_out(node, info);
	struct signal_own *own = node->account == INBOX_DEPTH ? phi_own() : NULL;
	phi_inbox_free(node);
	if (own != NULL)
		phi_inbox_publish_taken(own);
}

void phi_inbox_pop(int signo, siginfo_t *info)
{
	free_first(signo, info);
}

void phi_inbox_discard(int signo)
{
	while (lists[signo].count > 0)
		free_first(signo, NULL);
}

// ---- looking ----

bool phi_inbox_has_child(pid_t pid)
{
	for (uint32_t n = lists[SIGCHLD].first; n != 0; n = nodes[n - 1].next)
		if (sender_of(&nodes[n - 1]) == pid)
			return true;
	return false;
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
