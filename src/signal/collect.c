// SPDX-License-Identifier: MIT
//
// What has come, into the inbox: records from the port's queue, standard signals from its bits, and what the kernel has.
//
// A sender's signals of one number may come both ways, and are to be taken in the order in which he sent them. Two
// interleavings that lose it (docs/signal.md, "Two ways, one order", has the others):
//
// * S sends by the kernel, then by the queue, which is read first. So S says `after_kernel` in the record, and what the kernel has
//   is fetched before it.
// * Y's record says so; behind it stand records of S; the kernel has Y's signal, and one that S has sent after his
//   records. All of it is fetched at Y's record. So each of the kernel's says how far its sender saw the queue filled, and
//   that is its place (inbox.h). Nothing is taken out before the queue has been read as far as that.
#include "signal/inbox.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// ---- from the port ----

static const struct signal_record *ring_of(const struct signal_own *own)
{
	return (const struct signal_record *)(own->region.base + SIGNAL_RING_AT);
}

static const struct signal_payload *payloads_of(const struct signal_own *own)
{
	return (const struct signal_payload *)(own->region.base + SIGNAL_PAYLOAD_AT);
}

static uint64_t pair(uint32_t first, uint32_t second)
{
	bool little = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;
	return little ? (uint64_t)second << 32 | first : (uint64_t)first << 32 | second;
}

// A signal as the kernel would tell it. Word by word: what is stored in small pieces and read in large ones right afterwards
// is slow.
static void fill(struct inbox_node *node, const struct signal_record *r)
{
	_Static_assert(offsetof(siginfo_t, si_signo) == 0 && offsetof(siginfo_t, si_code) == 8 &&
	                   offsetof(siginfo_t, si_pid) == 16 && offsetof(siginfo_t, si_uid) == 20 &&
	                   offsetof(siginfo_t, si_value) == 24,
	               "as the kernel has it");
	int32_t code = r->code < 0 || r->code == SI_USER ? r->code : SI_USER;
	store_relaxed_u64(&node->info[0], pair(r->signo, 0)); // and si_errno
	store_relaxed_u64(&node->info[1], pair((uint32_t)code, 0));
	store_relaxed_u64(&node->info[2], pair((uint32_t)r->pid, r->uid));
	store_relaxed_u64(&node->info[3], r->value);
	store_relaxed_u64(&node->info[4], 0);
	store_relaxed_u64(&node->info[5], 0);
}

static bool queues(const struct signal_own *own, int signo)
{
	return ((SIGNAL_QUEUED_MASK | own->queueing) & SIGNAL_BIT(signo)) != 0;
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
	struct inbox_node *node = phi_inbox_new(INBOX_DEPTH);
	if (node == NULL)
		return false;
	fill(node, &r);
	node->place = INBOX_RECORD(at);
	if (own->payloads && r.payload_bytes > 0 && r.payload_bytes <= sizeof(struct signal_payload)) {
		node->payload_bytes = r.payload_bytes;
		memcpy(phi_inbox_payload(node), &payloads_of(own)[slot], r.payload_bytes);
	}
	phi_inbox_put(r.signo, node);
	return true;
}

static void drain_ring(struct signal_own *own, uint64_t tail)
{
	if (tail - own->drained > (uint64_t)own->ring_mask + 1) // scribbled
		own->drained = tail;
	while (own->drained != tail && take_record(own, own->drained))
		own->drained++;
	phi_inbox_publish_taken(own);
}

static void drain_merged(struct signal_own *own)
{
	uint64_t bits = load_acquire_u64(&own->port->standard); // SIGNAL_STANDARD_BITS
	uint64_t stay = 0;
	for (uint64_t rest = bits & (SIGNAL_BIT(SIGNAL_STANDARD) - 1); rest != 0; rest &= rest - 1) {
		int signo = __builtin_ctzll(rest) + 1;
		struct signal_record r = own->port->merged[signo];
		r.signo = (uint16_t)signo;
		if (phi_inbox_count(signo) > 0)
			continue;
		struct inbox_node *node = phi_inbox_new(INBOX_STANDARD);
		if (node != NULL) {
			fill(node, &r);
			phi_inbox_put(signo, node);
		} else {
			stay |= SIGNAL_BIT(signo);
		}
	}
	bits &= ~stay;
	// What a sender wrote over a slot meanwhile has found its bit set, and merged.
	if (bits != 0)
		and_acq_rel_u64(&own->port->standard, ~bits); // SIGNAL_STANDARD_BITS
}

// A signal from the kernel that was found under way may stand behind records that were not in the queue when this began.
void phi_inbox_drain(void)
{
	struct signal_own *own = phi_own();
	if (own == NULL)
		return;
	uint64_t tail = load_acquire_u64(&own->port->tail); // SIGNAL_TAIL
	own->looked = tail;
	while (tail != own->drained) {
		own->promised = 0;
		drain_ring(own, tail);
		if (own->drained != tail || own->promised <= tail)
			break;
		own->looked = tail = load_acquire_u64(&own->port->tail); // SIGNAL_TAIL
	}
	if (load_relaxed_u64(&own->port->standard) != 0)
		drain_merged(own);
	if (own->port->pending != phi_inbox_pending())
		store_relaxed_u64(&own->port->pending, phi_inbox_pending());
}

// ---- from the kernel ----

// Behind the records that its sender has seen in the queue. A place that nobody can have seen is a lie.
static void place(struct inbox_node *node, struct signal_own *own, const siginfo_t *info)
{
	struct signal_seen seen;
	if (own == NULL || !phi_bell_seen(info, &seen))
		return;
	uint64_t tail = load_acquire_u64(&own->port->tail); // SIGNAL_TAIL
	uint64_t records = tail - (((uint32_t)tail - seen.records) & SIGNAL_SEEN_MASK);
	if (records > tail || seen.records != signal_seen_word(records, own->self.id))
		return;
	if (records > own->promised)
		own->promised = records;
	node->place = INBOX_BEFORE_RECORD(records);
	node->sequence = seen.sequence;
}

bool phi_inbox_accept(const siginfo_t *info)
{
	struct signal_own *own = phi_own();
	int signo = info->si_signo;
	bool merges = signo < SIGNAL_STANDARD && (own == NULL || !(own->queueing & SIGNAL_BIT(signo)));
	if (merges && phi_inbox_count(signo) > 0)
		return true;
	struct inbox_node *node = phi_inbox_new(merges ? INBOX_STANDARD : INBOX_EXTRA);
	if (node == NULL)
		return false;
	siginfo_t copy = *info;
	if (!merges)
		place(node, own, info);
	phi_bell_unmark(&copy);
	memcpy(node->info, &copy, sizeof node->info);
	phi_inbox_put(signo, node);
	return true;
}

// What was sent to this thread alone is no business of the others': it goes back, in its order.
static void hold(struct inbox_list *held, const siginfo_t *info)
{
	struct inbox_node *node = phi_inbox_new(INBOX_EXTRA);
	if (node == NULL)
		return;
	memcpy(node->info, info, sizeof node->info);
	phi_inbox_append(held, node);
}

static void give_back_held(struct inbox_list *held)
{
	const struct phi_self *self = phi_self();
	siginfo_t info;
	memset(&info, 0, sizeof info);
	for (struct inbox_node *node; (node = phi_inbox_unlink_first(held)) != NULL;) {
		memcpy(&info, node->info, sizeof node->info);
		syscall(SYS_rt_tgsigqueueinfo, self->pid, self->tid, info.si_signo, &info);
		phi_inbox_free(node);
	}
}

// What there is no room for is left where it is: to give it back would put it behind what came after it.
static bool take_in(uint64_t signals, uint64_t *bells)
{
	const struct timespec none = {0, 0};
	struct inbox_list held = {0, 0, 0};
	siginfo_t info;
	bool room_left = true;
	memset(&info, 0, sizeof info);
	while (signals != 0) {
		room_left = phi_inbox_has_room(INBOX_EXTRA);
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
		bool more =
			phi_inbox_count(signo) > 0 || load_relaxed_u64(&own->port->tail) != own->drained;
		if (more && (own->caught & ~own->quiet & ~own->kernels & SIGNAL_BIT(signo))) {
			own->handed_on |= SIGNAL_BIT(signo);
			phi_bell_self(signo); // a handler waits for it
		}
	}
	return all_in;
}

bool phi_inbox_hears(const siginfo_t *info)
{
	struct signal_own *own = phi_own();
	bool bell = phi_bell_is(info);
	if (!bell && !phi_bell_may_be(info))
		return false;
	bool ours = phi_inbox_count(info->si_signo) > 0;
	if (own != NULL) {
		uint8_t *in_vain = &own->in_vain[info->si_signo];
		ours = ours || (own->handed_on & SIGNAL_BIT(info->si_signo)) || *in_vain > 0;
		if (*in_vain > 0)
			*in_vain = bell ? 0 : *in_vain - 1;
		ours = phi_own_heard(own, info->si_signo) > 0 || ours;
	}
	return bell || ours || phi_bell_was_bare(info->si_signo);
}
