// SPDX-License-Identifier: MIT
//
// The inside of the inbox (port.h), which inbox.c keeps and collect.c fills: nodes, and for each number a list of them.
// Everything here is under the inbox lock.
//
// A list is in the order of places. A record of the port's queue has the place that it had there; a signal that came by
// the kernel has the one that its sender saw next when he sent it, so that it comes behind what he had put into the queue
// before, and before what he put there afterwards. Of the same place are those of the kernel's: each comes behind what is
// there, but before a later one of its sender.
#ifndef PHI_SIGNAL_INBOX_H
#define PHI_SIGNAL_INBOX_H

#include "signal/port.h"

// Each kind has its own room, so that none can crowd out another.
enum inbox_account {
	INBOX_DEPTH,    // it came through the port's queue
	INBOX_EXTRA,    // it queues, and came from the kernel
	INBOX_STANDARD, // it merges: one of a number
	INBOX_ACCOUNTS
};

#define INBOX_LAST UINT64_MAX
#define INBOX_RECORD(at) (2 * (at) + 1)
#define INBOX_BEFORE_RECORD(at) (2 * (at))

struct inbox_node {
	uint64_t info[SIGNAL_KERNEL_BYTES / 8];
	uint64_t place;      // INBOX_RECORD, INBOX_BEFORE_RECORD; INBOX_LAST: behind all that are there
	uint32_t sequence;   // of the kernel's ones that have a place: struct signal_seen
	uint32_t next, prev; // index + 1, 0 = none
	uint16_t payload_bytes;
	uint8_t account;
};

struct inbox_list {
	uint32_t first, last; // index + 1, 0 = empty
	uint32_t count;
};

// A node in no list, counted already; NULL: no room.
struct inbox_node *phi_inbox_new(enum inbox_account account);
void phi_inbox_free(struct inbox_node *node);
struct signal_payload *phi_inbox_payload(const struct inbox_node *node);

void phi_inbox_append(struct inbox_list *l, struct inbox_node *node);
struct inbox_node *phi_inbox_unlink_first(struct inbox_list *l); // NULL: it is empty

// Into the list of its number, at its place.
void phi_inbox_put(int signo, struct inbox_node *node);

// Whether one more can be counted.
bool phi_inbox_has_room(enum inbox_account account);

// `taken` in the port is brought up to date.
void phi_inbox_publish_taken(struct signal_own *own);

#endif
