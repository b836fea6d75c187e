// SPDX-License-Identifier: MIT
//
// tests/kill/round.h - between sweep.c and round.c: what one round is told, and what it tells.
#ifndef KILL_ROUND_H
#define KILL_ROUND_H

#include "sweep.h"
#include "trace.h"

enum round_how {
	ROUND_RECORD_FIRST,     // step the predecessor to the end and write its trace
	ROUND_PROBE_FIRST,      // would the operation sleep at the predecessor's `boundary`?
	ROUND_RECORD_BYSTANDER, // step the bystander until it sleeps and write its trace
	ROUND_RECORD,           // step to the end and write the trace
	ROUND_PROBE,            // does the contender sleep at `boundary`?
	ROUND_GO,               // by breakpoint
	ROUND_WALK,             // by single steps: the breakpoint did not hit
	ROUND_ASLEEP,           // into the system call at the boundary
	ROUND_WAKING,           // the same, and kill it while it is being woken
};

struct round_plan {
	const struct kill_scenario *scenario;
	enum round_how how;
	uint32_t boundary;
	uint32_t patience_ms;
	uint32_t death;  // where the predecessor dies; 0 = there is none
	uint32_t pause;  // where the bystander is stopped; 0 = there is none
	uint32_t chance; // where the contender starts; 0 = there is none
	pid_t sweep;     // whose child the round is
};

// In memory that the sweep and all processes of the round share.
struct round_shared {
	struct trace bystander;
	struct trace first;     // of the predecessor
	struct trace base;      // without a contender
	struct trace contended; // from `chance` on; earlier steps are not filled in
	char note[128];
	char broken[256];
	int outcome;
	enum moved moved;
	uint64_t pc; // where the victim died
	bool slept;  // the answer to ROUND_PROBE*
	_Alignas(64) unsigned char data[KILL_SHARED_BYTES];
};

// ROUND_AGAIN: the predecessor or the bystander took another path than recorded, so nothing can be said.
enum round_end { ROUND_KEPT = 0, ROUND_BROKEN = 1, ROUND_AGAIN = 2, ROUND_ENGINE = 3 };

// Run one round in the calling process, a fresh fork of the sweep, and end it.
void round_run(const struct round_plan *plan, struct round_shared *memory)
	__attribute__((noreturn));

#endif
