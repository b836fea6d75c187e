// SPDX-License-Identifier: MIT
//
// dlsym: a program that asks a library it has opened (librt.so.1, libc.so.6) for one of the names that are defined
// here gets ours, as a program that is linked with that library does. Only in place of the very function that
// stands behind ours: of another library's function of that name we know nothing. (dlvsym stays the C library's:
// it is the one way to find the dlsym that stands behind this one.)
#include "preload.h"

#include <stddef.h>
#include <string.h>

// The C library judges RTLD_NEXT by who calls: the call has to go on as a jump. Optimised code does so; tests/run
// looks whether it did.
#ifdef __clang__
#define JUMPS
#define JUMP __attribute__((musttail))
#else
#define JUMPS __attribute__((optimize("O2")))
#define JUMP
#endif

static const struct {
	const char *name;
	size_t next; // where it stands in struct phi_next
	void *ours;
} names[] = {
#define X(function) {#function, offsetof(struct phi_next, function), (void *)(function)},
	PHI_NEXT_LIST(X)
#undef X
};

static phi_dlsym *behind; // racy and idempotent

phi_dlsym *phi_next_dlsym(void)
{
	static const char *const versions[] = {"GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.27"};
	void *found = (void *)load_relaxed_ptr((uintptr_t *)&behind);
	for (size_t i = 0; found == NULL && i < sizeof versions / sizeof *versions; i++)
		found = dlvsym(RTLD_NEXT, "dlsym", versions[i]);
	store_relaxed_ptr((uintptr_t *)&behind, (uintptr_t)found);
	phi_dlsym *function;
	memcpy(&function, &found, sizeof function);
	return function;
}

static void *ours_in_place_of(void *found, const char *name)
{
	const char *next = (const char *)phi_next();
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (found != NULL && strcmp(names[i].name, name) == 0)
			return memcmp(next + names[i].next, &found, sizeof found) == 0 ? names[i].ours : found;
	return found;
}

static void *find(void *handle, const char *name)
{
	return ours_in_place_of(phi_next_dlsym()(handle, name), name);
}

PHI_PUBLIC JUMPS void *dlsym(void *restrict handle, const char *restrict name)
{
	phi_dlsym *function = handle == RTLD_NEXT || handle == RTLD_DEFAULT ? phi_next_dlsym() : find;
	JUMP return function(handle, name);
}
