// SPDX-License-Identifier: MIT
//
// The C library's functions behind ours. All are looked up at once, at the start as a rule: a signal handler that
// posts a semaphore must not look anything up.
#include "preload.h"

#include <stddef.h>
#include <string.h>

static struct phi_next table;
static uint32_t filled; // racy and idempotent

static const struct {
	const char *name;
	size_t at;
} names[] = {
#define X(function) {#function, offsetof(struct phi_next, function)},
	PHI_NEXT_LIST(X)
#undef X
};

// As POSIX has it, a function's address through a void pointer.
static void fill(void)
{
	phi_dlsym *find = phi_next_dlsym();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		void *found = find(RTLD_NEXT, names[i].name);
		memcpy((char *)&table + names[i].at, &found, sizeof found);
	}
	store_release_u32(&filled, 1); // PRELOAD_NEXT
}

const struct phi_next *phi_next(void)
{
	if (__builtin_expect(load_acquire_u32(&filled) == 0, 0)) // PRELOAD_NEXT
		fill();
	return &table;
}

__attribute__((constructor)) static void at_start(void)
{
	phi_next();
}
