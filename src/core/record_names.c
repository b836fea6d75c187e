// SPDX-License-Identifier: MIT
//
// What the objects of entries are called: kept in private, so that a forked child knows what its parent had opened, and
// shown in the recording. A name that is not wanted any more makes room first, then the oldest.
#include "core/record_names.h"

#include "core/record.h"

#include <sched.h>
#include <stddef.h>
#include <string.h>

#define PATIENCE 1000

static struct record_name known[RECORD_NAMES];
static uint64_t serial;
static uintptr_t shown;   // struct record_name *
static uint32_t shown_by; // generation that has made it
static uint32_t busy;     // generation of who is inside; 0 = nobody

// Not for ever: a signal handler may have interrupted the one inside. What a parent's thread left is not heeded.
static bool enter(uint32_t generation)
{
	for (int i = 0; i < PATIENCE; i++) {
		uint32_t inside = load_relaxed_u32(&busy);
		if (inside != generation && cas_acq_rel_u32(&busy, inside, generation))
			return true;
		sched_yield();
	}
	return false;
}

static void leave(void)
{
	store_release_u32(&busy, 0);
}

// Inside. The serial goes first and comes last: readers see no mixture.
static void show(const struct record_name *n)
{
	struct record_name *table = (struct record_name *)load_acquire_ptr(&shown); // RECORD_NAMES
	if (table == NULL || load_relaxed_u32(&shown_by) != phi_process_generation())
		return;
	struct record_name *to = &table[n - known];
	store_relaxed_u64(&to->serial, 0);
	store_release_u64(&to->key, n->key); // RECORD_NAME
	store_relaxed_u32(&to->kind, n->kind);
	store_relaxed_u32(&to->closed, n->closed);
	memcpy(to->text, n->text, sizeof to->text);
	store_release_u64(&to->serial, n->serial); // RECORD_NAME
}

void phi_record_names_show(struct record_name *table)
{
	uint32_t generation = phi_process_generation();
	bool inside = enter(generation);
	store_relaxed_u32(&shown_by, generation);
	store_release_ptr(&shown, (uintptr_t)table); // RECORD_NAMES
	for (int i = 0; inside && i < RECORD_NAMES; i++)
		if (known[i].serial != 0)
			show(&known[i]);
	if (inside)
		leave();
}

static struct record_name *find(enum record_kind kind, uint64_t key)
{
	for (int i = 0; i < RECORD_NAMES; i++)
		if (known[i].key == key && known[i].kind == (uint32_t)kind && known[i].serial != 0)
			return &known[i];
	return NULL;
}

static bool goes_before(const struct record_name *a, const struct record_name *b)
{
	return a->closed != b->closed ? a->closed > b->closed : a->serial < b->serial;
}

static struct record_name *place(void)
{
	struct record_name *best = &known[0];
	for (int i = 0; i < RECORD_NAMES && best->serial != 0; i++)
		if (known[i].serial == 0 || goes_before(&known[i], best))
			best = &known[i];
	return best;
}

static void shorten(char text[sizeof known->text], const char *name)
{
	size_t n = strnlen(name, sizeof known->text);
	memset(text, 0, sizeof known->text);
	memcpy(text, name, n < sizeof known->text ? n : sizeof known->text - 1);
	if (n == sizeof known->text)
		memcpy(text + sizeof known->text - 4, "...", 3);
}

void phi_record_know(enum record_kind kind, uint64_t key, const char *name)
{
	if (!enter(phi_process_generation()))
		return;
	struct record_name *n = find(kind, key & RECORD_KEY_MASK);
	if (n == NULL)
		n = place();
	n->serial = 0;
	n->key = key & RECORD_KEY_MASK;
	n->kind = kind;
	n->closed = 0;
	shorten(n->text, name);
	n->serial = ++serial;
	show(n);
	leave();
}

void phi_record_forget(enum record_kind kind, uint64_t key)
{
	if (!enter(phi_process_generation()))
		return;
	struct record_name *n = find(kind, key & RECORD_KEY_MASK);
	if (n != NULL)
		n->closed = 1;
	leave();
}

// FNV-1a. The highest bit tells it from an inode, and from an address.
uint64_t phi_record_key_of(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (name += name[0] == '/'; *name != '\0'; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return (h & RECORD_KEY_MASK) | UINT64_C(1) << 47;
}
