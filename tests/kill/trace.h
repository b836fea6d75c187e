// SPDX-License-Identifier: MIT
//
// tests/kill/trace.h - a victim under ptrace, and the recorded list of its instructions.
//
// A victim is a fork of its tracer, so both have the same code at the same addresses: the tracer reads
// instructions in its own memory. The victim announces itself with kill_mark_begin() and ends with
// kill_mark_end(); boundary k is the moment before the k-th instruction between the two.
//
// Boundary k of a recorded trace is reached by a breakpoint at a near earlier instruction (the anchor)
// at its n-th visit, and single steps from there. The breakpoint is a patched byte: debug registers
// never trap on some virtual machines. A thread or child of the victim, which nobody traces, would die
// of it, so where there is one, or comes to be on the way, the victim is stepped all the way.
//
// A call into the vdso is one step: its code reads the clock and touches nothing that survives.
//
// Only x86-64. Next: round.c, which uses this for one victim's life.
#ifndef KILL_TRACE_H
#define KILL_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
	STEP_SYSCALL = 1, // the instruction enters the kernel
	STEP_ATOMIC = 2,  // it is a locked or exchanging access
	STEP_REP = 4,     // it is a repeated string instruction
	STEP_ASLEEP = 8,  // the victim fell asleep in it and was woken
	STEP_SPAWN = 16,  // the system call makes a thread, a process or another program
	STEP_SAME = 32,   // dying before it is dying before the previous one: see state.h
};

struct step {
	uint64_t pc;
	uint32_t depth; // of the stack since the begin mark: tells one caller's visit from another's
	uint32_t visit; // how often this pc was entered so far, this time included
	uint16_t turn;  // which iteration of a repeated string instruction, from 0
	uint16_t flags;
};

enum { TRACE_MAX = 1 << 18, TURNS_MAX = 24 };

// steps[0] to steps[count - 1] are executed; boundary `count` is the end mark.
struct trace {
	uint32_t count;
	struct step steps[TRACE_MAX + 1];
};

struct victim {
	pid_t pid;
	int stat_fd;                // its /proc stat, to see whether it sleeps
	int status;                 // as waitpid gave it last
	uint64_t pc;                // where it stands
	uint64_t sp;                // and its stack pointer there
	uint64_t base;              // the stack pointer at the begin mark
	uint32_t depth;             // how far below it now stands
	unsigned sleeps;            // how often it was found asleep
	bool left_asleep;           // a sleep ends a move as MOVED_STUCK, at once
	bool gone;                  // it ended
	bool in_vdso;               // and was there a step ago
	void (*wake)(unsigned nth); // who ends its sleeps, NULL = nobody
};

// How a move ended.
enum moved {
	MOVED_THERE,    // it stands where it was sent
	MOVED_END,      // it reached the end mark instead
	MOVED_GONE,     // it ended
	MOVED_STUCK,    // it slept, and went on sleeping after it was woken
	MOVED_DIVERGED, // it left the recorded path; it stands somewhere
};

// The victim's side.
void kill_mark_begin(void);
void kill_mark_end(void);

// Become a victim: from here on the parent traces this process.
void victim_offer(void);

// The tracer's side. Each move returns once the victim stands still again.
void victim_adopt(struct victim *v, pid_t pid, void (*wake)(unsigned nth));
enum moved victim_step(struct victim *v);
enum moved victim_run_until_asleep(struct victim *v);
// `shared` is memory whose changes matter, beside the victim's mappings of files.
enum moved victim_record(struct victim *v, struct trace *t, struct iovec shared);
enum moved victim_go(struct victim *v, const struct trace *t, uint32_t from, uint32_t to);
enum moved victim_walk(struct victim *v, uint32_t steps);
void victim_kill(struct victim *v);
// Let it live, untraced.
void victim_release(struct victim *v);

// Set the visits of t's steps, counted from step `from`.
void trace_count_visits(struct trace *t, uint32_t from);

// Is the task whose /proc stat file is open asleep in the kernel (state S)?
bool stat_says_asleep(int stat_fd);

#endif
