// SPDX-License-Identifier: MIT
#include "sync/mark.h"

#include "base/descriptor.h"
#include "base/self.h"
#include "sync/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE PHI_MARK_PAGE
#define MAP_BYTES ((size_t)2 * PAGE)

int phi_mark_map(struct phi_mark *m, int fd, uint64_t at)
{
	if (sysconf(_SC_PAGESIZE) != PAGE)
		return -ENOTSUP;
	uint8_t *a = mmap(NULL, MAP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (a == MAP_FAILED)
		return -ENOMEM;
	if (mmap(a, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
	         (off_t)(at / PAGE * PAGE)) == MAP_FAILED) {
		munmap(a, MAP_BYTES);
		return -ENOMEM;
	}
	m->alias = a;
	m->word = (uint32_t *)(a + at % PAGE);
	m->by = 0;
	return 0;
}

int phi_mark_map_apart(struct phi_mark *m, int fd, uint64_t at)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int own = open(path, O_RDWR | O_CLOEXEC);
	if (own < 0)
		return -ENOTSUP;
	int r = phi_mark_map(m, own, at);
	phi_close(own);
	return r;
}

static uintptr_t node_of(const struct phi_mark *m, const struct phi_self *s)
{
	uintptr_t node = (uintptr_t)m->word - s->robust_bias;
	uintptr_t page = (uintptr_t)m->alias + PAGE;
	// The C libraries keep the way back in the word before.
	bool inside = node >= page + sizeof(uintptr_t) && node + sizeof(uintptr_t) <= page + PAGE;
	return inside && sizeof(uintptr_t) == 8 ? node : 0;
}

#define AT(address) (*(uintptr_t *)(address))
#define BACK(node) AT((node) - sizeof(uintptr_t))
#define PLAIN(node) ((node) & ~(uintptr_t)1) // the mark of priority-inheriting mutexes off

// musl walks the list itself when a thread ends, and marks every entry as if it were one of its own
// mutexes, held or not: there the list is left alone where threads may end.
static bool may_enlist(void)
{
#ifdef __GLIBC__
	return true;
#else
	struct stat st;
	return stat("/proc/self/task", &st) == 0 && st.st_nlink == 3;
#endif
}

// As the C library links its own mutexes: it walks and changes this list as well.
static void link_node(struct phi_self *s, uintptr_t node)
{
	uintptr_t head = (uintptr_t)s->robust;
	uintptr_t first = s->robust->list;
	AT(node) = first;
	BACK(node) = head;
	compiler_barrier();
	if (PLAIN(first) != head)
		BACK(PLAIN(first)) = node;
	store_relaxed_ptr(&s->robust->list, node);
}

bool phi_mark_enlist(struct phi_mark *m)
{
	struct phi_self *s = phi_self();
	uint32_t by = load_acquire_u32(&m->by); // MARK_NODE
	if (by == s->tid)
		return true;
	// Another thread's list may hold the node still; and nothing is linked before a lock that is
	// being taken, since it is unlinked by putting back what it found.
	if ((by != 0 && !phi_tid_dead(by)) || !s->registered || s->robust->pending != 0 ||
	    !may_enlist())
		return false;
	uintptr_t node = node_of(m, s);
	// One thread's only: two that link the node at once would mix their lists up.
	if (node == 0 || !cas_acq_rel_u32(&m->by, by, s->tid)) // MARK_NODE
		return false;
	link_node(s, node);
	return true;
}

void phi_mark_delist(struct phi_mark *m)
{
	struct phi_self *s = phi_self();
	uintptr_t node = node_of(m, s);
	if (load_relaxed_u32(&m->by) != s->tid || node == 0)
		return;
	uintptr_t next = AT(node);
	uintptr_t before = BACK(node);
	store_relaxed_ptr((uintptr_t *)before, next);
	compiler_barrier();
	if (PLAIN(next) != (uintptr_t)s->robust)
		BACK(PLAIN(next)) = before;
	store_release_u32(&m->by, 0); // MARK_NODE
}

void phi_mark_forget(struct phi_mark *m)
{
	store_relaxed_u32(&m->by, 0);
}

// ---- pages that a living thread's list still leads through ----

struct left {
	struct left *next;
	struct phi_mark mark;
};

static struct left *left;
static uint32_t left_busy; // somebody is at the list; whoever else comes leaves it for another time

bool phi_mark_is_free(struct phi_mark *m)
{
	uint32_t by = load_acquire_u32(&m->by); // MARK_NODE
	return by == 0 || phi_tid_dead(by);
}

bool phi_mark_vanish(struct phi_mark *m)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
	return mmap(m->alias, PAGE, PROT_READ | PROT_WRITE, flags, -1, 0) != MAP_FAILED;
}

static void unmap_left(void)
{
	for (struct left **at = &left; *at != NULL;) {
		struct left *l = *at;
		if (phi_mark_is_free(&l->mark)) {
			*at = l->next;
			munmap(l->mark.alias, MAP_BYTES);
			free(l);
		} else {
			at = &l->next;
		}
	}
}

// The object's page goes in any case, so that the object can vanish; the other stays while it must.
static void leave(struct phi_mark *m)
{
	phi_mark_vanish(m);
	struct left *l = malloc(sizeof *l);
	if (l == NULL || !cas_acquire_u32(&left_busy, 0, 1)) {
		free(l);
		return; // two pages of address space
	}
	unmap_left();
	*l = (struct left){left, *m};
	left = l;
	store_release_u32(&left_busy, 0);
}

void phi_mark_unmap(struct phi_mark *m)
{
	if (m->alias == NULL)
		return;
	if (phi_mark_is_free(m))
		munmap(m->alias, MAP_BYTES);
	else
		leave(m);
	m->alias = NULL;
}
