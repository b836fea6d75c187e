// SPDX-License-Identifier: MIT
//
// Every byte of a semaphore that another process can see. docs/sem.md tells the protocols.
//
// An unnamed semaphore is `struct sem_word` at the beginning of the caller's sem_t and nothing else. The file
// of a named one:
//
//   0      region header (core/layout.h)
//   512    struct sem_control: the sem_t that ph_sem_open returns is its first line
//   4096   with holders only: the table of slots (two pages), then SEM_MARK_PAGES pages of marks, each given
//          memory when its first is used
//
// The guard of each field: A atomic; I immutable; L the lock `reap`; D diagnostic, believed by nobody.
#ifndef PHI_SEM_LAYOUT_H
#define PHI_SEM_LAYOUT_H

#include "core/layout.h"
#include "sync/layout.h"

#include <stddef.h>
#include <stdint.h>

#define SEM_LAYOUT 1
#define SEM_PREFIX "sem."

// ---- the semaphore proper ----

// The states of `word`:
//
//   value                meaning                                       who may change it
//   0                    no unit, nobody sleeps                        a post: 1; who goes to sleep: SEM_AWAITED
//   n, up to INT_MAX     n units; if somebody sleeps, somebody else    a post: n + 1; a wait: n - 1, or, from 1 by
//                        is on his way to take or to wake              who has slept: SEM_AWAITED
//   SEM_AWAITED          no unit, somebody may sleep                   a post: 1, and owes a wake-up
//
// Nobody writes after the change that lets another go on: the memory may be somebody else's by then.
#define SEM_AWAITED 0x80000000u
#define SEM_UNITS_MAX 0x7fffffffu

// Finding out costs a post a nanosecond: only if who waits has asked.
#define SEM_CPU_WANTED 0x80000000u

enum sem_kind { // of sem_word.kind
	SEM_PRIVATE = 0x73656d31,
	SEM_SHARED,
	SEM_NAMED,
	SEM_HOLDERS, // `word` is not used, see sem_control.truth
};

struct sem_word {
	uint32_t word;      // A
	uint32_t deathword; // always 0: sleepers wait here for the death of who owes them a wake-up
	uint32_t kind;      // enum sem_kind; 0 = destroyed. I
	uint32_t cpu;       // D: where a post was made, as phi_cpu, or'ed SEM_CPU_WANTED: say it again
};

_Static_assert(sizeof(struct sem_word) == 16, "fits any sem_t");

// ---- with holders ----

// The truth is one word: the units that are there, and the last operation, as what its holder has after it.
//
//    63      54 53            38 37                      18 17   16 15             0
//   +----------+----------------+--------------------------+------+----------------+
//   | slot + 1 | that one holds | sequence                 | W M  | units there    |
//   +----------+----------------+--------------------------+------+----------------+
//
// W: somebody may sleep. M: one who waits for more than one unit may. What the others hold stands in the
// table; what the slot named here holds stands only here, until whoever overwrites the word has confirmed it
// in the table first. So every change of who has what is one store.
#define SEM_T_UNITS 0xffffu
#define SEM_T_AWAITED 0x10000u
#define SEM_T_MANY 0x20000u
#define SEM_T_SEQ_SHIFT 18
#define SEM_T_SEQ_BITS 20
#define SEM_T_HELD_SHIFT 38
#define SEM_T_SLOT_SHIFT 54

#define SEM_SLOTS 512 // PH_SEM_HOLDERS_MAX; each is a holder number of core/life.h

// The table's entry: units held in the low 16 bits, above them a count of confirmations, so that one who
// comes late to confirm does nothing.
#define SEM_E_UNITS 0xffffu
#define SEM_E_ONE 0x10000u

struct sem_slot {
	uint64_t held; // A
	int32_t pid; // A: not 0 = in use; the number is for display and for who has no descriptor left
	uint32_t rest;
};

// ---- who sleeps ----

#define SEM_SLEEPERS 32

struct sem_sleeper {
	uint32_t tid; // A: 0 = free. D otherwise
	int32_t pid;
	uint32_t units;
	uint32_t rest;
	int64_t since_ns;
};

struct sem_control {
	struct sem_word sem; // what the program's sem_t * leads to
	uint32_t stamp;      // I: SEM_STAMP
	uint8_t pad0[44];

	uint64_t truth; // A
	uint32_t epoch; // A: a futex. Sleepers have looked at all slots when it had this value
	uint32_t slots; // A: no slot from here on has ever been used
	uint64_t told;  // A: of `returned`, by EOWNERDEAD
	uint8_t pad1[40];

	// Taking back what the dead held. guarded32: slot + 1 of whom; guarded64: `returned` afterwards.
	struct phi_lock reap;
	uint64_t returned; // L: units
	int32_t last_dead; // L: pid
	uint32_t rest;
	uint8_t pad2[48];

	struct sem_sleeper sleeper[SEM_SLEEPERS];
};

#define SEM_STAMP 0x706d6573u // "semp"

#define SEM_PAGE 4096
#define SEM_TABLE_AT SEM_PAGE // struct sem_slot[SEM_SLOTS]: two pages
#define SEM_MARKS_AT (SEM_TABLE_AT + 2 * SEM_PAGE)

// A slot's mark: the number of a thread of that process, with WAITERS always, as the kernel's robust futexes
// have it: when the thread ends the kernel stores OWNER_DIED and wakes one of who sleeps on it. The marks stand
// at the end of a page, so that the kernel's list node falls on the page behind, which each process maps
// privately (sync/mark.h).
//
//   0                     the slot is free, or nobody vouches for its holder: ask the file's locks, now and then
//   TID|WAITERS           lives
//   OWNER_DIED|WAITERS    that thread has ended, its process perhaps: ask the file's locks
#define SEM_MARKS_PER_PAGE 2
#define SEM_MARK_PAGES (SEM_SLOTS / SEM_MARKS_PER_PAGE)
#define SEM_MARK_AT(slot)                                                         \
	(SEM_MARKS_AT + (uint64_t)((slot) / SEM_MARKS_PER_PAGE + 1) * SEM_PAGE - 16 + \
	 ((slot) % SEM_MARKS_PER_PAGE) * 8)

#define SEM_PLAIN_BYTES SEM_PAGE
#define SEM_HOLDERS_BYTES (SEM_MARKS_AT + (uint64_t)SEM_MARK_PAGES * SEM_PAGE)

_Static_assert(offsetof(struct sem_control, truth) == 64, "truth offset");
_Static_assert(offsetof(struct sem_control, reap) == 128, "lock offset");
_Static_assert(offsetof(struct sem_control, returned) == 192, "returned offset");
_Static_assert(offsetof(struct sem_control, sleeper) == 256, "sleepers offset");
_Static_assert(PHI_REGION_BODY + sizeof(struct sem_control) <= SEM_PAGE, "one page");
_Static_assert(sizeof(struct sem_slot) == 16, "slot size");
_Static_assert(sizeof(struct sem_slot) * SEM_SLOTS == 2 * SEM_PAGE, "two pages of slots");
_Static_assert(SEM_SLOTS <= PHI_HOLDERS && SEM_SLOTS < 1 << (64 - SEM_T_SLOT_SHIFT), "slots fit");

#endif
