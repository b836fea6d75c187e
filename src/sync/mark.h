// SPDX-License-Identifier: MIT
//
// A word in a shared object that the kernel changes when a thread ends, however it ends: the thread's number
// becomes OWNER_DIED, and if WAITERS was set, one of who sleeps on the word is woken. For words that name a
// thread for long; a lock needs no list (sync/lock.h).
//
// The kernel finds such a word through a list in user memory whose node lies at an offset from the word that
// the C library chose. So the word stands near the end of a page of the object, that page is mapped once
// more, with a private page behind it, and the node falls there: no pointer of the list can be written by a peer.
#ifndef PHI_SYNC_MARK_H
#define PHI_SYNC_MARK_H

#include <stdbool.h>
#include <stdint.h>

#define PHI_MARK_PAGE 4096

struct phi_mark {
	uint8_t *alias; // the object's page, and the private page behind it; NULL = none
	uint32_t *word; // at its address in `alias`
	uint32_t by;    // A: the thread on whose list the node is; 0 = none
};

// Map the word at `at` bytes of the file, one of the last 16 bytes of a page. 0, -ENOMEM, -ENOTSUP.
int phi_mark_map(struct phi_mark *m, int fd, uint64_t at);

// The same from a description of its own: a mapping keeps its description with all locks (core/life.h), and a forked
// child inherits mappings. -ENOTSUP also where /proc is missing.
int phi_mark_map_apart(struct phi_mark *m, int fd, uint64_t at);

// Put the word on this thread's list; then store the thread's number there. False: it cannot be (a C library
// with other offsets, another thread has it, this one is inside a lock): nobody will be told.
bool phi_mark_enlist(struct phi_mark *m);

// Take it off this thread's list, if it is there. Clear the word first.
void phi_mark_delist(struct phi_mark *m);

// Whether it is on no list of a living thread.
bool phi_mark_is_free(struct phi_mark *m);

// Let go of the object, but keep the pages: the word is private from now on. False: no memory.
bool phi_mark_vanish(struct phi_mark *m);

// In a forked child: it is on no list.
void phi_mark_forget(struct phi_mark *m);

// Unmap. Where the node is on the list of another thread that lives, its page stays until a later such call.
void phi_mark_unmap(struct phi_mark *m);

#endif
