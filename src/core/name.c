// SPDX-License-Identifier: MIT
#include "core/name.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static int check(const char *name)
{
	if (name[0] != '/')
		return -EINVAL;
	const char *rest = name + 1;
	if (*rest == '\0')
		return -ENOENT;
	if (strnlen(rest, NAME_MAX + 1) > NAME_MAX)
		return -ENAMETOOLONG;
	if (strchr(rest, '/') != NULL || strcmp(rest, ".") == 0 || strcmp(rest, "..") == 0)
		return -EACCES;
	return 0;
}

// FNV-1a.
static uint64_t hash(const char *s, uint64_t h)
{
	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	return h;
}

static void to_file(const char *prefix, const char *rest, char file[NAME_MAX + 1])
{
	size_t head = strlen(prefix);
	size_t tail = strlen(rest);
	if (head + tail <= NAME_MAX) {
		memcpy(file, prefix, head);
		memcpy(file + head, rest, tail + 1);
	} else {
		snprintf(file, NAME_MAX + 1, "%s%.200s~%016" PRIx64 "%016" PRIx64, prefix, rest,
		         hash(rest, UINT64_C(0xcbf29ce484222325)), hash(rest, 7));
	}
}

int phi_name_to_file(const char *prefix, const char *name, char file[NAME_MAX + 1])
{
	int r = check(name);
	if (r == 0)
		to_file(prefix, name + 1, file);
	return r;
}

int phi_name_lax(const char *prefix, const char *name, char whole[NAME_MAX + 2],
                 char file[NAME_MAX + 1])
{
	const char *rest = name + strspn(name, "/");
	if (*rest == '\0' || strchr(rest, '/') != NULL)
		return -EINVAL;
	if (strnlen(rest, NAME_MAX + 1) > NAME_MAX)
		return -ENAMETOOLONG;
	whole[0] = '/';
	memcpy(whole + 1, rest, strlen(rest) + 1);
	to_file(prefix, rest, file);
	return 0;
}
