// SPDX-License-Identifier: MIT
//
// Zero-copy: rooms reserved for messages to come, and messages borrowed in place. docs/mq.md, "Loans",
// tells the exchange step by step. A loan names its record and a ticket; what it stands for is read
// from the record, and checked, when it is used.
#include "mq/queue.h"

#include "core/life.h"
#include "posthaste/mqueue.h"

#include <string.h>

#define BORROWED_CELL UINT32_C(0x80000000)

static bool claim_is(uint64_t claim, uint32_t owner)
{
	return (claim & MQ_CLAIM_HOLDER) == owner;
}

static void free_spares_of(struct mq_queue *q, uint32_t owner)
{
	for (uint32_t i = 0; i < q->g.spares; i++) {
		uint64_t claim = load_relaxed_u64(&q->c->spare[i].claim);
		if (claim_is(claim, owner))
			cas_acq_rel_u64(&q->c->spare[i].claim, claim, claim & ~MQ_CLAIM_HOLDER);
	}
}

bool phi_mq_holder_lives(struct mq_queue *q, uint32_t holder)
{
	return (int)holder == q->holder || phi_life_holder(q->region.fd, holder);
}

static bool owner_lives(struct mq_queue *q, uint32_t owner)
{
	return owner <= PHI_HOLDERS && phi_mq_holder_lives(q, owner - 1);
}

static bool owned_by(struct mq_queue *q, uint32_t owner, uint32_t mine)
{
	(void)q;
	return owner == mine;
}

static bool owner_is_dead(struct mq_queue *q, uint32_t owner, uint32_t unused)
{
	(void)unused;
	return !owner_lives(q, owner);
}

typedef bool owner_test(struct mq_queue *q, uint32_t owner, uint32_t arg);

static int count_borrows(struct mq_queue *q, owner_test *test, uint32_t arg)
{
	int n = 0;
	uint32_t loans = load_relaxed_u32(&q->c->loans);
	for (uint32_t i = 0; i < loans && i < MQ_BORROWS; i++) {
		uint32_t owner = load_relaxed_u32(&q->c->borrow[i].owner);
		n += owner != 0 && test(q, owner, arg);
	}
	return n;
}

// Under R: `loans` down to the last record in use.
static void bound_loans(struct mq_queue *q)
{
	uint32_t n = load_relaxed_u32(&q->c->loans);
	n = n < MQ_BORROWS ? n : MQ_BORROWS;
	while (n > 0 && load_relaxed_u32(&q->c->borrow[n - 1].owner) == 0)
		n--;
	store_relaxed_u32(&q->c->loans, n);
}

// Give back to the queue what the owners in question had borrowed: how many, or -errno.
static int return_borrows(struct mq_op *op, owner_test *test, uint32_t arg)
{
	struct mq_queue *q = op->q;
	if (count_borrows(q, test, arg) == 0)
		return 0;
	int r = phi_mq_lock_recv(op);
	if (r < 0)
		return r;
	int n = 0;
	phi_mq_comes_back(op);
	for (int i = 0; i < MQ_BORROWS; i++) {
		uint32_t owner = load_relaxed_u32(&q->c->borrow[i].owner);
		if (owner != 0 && test(q, owner, arg)) {
			store_relaxed_u32(&q->c->borrow[i].owner, 0);
			n++;
		}
	}
	r = phi_mq_rebuild(q);
	bound_loans(q);
	phi_mq_came_back_unlock(op);
	phi_mq_wake_all(q);
	return r < 0 ? r : n;
}

int phi_mq_reap(struct mq_op *op)
{
	return return_borrows(op, owner_is_dead, 0);
}

int phi_mq_drop_loans(struct mq_op *op)
{
	struct mq_queue *q = op->q;
	if (q->holder < 0)
		return 0;
	uint32_t mine = (uint32_t)q->holder + 1;
	free_spares_of(q, mine);
	return return_borrows(op, owned_by, mine);
}

// A number that was a dead process's may still stand in records: those go first, before anybody could
// take them for ours.
int phi_mq_holder(struct mq_queue *q)
{
	pthread_mutex_lock(&q->change);
	int h = q->holder;
	if (h == -1) {
		h = phi_life_claim(q->region.fd, q->shares_open);
		if (h >= 0) {
			struct mq_op op;
			phi_mq_begin(&op, q);
			op.nonblock = true;
			op.abstime = NULL;
			free_spares_of(q, (uint32_t)h + 1);
			phi_mq_notice_drop(&op, (uint32_t)h);
			int r = return_borrows(&op, owned_by, (uint32_t)h + 1);
			phi_mq_end(&op, 0);
			if (r < 0)
				h = r;
			else
				q->holder = h;
		}
	}
	pthread_mutex_unlock(&q->change);
	return h;
}

static int claim_spare(struct mq_queue *q, uint32_t owner, struct ph_mq_loan *loan)
{
	for (uint32_t i = 0; i < q->g.spares; i++) {
		struct mq_spare *s = &q->c->spare[i];
		uint64_t claim = load_relaxed_u64(&s->claim);
		uint64_t taken = ((claim & ~MQ_CLAIM_HOLDER) + MQ_CLAIM_TICKET) | owner;
		if (!claim_is(claim, 0) || !cas_acq_rel_u64(&s->claim, claim, taken))
			continue;
		uint32_t slot = load_relaxed_u32(&s->slot);
		if (slot >= q->g.slots)
			return phi_mq_poison(q);
		*loan = (struct ph_mq_loan){phi_mq_payload(phi_mq_slot(q, slot)), (size_t)q->g.msgsize, 0,
		                            i, taken};
		return 0;
	}
	return -ENOBUFS;
}

static void reap_spares(struct mq_queue *q)
{
	for (uint32_t i = 0; i < q->g.spares; i++) {
		uint64_t claim = load_relaxed_u64(&q->c->spare[i].claim);
		uint32_t owner = (uint32_t)(claim & MQ_CLAIM_HOLDER);
		if (owner != 0 && !owner_lives(q, owner))
			cas_acq_rel_u64(&q->c->spare[i].claim, claim, claim & ~MQ_CLAIM_HOLDER);
	}
}

int phi_mq_reserve(struct mq_op *op, struct ph_mq_loan *loan)
{
	struct mq_queue *q = op->q;
	if (!phi_mq_intact(q))
		return -EBADMSG;
	int h = phi_mq_holder(q);
	if (h < 0)
		return h;
	int r = claim_spare(q, (uint32_t)h + 1, loan);
	if (r == -ENOBUFS) {
		// A dead sender may have left an exchange half done: whoever takes S finishes it.
		r = phi_mq_lock_send(op);
		if (r < 0)
			return r;
		phi_mq_unlock(op);
		reap_spares(q);
		r = claim_spare(q, (uint32_t)h + 1, loan);
	}
	return r;
}

// The reservation behind a loan, or NULL.
static struct mq_spare *find_spare(struct mq_queue *q, const struct ph_mq_loan *loan)
{
	if (q->holder < 0 || loan->cell >= q->g.spares)
		return NULL;
	struct mq_spare *s = &q->c->spare[loan->cell];
	bool mine = claim_is(loan->ticket, (uint32_t)q->holder + 1);
	return mine && load_relaxed_u64(&s->claim) == loan->ticket ? s : NULL;
}

static bool stands_for(struct mq_queue *q, uint32_t slot, const struct ph_mq_loan *loan)
{
	return slot < q->g.slots && phi_mq_payload(phi_mq_slot(q, slot)) == loan->data;
}

static void begin_swap(struct mq_queue *q, uint64_t pos, uint32_t cell, uint32_t given,
                       uint32_t taken)
{
	struct mq_swap *s = &q->c->swap;
	store_relaxed_u64(&phi_mq_slot(q, taken)->seq, 0);
	store_relaxed_u64(&s->pos, pos);
	store_relaxed_u32(&s->cell, cell);
	store_relaxed_u32(&s->given, given);
	store_relaxed_u32(&s->taken, taken);
	compiler_barrier();
	store_relaxed_u32(&s->active, 1);
	compiler_barrier();
}

struct committing {
	struct ph_mq_loan *loan;
	size_t len;
	unsigned prio;
};

static int exchange(struct mq_op *op, const struct committing *m, uint32_t given, uint64_t pos,
                    uint32_t taken, struct mq_owed *owed)
{
	struct mq_queue *q = op->q;
	struct mq_slot *s = phi_mq_slot(q, given);
	begin_swap(q, pos, m->loan->cell, given, taken);
	store_relaxed_u64(&s->prio_len, phi_mq_pack(m->prio, m->len));
	store_relaxed_u64(&s->seq, pos + 1);
	store_relaxed_u32(phi_mq_ring_at(q, pos), given);
	compiler_barrier();
	int r = phi_mq_commit_send(op, pos, m->prio, owed);
	compiler_barrier();
	int settled = phi_mq_settle_swap(q); // finished, or undone if the commit was refused
	return r < 0 ? r : settled;
}

static int64_t try_commit(struct mq_op *op, void *arg)
{
	const struct committing *m = arg;
	struct mq_queue *q = op->q;
	struct mq_owed owed = {0};
	uint64_t pos;
	uint32_t taken;
	int r = phi_mq_lock_send(op);
	if (r < 0)
		return r;
	struct mq_spare *s = find_spare(q, m->loan);
	uint32_t given = s == NULL ? MQ_NONE : load_relaxed_u32(&s->slot);
	if (!stands_for(q, given, m->loan))
		r = -ESTALE;
	else
		r = phi_mq_find_room(op, &pos, &taken);
	if (r == 0)
		r = exchange(op, m, given, pos, taken, &owed);
	phi_mq_unlock(op);
	if (r == 0)
		cas_acq_rel_u64(&s->claim, m->loan->ticket, m->loan->ticket & ~MQ_CLAIM_HOLDER);
	if (r == 0 && owed.any)
		phi_mq_pay_receivers(op, &owed);
	return r;
}

int phi_mq_commit(struct mq_op *op, struct ph_mq_loan *loan, size_t len, unsigned prio)
{
	struct committing m = {loan, len, prio};
	int64_t r = try_commit(op, &m);
	if (r == -EINPROGRESS)
		r = phi_mq_send_after_receive(op, try_commit, &m);
	if (r == -EAGAIN && !op->nonblock)
		r = phi_mq_block(op, MQ_SENDER, try_commit, &m);
	return (int)r;
}

static struct mq_borrow *free_record(struct mq_queue *q)
{
	for (int i = 0; i < MQ_BORROWS; i++)
		if (load_relaxed_u32(&q->c->borrow[i].owner) == 0)
			return &q->c->borrow[i];
	return NULL;
}

// Under R: the message becomes ours by the store to `owner`.
static int record_borrow(struct mq_op *op, const struct mq_pick *p, struct ph_mq_loan *loan)
{
	struct mq_queue *q = op->q;
	struct mq_borrow *b = free_record(q);
	if (b == NULL)
		return -ENOBUFS;
	phi_lock_to_duty(&op->hold, op->held, &q->c->deathword);
	uint32_t number = (uint32_t)(b - q->c->borrow);
	if (load_relaxed_u32(&q->c->loans) <= number)
		store_relaxed_u32(&q->c->loans, number + 1);
	store_relaxed_u32(&b->slot, p->slot);
	store_relaxed_u64(&b->seq, p->seq);
	compiler_barrier();
	store_relaxed_u32(&b->owner, (uint32_t)q->holder + 1);
	compiler_barrier();
	if (!phi_mq_pick_remove(q, p))
		return phi_mq_poison(q);
	q->c->borrowed++;
	*loan = (struct ph_mq_loan){phi_mq_payload(phi_mq_slot(q, p->slot)), (size_t)p->len, p->prio,
	                            number | BORROWED_CELL, p->seq};
	return 0;
}

static int64_t try_borrow(struct mq_op *op, void *arg)
{
	struct mq_pick p;
	int64_t r = phi_mq_try_pick(op, &p);
	if (r < 0)
		return r;
	r = record_borrow(op, &p, arg);
	if (r == 0)
		phi_mq_left_unlock(op);
	else
		phi_mq_unlock(op);
	return r;
}

int phi_mq_borrow(struct mq_op *op, struct ph_mq_loan *loan)
{
	int h = phi_mq_holder(op->q);
	if (h < 0)
		return h;
	phi_mq_look_after_loans(op);
	int64_t r = try_borrow(op, loan);
	if (r == -EAGAIN && !op->nonblock)
		r = phi_mq_block(op, MQ_RECEIVER, try_borrow, loan);
	return (int)r;
}

// Under R: the record behind a loan, or NULL.
static struct mq_borrow *find_borrow(struct mq_queue *q, const struct ph_mq_loan *loan)
{
	uint32_t i = loan->cell & ~BORROWED_CELL;
	if (q->holder < 0 || !(loan->cell & BORROWED_CELL) || i >= MQ_BORROWS)
		return NULL;
	struct mq_borrow *b = &q->c->borrow[i];
	bool mine = load_relaxed_u32(&b->owner) == (uint32_t)q->holder + 1 &&
	            load_relaxed_u64(&b->seq) == loan->ticket;
	return mine && stands_for(q, load_relaxed_u32(&b->slot), loan) ? b : NULL;
}

static void clear_record(struct mq_queue *q, struct mq_borrow *b)
{
	store_relaxed_u32(&b->owner, 0);
	bound_loans(q);
}

static int lock_and_find(struct mq_op *op, const struct ph_mq_loan *loan, struct mq_borrow **b,
                         uint32_t *slot)
{
	int r = phi_mq_lock_recv(op);
	if (r < 0)
		return r;
	*b = find_borrow(op->q, loan);
	*slot = *b == NULL ? MQ_NONE : load_relaxed_u32(&(*b)->slot);
	if (*slot < op->q->g.slots)
		return 0;
	phi_mq_unlock(op);
	return -ESTALE;
}

int phi_mq_release(struct mq_op *op, struct ph_mq_loan *loan)
{
	struct mq_borrow *b;
	struct mq_owed owed;
	uint32_t slot;
	int r = lock_and_find(op, loan, &b, &slot);
	if (r < 0)
		return r;
	op->q->c->borrowed--; // the commit judges by it what a poller shall see
	r = phi_mq_commit_receive(op, slot, &owed);
	if (r == 0)
		clear_record(op->q, b);
	else
		op->q->c->borrowed++;
	phi_mq_unlock(op);
	if (r == 0 && owed.any)
		phi_mq_pay_senders(op, &owed);
	return r;
}

static int cancel_borrow(struct mq_op *op, struct ph_mq_loan *loan)
{
	struct mq_borrow *b;
	uint32_t slot;
	int r = lock_and_find(op, loan, &b, &slot);
	if (r < 0)
		return r;
	phi_mq_comes_back(op);
	clear_record(op->q, b);
	op->q->c->borrowed--;
	compiler_barrier();
	unsigned prio = phi_mq_priority(load_relaxed_u64(&phi_mq_slot(op->q, slot)->prio_len));
	bool sound = prio < MQ_PRIORITIES && phi_mq_index_insert(op->q, slot, prio, loan->ticket);
	if (!sound)
		r = phi_mq_rebuild(op->q);
	phi_mq_came_back_unlock(op);
	return r;
}

int phi_mq_cancel(struct mq_op *op, struct ph_mq_loan *loan)
{
	if (loan->cell & BORROWED_CELL)
		return cancel_borrow(op, loan);
	struct mq_spare *s = find_spare(op->q, loan);
	bool done =
		s != NULL && cas_acq_rel_u64(&s->claim, loan->ticket, loan->ticket & ~MQ_CLAIM_HOLDER);
	return done ? 0 : -ESTALE;
}
