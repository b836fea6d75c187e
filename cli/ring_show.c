// SPDX-License-Identifier: MIT
//
// ring_show.c - a pipe or FIFO as JSON and as text, for ls and info. What only a ring has is left out
// where there is none, and what has not happened yet.
#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "ring.h"
#include "show.h"
#include "watched.h"

static bool has_ring(const struct ph_pipe_info *info)
{
	return info->creator != 0;
}

static void json_number_unless_0(struct json *json, const char *key, int64_t value)
{
	if (value != 0)
		json_signed(json, key, value);
}

static void json_ring(struct json *json, const struct ph_pipe_info *info)
{
	json_unsigned(json, "ring_bytes", info->ring_bytes);
	json_unsigned(json, "ring_size", info->ring_size);
	json_unsigned(json, "through_ring", info->through_ring);
	json_number_unless_0(json, "reader", info->reader);
	json_unsigned(json, "readers_asleep", info->readers_asleep);
	json_unsigned(json, "writers_asleep", info->writers_asleep);
	json_bool(json, "polled", info->polled);
	json_bool(json, "foreign", info->foreign);
	json_number_unless_0(json, "last_reader", info->last_reader);
	json_number_unless_0(json, "last_writer", info->last_writer);
	json_signed(json, "created_s", info->created_s);
	json_signed(json, "creator", info->creator);
	json_bool(json, "attached", info->attached);
}

void ring_json(const struct ph_pipe_info *info, const struct watched *watched)
{
	struct json json = {.out = stdout};
	char text[SHOW_MAX];

	json_open(&json, NULL, '{');
	json_string(&json, "kind", ring_kind(info));
	json_string(&json, "name", info->name);
	json_unsigned(&json, "device", info->device);
	json_unsigned(&json, "inode", info->inode);
	json_unsigned(&json, "uid", info->uid);
	json_unsigned(&json, "gid", info->gid);
	json_string(&json, "owner", show_user(text, info->uid));
	snprintf(text, sizeof text, "%03o", (unsigned)info->mode & 07777);
	json_string(&json, "mode", text);
	json_bool(&json, "in_ring", info->in_ring);
	if (has_ring(info))
		json_ring(&json, info);
	watched_json(&json, watched);
	json_string(&json, "state", ring_state(info));
	json_close(&json, '}');
	putchar('\n');
}

static void show_file(const struct ph_pipe_info *info)
{
	const struct group *group = getgrgid(info->gid);
	char text[SHOW_MAX];

	printf("name            %s\n", info->name);
	printf("kind            %s, inode %" PRIu64 " of device %" PRIx64 "\n",
	       strcmp(ring_kind(info), "pipe") == 0 ? "pipe" : "FIFO", info->inode, info->device);
	printf("owner           %s", show_user(text, info->uid));
	if (group)
		printf(":%s", group->gr_name);
	printf("\nmode            %03o\n", (unsigned)info->mode & 07777);
}

// Why the bytes go the way they do.
static const char *way(const struct ph_pipe_info *info)
{
	if (info->in_ring)
		return "the ring: a reader is looking into it";
	if (info->foreign)
		return "the kernel: somebody without this library reads or writes";
	if (info->polled)
		return "the kernel: somebody polls it";
	return "the kernel: no reader of this library is busy with it";
}

static void show_last(const char *label, int32_t pid)
{
	if (pid == 0)
		printf("%-15s nobody yet\n", label);
	else
		printf("%-15s pid %" PRId32 "\n", label, pid);
}

static void show_ring(const struct ph_pipe_info *info)
{
	char bytes[SHOW_MAX], size[SHOW_MAX], when[SHOW_MAX] = "?";
	const time_t created = (time_t)info->created_s;
	struct tm local;

	if (localtime_r(&created, &local))
		strftime(when, sizeof when, "%F %T", &local);
	printf("ring made       %s by pid %" PRId32 "\n", when, info->creator);
	printf("in the ring     %s of %s bytes; what the kernel holds comes on top\n",
	       show_count(bytes, info->ring_bytes), show_count(size, info->ring_size));
	printf("so far          %s bytes through the ring\n", show_count(bytes, info->through_ring));
	if (info->reader)
		printf("lease           thread %" PRId32 " has promised to read the ring\n", info->reader);
	else
		printf("lease           nobody has promised to read the ring\n");
	printf("asleep          %" PRIu32 " readers, %s\n", info->readers_asleep,
	       info->writers_asleep ? "writers" : "no writers");
	show_last("last writer", info->last_writer);
	show_last("last reader", info->last_reader);
	printf("polled          %s\n", info->polled ? "yes" : "no");
	printf("foreign         %s\n", info->foreign ? "yes" : "no");
	printf("open            %s\n", info->attached ? "yes" : "in no process");
}

void ring_show(const struct ph_pipe_info *info, const struct watched *watched)
{
	show_file(info);
	if (has_ring(info)) {
		printf("bytes go by     %s\n", way(info));
		show_ring(info);
	} else {
		printf("bytes go by     the kernel: no reader of this library has opened it\n");
	}
	watched_show(watched);
	printf("state           %s\n",
	       info->damaged ? "damaged: what stood in the ring is lost, the kernel goes on" : "ok");
}
