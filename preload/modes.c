// SPDX-License-Identifier: MIT
//
// Which objects are the library's: POSTHASTE_ONLY names them ("mq,sem"), all where it is not set. Read once: what
// a process has begun with it goes on with.
#include "preload.h"

#include <stdlib.h>
#include <string.h>

#define ALL (PHI_PART_MQ | PHI_PART_SEM | PHI_PART_SHM)
#define KNOWN 8

static const struct {
	const char *name;
	uint32_t part;
} parts[] = {{"mq", PHI_PART_MQ}, {"sem", PHI_PART_SEM}, {"shm", PHI_PART_SHM}};

static uint32_t part_of(const char *word, size_t length)
{
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		if (strlen(parts[i].name) == length && memcmp(parts[i].name, word, length) == 0)
			return parts[i].part;
	return 0;
}

static uint32_t wanted(void)
{
	const char *list = getenv("POSTHASTE_ONLY");
	uint32_t found = 0;
	if (list == NULL || *list == '\0')
		return ALL;
	for (const char *word = list; *word != '\0';) {
		size_t length = strcspn(word, ",");
		found |= part_of(word, length);
		word += length + (word[length] == ',');
	}
	return found;
}

bool phi_takes(enum phi_part part)
{
	static uint32_t modes; // racy and idempotent
	uint32_t m = load_relaxed_u32(&modes);
	if (m == 0) {
		m = KNOWN | wanted();
		store_relaxed_u32(&modes, m);
	}
	return (m & part) != 0;
}
