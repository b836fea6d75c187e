// SPDX-License-Identifier: MIT
//
// names.c - see names.h. The commands use the public headers, so that they show what any program can do; only
// the list of names comes from the namespace directory, by the rules of core/name.h.
#include "names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthaste/common.h>

#include "cli.h"
#include "core/layout.h"
#include "core/name.h"
#include "memory.h"

#define LONG_FILE_NAME 200 // from here on it may be shortened

bool name_whole(const char *thing, const char *argument, char name[NAME_WHOLE_MAX])
{
	const char *bare = *argument == '/' ? argument + 1 : argument;

	if (*bare == '\0') {
		cli_usage_error("%s needs a name, such as \"jobs\"", thing);
		return false;
	}
	if (strchr(bare, '/') || strcmp(bare, ".") == 0 || strcmp(bare, "..") == 0) {
		cli_usage_error("%s: the name of %s has no slash but the first, and is not . or ..",
		                argument, thing);
		return false;
	}
	if (strlen(bare) > NAME_MAX) {
		cli_usage_error("the name of %s has at most %d bytes, this one has %zu", thing, NAME_MAX,
		                strlen(bare));
		return false;
	}
	snprintf(name, NAME_WHOLE_MAX, "/%s", bare);
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

// The name of an object whose file name is not long enough for it stands in the file, if that has a place
// for it: shared memory is the user's to the last byte, and goes by the file's name.
static bool read_name(const char *prefix, int dir, const char *file, char name[NAME_WHOLE_MAX])
{
	struct phi_region_header header;
	char made[NAME_MAX + 1];
	const int fd = openat(dir, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return false;
	const ssize_t n = pread(fd, &header, sizeof header, 0);

	close(fd);
	if (n != (ssize_t)sizeof header || header.magic != PHI_REGION_MAGIC)
		return false;
	snprintf(name, NAME_WHOLE_MAX, "/%.*s", (int)sizeof header.name, header.name);
	return phi_name_to_file(prefix, name, made) == 0 && strcmp(made, file) == 0;
}

static void append_name(struct names *names, int dir, const char *file)
{
	char name[NAME_WHOLE_MAX];

	if (strlen(file) < LONG_FILE_NAME || !read_name(names->prefix, dir, file, name))
		snprintf(name, sizeof name, "/%s", file + strlen(names->prefix));
	names->name = memory_resize(names->name, names->count + 1, sizeof *names->name);
	names->name[names->count++] = memory_string(name);
}

static bool fail(const char *directory)
{
	cli_fail(STATUS_REFUSED, directory,
	         "the namespace directory cannot be used: %s; see: posthaste doctor", strerror(errno));
	return false;
}

bool names_list(struct names *names, const char *prefix)
{
	const struct dirent *entry;

	*names = (struct names){.prefix = prefix};
	if (ph_namespace(names->directory, sizeof names->directory) < 0)
		return fail(getenv("POSTHASTE_DIR"));
	DIR *dir = opendir(names->directory);

	if (!dir)
		return fail(names->directory);
	while ((entry = readdir(dir)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			append_name(names, dirfd(dir), entry->d_name);
	closedir(dir);
	if (names->count > 0)
		qsort(names->name, names->count, sizeof *names->name, by_name);
	return true;
}

void names_free(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		free(names->name[i]);
	free(names->name);
}

void names_path(const struct names *names, const char *name, char path[PATH_MAX + NAME_MAX])
{
	char file[NAME_MAX + 1];

	if (phi_name_to_file(names->prefix, name, file) != 0)
		file[0] = '\0';
	snprintf(path, PATH_MAX + NAME_MAX, "%s/%s", names->directory, file);
}

bool name_stat(const char *prefix, const char *name, struct stat *file)
{
	struct names names = {.prefix = prefix};
	char path[PATH_MAX + NAME_MAX];

	if (ph_namespace(names.directory, sizeof names.directory) < 0)
		return false;
	names_path(&names, name, path);
	return lstat(path, file) == 0 && !S_ISDIR(file->st_mode);
}
