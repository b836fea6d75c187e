// SPDX-License-Identifier: MIT
//
// shared_show.c - see shared_show.h. What an arena holds is counted in a private copy of the memory, which the kernel
// makes page by page of what the count touches: nobody is kept waiting for its lock, and nothing changes. Where
// somebody was just changing it, the copy may contradict itself; then nothing is said of the arena.
#include "shared_show.h"

#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthaste/common.h>

#include "base/guard.h"
#include "json.h"
#include "shared.h"
#include "shm/layout.h"
#include "show.h"

struct content {
	uint8_t *at;
	size_t bytes;
	uint32_t damaged; // it was cut meanwhile
	struct ph_arena *arena;
	struct ph_arena_report report;
};

static bool copy_memory(const char *name, struct content *content)
{
	struct names names = {.prefix = NAMES_SHM};
	char path[PATH_MAX + NAME_MAX];
	struct stat file;

	if (ph_namespace(names.directory, sizeof names.directory) < 0)
		return false;
	names_path(&names, name, path);
	const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	void *at = MAP_FAILED;

	if (fd >= 0 && fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size >= PH_ARENA_MIN)
		at = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE,
		          fd, 0);
	if (fd >= 0)
		close(fd);
	if (at == MAP_FAILED)
		return false;
	content->bytes = (size_t)file.st_size;
	content->at = at;
	if (phi_guard_add(at, content->bytes, &content->damaged) == 0)
		return true;
	munmap(at, content->bytes);
	content->at = NULL;
	return false;
}

// Whoever has the lock of the original will not let go of the copy's.
static void free_lock(struct content *content)
{
	struct shm_arena_header *const header = (struct shm_arena_header *)content->at;

	if (header->magic == SHM_ARENA_MAGIC)
		header->lock.word = 0;
}

static bool open_content(const char *name, struct content *content)
{
	*content = (struct content){0};
	if (!copy_memory(name, content))
		return false;
	free_lock(content);
	content->arena = ph_arena_attach(content->at, content->bytes);
	return content->arena && ph_arena_check(content->arena, &content->report) == 0 &&
	       content->damaged == 0;
}

static void close_content(struct content *content)
{
	if (content->arena)
		ph_arena_detach(content->arena);
	if (!content->at)
		return;
	phi_guard_remove(content->at);
	munmap(content->at, content->bytes);
}

// ---- for programs ----

static int json_one_name(const char *name, uint64_t offset, void *arg)
{
	struct json *const json = arg;

	json_open(json, NULL, '{');
	json_bytes(json, "name", name, strlen(name));
	json_unsigned(json, "offset", offset);
	json_close(json, '}');
	return 0;
}

static void json_arena(struct json *json, const struct content *content)
{
	const struct ph_arena_report *const report = &content->report;

	json_open(json, "arena", '{');
	json_unsigned(json, "bytes", report->bytes);
	json_unsigned(json, "used_bytes", report->used_bytes);
	json_unsigned(json, "used_blocks", report->used_blocks);
	json_unsigned(json, "free_bytes", report->free_bytes);
	json_unsigned(json, "largest_bytes", report->largest_bytes);
	json_unsigned(json, "reclaimed_blocks", report->reclaimed_blocks);
	json_open(json, "names", '[');
	ph_arena_names(content->arena, json_one_name, json);
	json_close(json, ']');
	json_close(json, '}');
}

static void json_object(const char *name, const struct ph_shm_info *info,
                        const struct content *content, const struct watched *watched)
{
	struct json json = {.out = stdout};
	char text[SHOW_MAX];

	json_open(&json, NULL, '{');
	json_string(&json, "kind", "shm");
	json_string(&json, "name", name);
	json_unsigned(&json, "uid", info->uid);
	json_unsigned(&json, "gid", info->gid);
	json_string(&json, "owner", show_user(text, info->uid));
	snprintf(text, sizeof text, "%03o", (unsigned)info->mode & 0777);
	json_string(&json, "mode", text);
	json_unsigned(&json, "size", info->bytes);
	json_unsigned(&json, "bytes", info->allocated);
	json_bool(&json, "attached", info->mapped);
	json_bool(&json, "reclaim", info->reclaim);
	if (content)
		json_arena(&json, content);
	watched_json(&json, watched);
	json_string(&json, "state", shared_state(info));
	json_close(&json, '}');
	putchar('\n');
}

void shared_json_briefly(const char *name, const struct ph_shm_info *info,
                         const struct watched *watched)
{
	json_object(name, info, NULL, watched);
}

void shared_json(const char *name, const struct ph_shm_info *info, const struct watched *watched)
{
	struct content content;

	json_object(name, info, open_content(name, &content) ? &content : NULL, watched);
	close_content(&content);
}

// ---- for people ----

static int show_one_name(const char *name, uint64_t offset, void *arg)
{
	bool *const first = arg;

	printf("%-15s ", *first ? "names" : "");
	*first = false;
	for (; *name; name++)
		putchar((unsigned char)*name < 32 || *name == 127 ? '?' : *name);
	printf(" at %" PRIu64 "\n", offset);
	return 0;
}

static void show_arena(const struct content *content)
{
	const struct ph_arena_report *const report = &content->report;
	char used[SHOW_MAX], unused[SHOW_MAX], blocks[SHOW_MAX], largest[SHOW_MAX];
	bool first = true;

	printf("arena           %s used in %s blocks, %s free, the largest piece %s\n",
	       show_bytes(used, report->used_bytes), show_count(blocks, report->used_blocks),
	       show_bytes(unused, report->free_bytes), show_bytes(largest, report->largest_bytes));
	if (report->reclaimed_blocks > 0)
		printf("lost            %" PRIu64
		       " blocks that killed processes were being given: they come "
		       "back\n",
		       report->reclaimed_blocks);
	ph_arena_names(content->arena, show_one_name, &first);
	if (first)
		printf("names           none\n");
}

void shared_show(const char *name, const struct ph_shm_info *info, const struct watched *watched)
{
	const struct group *group = getgrgid(info->gid);
	struct content content;
	char text[SHOW_MAX];

	printf("name            %s\n", name);
	printf("owner           %s", show_user(text, info->uid));
	if (group)
		printf(":%s", group->gr_name);
	printf("\nmode            %03o\n", (unsigned)info->mode & 0777);
	printf("size            %s bytes\n", show_count(text, info->bytes));
	printf("memory          %s\n", show_bytes(text, info->allocated));
	printf("open            %s\n", info->mapped ? "yes" : "in no process of this library");
	printf("kept            %s\n",
	       info->reclaim ? "until its last user is gone" : "until it is removed");
	if (open_content(name, &content))
		show_arena(&content);
	close_content(&content);
	watched_show(watched);
	printf("state           %s\n", strcmp(shared_state(info), "unused") == 0
	                                   ? "unused; remove it: posthaste rm --leftovers"
	                                   : shared_state(info));
}
