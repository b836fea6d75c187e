// SPDX-License-Identifier: MIT
//
// demo_corpus.c - the choice of files. Directories are walked in alphabetical order without following
// links, so that the same tree gives the same corpus.
#include "demo_corpus.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "memory.h"

#define DEFAULT_BYTES (UINT64_C(16) << 20)

enum { DEPTH_MAX = 32, PROBE_BYTES = 1024 };

struct walk {
	struct corpus *corpus;
	uint64_t bytes_max;
	bool text_only; // leave out what looks like data
};

static int64_t changed_ns(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static void append(struct corpus *corpus, const char *path, const struct stat *st)
{
	const uint64_t bytes = (uint64_t)st->st_size;

	corpus->file = memory_resize(corpus->file, corpus->count + 1, sizeof *corpus->file);
	corpus->file[corpus->count++] =
		(struct corpus_file){memory_string(path), bytes, changed_ns(st)};
	corpus->bytes += bytes;
}

static bool looks_like_text(int fd)
{
	char probe[PROBE_BYTES];
	const ssize_t n = pread(fd, probe, sizeof probe, 0);

	return n > 0 && memchr(probe, '\0', (size_t)n) == NULL;
}

// Adds one regular file; 0 or errno.
static int add_file(const struct walk *walk, const char *path)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return errno;
	const int err = fstat(fd, &st) != 0 ? errno : S_ISREG(st.st_mode) ? 0 : EINVAL;
	const bool wanted = err == 0 && (!walk->text_only || looks_like_text(fd));

	close(fd);
	if (wanted && walk->corpus->bytes + (uint64_t)st.st_size <= walk->bytes_max)
		append(walk->corpus, path, &st);
	return err;
}

static int is_source(const struct dirent *entry)
{
	return entry->d_name[0] != '.' && strncmp(entry->d_name, "build", 5) != 0;
}

static void add_entry(const struct walk *walk, const char *path, int depth);

static void add_directory(const struct walk *walk, const char *path, int depth)
{
	struct dirent **entries;
	const int n = depth < DEPTH_MAX ? scandir(path, &entries, is_source, alphasort) : -1;

	for (int i = 0; i < n; i++) {
		char inner[PATH_MAX];

		if (snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name) < (int)sizeof inner)
			add_entry(walk, inner, depth + 1);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

static void add_entry(const struct walk *walk, const char *path, int depth)
{
	struct stat st;

	if (walk->corpus->bytes >= walk->bytes_max || lstat(path, &st) != 0)
		return;
	if (S_ISDIR(st.st_mode))
		add_directory(walk, path, depth);
	else if (S_ISREG(st.st_mode))
		add_file(walk, path);
}

bool corpus_from_arguments(struct corpus *corpus, int count, char **paths, bool keep_going)
{
	const struct walk walk = {.corpus = corpus, .bytes_max = UINT64_MAX};
	bool all = true;

	*corpus = (struct corpus){0};
	for (int i = 0; i < count; i++) {
		struct stat st;

		if (stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode)) {
			add_directory(&walk, paths[i], 0);
			continue;
		}
		const int err = add_file(&walk, paths[i]);

		if (err == 0)
			continue;
		all = false;
		cli_fail(STATUS_REFUSED, paths[i], "%s; %s",
		         err == EINVAL ? "not a file or directory that can be read twice" : strerror(err),
		         keep_going ? "left out" : "name another, or leave such out with --keep-going");
	}
	return all || keep_going;
}

void corpus_default(struct corpus *corpus)
{
	static const char *const places[] = {"/usr/share/common-licenses", "/usr/share/dict",
	                                     "/usr/include"};
	const struct walk walk = {corpus, DEFAULT_BYTES, true};

	*corpus = (struct corpus){0};
	if (access("include/posthaste/mqueue.h", R_OK) == 0)
		add_directory(&walk, ".", 0);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		add_directory(&walk, places[i], 0);
}

const char *corpus_changed(const struct corpus *corpus)
{
	for (size_t i = 0; i < corpus->count; i++) {
		const struct corpus_file *file = &corpus->file[i];
		struct stat st;

		if (stat(file->path, &st) != 0 || (uint64_t)st.st_size != file->bytes ||
		    changed_ns(&st) != file->changed_ns)
			return file->path;
	}
	return NULL;
}

void corpus_free(struct corpus *corpus)
{
	for (size_t i = 0; i < corpus->count; i++)
		free(corpus->file[i].path);
	free(corpus->file);
}
