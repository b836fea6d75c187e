// SPDX-License-Identifier: MIT
//
// doctor.h - the findings of posthaste doctor, and the checks that make them. A check looks and says;
// it changes nothing: doctor_fix does.
#ifndef DOCTOR_H
#define DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

enum severity {
	SEVERITY_OK,
	SEVERITY_FIXED, // was put right just now
	SEVERITY_NOTE,  // works, with a difference worth knowing
	SEVERITY_WARN,  // will hurt some day
	SEVERITY_BAD,   // hurts now
};

struct finding {
	enum severity severity;
	const char *subject;
	char text[384], remedy[384]; // remedy may be empty
};

enum { FINDINGS_MAX = 64 };

struct doctor {
	struct finding finding[FINDINGS_MAX];
	size_t count;
};

// Adds a finding and returns it, so that a remedy may be added.
__attribute__((format(printf, 4, 5))) struct finding *doctor_say(struct doctor *doctor,
                                                                 enum severity severity,
                                                                 const char *subject,
                                                                 const char *text, ...);
__attribute__((format(printf, 2, 3))) void doctor_advise(struct finding *finding,
                                                         const char *remedy, ...);

// A number from a file of /proc, or `fallback`.
long doctor_read_number(const char *file, long fallback);

// Reclaims what the dead have left, and only that, and says what (doctor_fix.c).
void doctor_fix(struct doctor *doctor, const char *directory);

// A file that stands for an object in the making, and a FIFO for poll that nobody uses.
bool doctor_is_temporary(const char *file);
bool doctor_is_unused_fifo(int dir, const char *file);

void doctor_check_namespace(struct doctor *doctor, const char *directory); // doctor_namespace.c
void doctor_check_leftovers(struct doctor *doctor, const char *directory); // doctor_leftovers.c
void doctor_check_logout(struct doctor *doctor, const char *directory);    // doctor_logout.c
void doctor_check_machine(struct doctor *doctor);                          // doctor_machine.c

#endif
