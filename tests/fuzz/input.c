// SPDX-License-Identifier: MIT
//
// tests/fuzz/input.c - see input.h.
#include "input.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner.h"

static char directory[64];

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void clean_up(void)
{
	nftw(directory, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	const bool shm = access("/dev/shm", W_OK) == 0;
	snprintf(directory, sizeof(directory), "%s/posthaste-fuzz-XXXXXX", shm ? "/dev/shm" : "/tmp");
	if (!mkdtemp(directory))
		test_failed(__FILE__, __LINE__, "mkdtemp: %s", strerror(errno));
	setenv("POSTHASTE_DIR", directory, 1);
	atexit(clean_up);
	return 0;
}
