// SPDX-License-Identifier: MIT
//
// memory.c - see memory.h.
#include "memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

_Noreturn void memory_exhausted(void)
{
	cli_fail(STATUS_REFUSED, NULL, "out of memory; free some, or ask for less");
	_Exit(STATUS_REFUSED);
}

void *memory_resize(void *old, size_t count, size_t size)
{
	const bool sensible = count > 0 && size > 0 && count <= SIZE_MAX / size;
	void *new = sensible ? realloc(old, count * size) : NULL;

	if (!new)
		memory_exhausted();
	return new;
}

void *memory_zeroed(size_t count, size_t size)
{
	void *new = calloc(count, size);

	if (!new)
		memory_exhausted();
	return new;
}

char *memory_string(const char *text)
{
	char *new = strdup(text);

	if (!new)
		memory_exhausted();
	return new;
}
