// SPDX-License-Identifier: MIT
//
// tests/kill/sweep.h - the kill sweep: kill a process at every instruction boundary of an operation and
// let the survivors judge. Knows nothing of any mechanism; every room brings its scenarios.
//
// One round is one life and one death, in a process of its own (the survivor):
//
//   survivor   prepare() -- forks the victim ------------------------- kill -- after()
//   victim                  enter() -- [ operation() ]  up to boundary k --^
//   parties    started by prepare(), asleep in the object, free to run all the time
//
// First the operation is single-stepped once to its end, which records its instructions; then each
// boundary k gets a round. An instruction is the smallest step; a system call is one. A boundary at
// which the victim sleeps gets two rounds more: killed asleep, and killed while it is being woken. The
// short sweep takes only boundaries at which something that survives has changed (state.h).
//
// The survivor is single-threaded where it forks, so victims of one scenario start from the same bytes
// at the same addresses and take the same path. Where they do not, the round is killed where it
// stands, which is as good a place to die; the report counts such rounds.
//
// Next: round.c (one round), sweep.c (which rounds, and the verdict), trace.h (ptrace).
#ifndef KILL_SWEEP_H
#define KILL_SWEEP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct kill_scenario {
	const char *name;
	void (*prepare)(void);   // survivor: a fresh object, parties asleep in it
	void (*enter)(void);     // victim, before the operation; may be NULL
	void (*operation)(void); // victim: what is swept
	// Survivor: the victim sleeps; end that. Called anew (nth = 1, 2, ...) for each further sleep,
	// and if it does not help. NULL if the victim never sleeps or wakes by itself.
	void (*wake)(unsigned nth);
	// A party that is started in the middle of the operation, at the first moment at which it does
	// not get through but falls asleep: it wants a lock that the victim holds. Boundaries from there
	// on are swept. May be NULL.
	void (*contend)(void);
	// An operation of an earlier victim, who dies holding the lock that `operation` wants: half way
	// between the first and the last moment at which that would have to wait. May be NULL.
	void (*predecessor)(void);
	// An operation in which a party falls asleep. It is stopped right before that, when it has looked
	// for the last time and is about to enter the kernel, and goes on when the victim is dead. May be
	// NULL.
	void (*bystander)(void);
	// Survivor, after the death: check everything that was promised, and say whether the operation
	// took effect (0 no, 1 yes).
	int (*after)(void);
	// What `after` must say at the first and at the last boundary. In between the answer may change
	// once. Equal values: it must never change. KILL_EITHER: anything.
	int first, last;
};

enum { KILL_EITHER = -1 };

// For the survivor and the parties. A broken promise ends the round; the text says which.
void kill_broken(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
#define KILL_CHECK(cond, ...) ((cond) ? (void)0 : kill_broken(__VA_ARGS__))

// What the process is about to do, for the report should it hang there.
void kill_note(const char *what);

// Memory of this round, zeroed, shared by the survivor, the victim and the parties.
enum { KILL_SHARED_BYTES = 8192 };
void *kill_shared(void);

// Start a party: a process that runs fn and ends. It dies with the round.
pid_t kill_party(void (*fn)(void));
// Wait until a party sleeps in the kernel; it is broken if it ends instead.
void kill_await_asleep(pid_t party);
// Has a party ended? (It stays to be joined.)
bool kill_has_ended(pid_t party);
// Wait for a party's end, which must be a good one; `who` names it in the report if it hangs. Nothing
// happens for 0.
void kill_join(pid_t party, const char *who);
// The party that `contend` runs in, 0 if it was not started (as when the operation is first recorded).
pid_t kill_contender(void);
// The party that `bystander` runs in, 0 if there is none.
pid_t kill_bystander(void);
// How often the victim was woken, and its pid (it is dead in after()).
unsigned kill_wakes(void);
pid_t kill_victim(void);
// Is the victim single-stepped all the way, and so some hundred times slower than in other rounds?
bool kill_is_stepped(void);

struct kill_options {
	bool full;            // every boundary; else those that are deaths of their own, and a sample
	uint32_t stride;      // of the sample; 0 = a few dozen
	bool quiet;           // no report
	uint32_t failures;    // give up after so many; 0 = 3
	uint32_t patience_ms; // after this a survivor or a party hangs; 0 = 30 s
};

struct kill_report {
	uint32_t boundaries; // of the operation
	uint32_t rounds;     // made
	uint32_t diverged;   // of them, killed off the recorded path
	uint32_t broken;     // of them, with a broken promise
	uint32_t first;      // the first broken boundary
	char text[256];      // what broke there
};

// Sweep one scenario. True if every promise was kept.
bool kill_sweep(const struct kill_scenario *s, const struct kill_options *o, struct kill_report *r);

// What a sweep program does: --list, --only TEXT, --full, --stride N. The result is the exit status;
// the last line says "N passed, N failed".
int kill_main(int argc, char **argv, const struct kill_scenario *scenarios, size_t count);

// Once, at the start of main(): no address randomisation, so that a boundary keeps its number from
// one run to the next. Runs the program anew.
void kill_fix_addresses(char **argv);

// The scratch directory of the sweep: emptied after each round, and POSTHASTE_DIR. Made by the first
// kill_sweep, removed by kill_scratch_remove (kill_main does).
const char *kill_scratch(void);
void kill_scratch_remove(void);

// Room for "function+0x12 (file)" of a code address. The result is buf.
const char *kill_symbol(uint64_t pc, char *buf, size_t size);

#endif
