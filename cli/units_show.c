// SPDX-License-Identifier: MIT
//
// units_show.c - see units_show.h. Who holds and who waits is shown with the command line: the pid of a holder
// that is `posthaste lock` says little.
#include "units_show.h"

#include <grp.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "show.h"
#include "units.h"

static int64_t age_ms(int64_t since_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	const int64_t ms = ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec - since_ns) / 1000000;

	return ms > 0 ? ms : 0;
}

const char *units_state(const struct ph_sem_info *info)
{
	for (size_t i = 0; i < info->held_count; i++)
		if (info->held[i].dead)
			return "dead-holder";
	return "ok";
}

// ---- for programs ----

static void json_program(struct json *json, pid_t pid)
{
	char text[SHOW_MAX];

	show_program(text, pid);
	json_bytes(json, "command", text, strlen(text));
}

static void json_held(struct json *json, const struct ph_sem_info *info)
{
	json_open(json, "held", '[');
	for (size_t i = 0; i < info->held_count; i++) {
		json_open(json, NULL, '{');
		json_signed(json, "pid", info->held[i].pid);
		json_unsigned(json, "units", info->held[i].units);
		json_bool(json, "dead", info->held[i].dead);
		json_program(json, info->held[i].pid);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void json_waiters(struct json *json, const struct ph_sem_info *info)
{
	json_open(json, "waiters", '[');
	for (size_t i = 0; i < info->waiter_count; i++) {
		const struct ph_sem_waiter *waiter = &info->waiter[i];

		json_open(json, NULL, '{');
		json_signed(json, "pid", waiter->pid);
		json_signed(json, "tid", waiter->tid);
		json_unsigned(json, "units", waiter->units);
		json_signed(json, "age_ms", age_ms(waiter->since_ns));
		json_program(json, waiter->pid);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void json_file(struct json *json, const struct stat *file)
{
	char text[SHOW_MAX];

	json_unsigned(json, "uid", file->st_uid);
	json_unsigned(json, "gid", file->st_gid);
	json_string(json, "owner", show_user(text, file->st_uid));
	snprintf(text, sizeof text, "%03o", (unsigned)file->st_mode & 0777);
	json_string(json, "mode", text);
	json_unsigned(json, "bytes", (uint64_t)file->st_blocks * 512);
}

void units_json(const char *name, const struct ph_sem_info *info, const struct stat *file,
                const struct watched *watched)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_string(&json, "kind", "sem");
	json_string(&json, "name", name);
	json_file(&json, file);
	json_unsigned(&json, "value", info->value);
	json_bool(&json, "holders", info->holders);
	if (info->holders) {
		json_unsigned(&json, "held_units", units_held(info));
		json_held(&json, info);
		json_unsigned(&json, "returned", info->returned);
		if (info->last_dead != 0)
			json_signed(&json, "last_dead", info->last_dead);
	}
	json_waiters(&json, info);
	json_signed(&json, "created_s", info->created_s);
	json_signed(&json, "creator", info->creator);
	watched_json(&json, watched);
	json_string(&json, "state", units_state(info));
	json_close(&json, '}');
	putchar('\n');
}

// ---- for people ----

static void show_file(const char *name, const struct ph_sem_info *info, const struct stat *file)
{
	char text[SHOW_MAX], when[SHOW_MAX] = "?";
	const time_t created = (time_t)info->created_s;
	const struct group *group = getgrgid(file->st_gid);
	struct tm local;

	if (localtime_r(&created, &local))
		strftime(when, sizeof when, "%F %T", &local);
	printf("name            %s\n", name);
	printf("owner           %s", show_user(text, file->st_uid));
	if (group)
		printf(":%s", group->gr_name);
	printf("\nmode            %03o\n", (unsigned)file->st_mode & 0777);
	printf("created         %s by pid %d\n", when, (int)info->creator);
	printf("memory          %s\n", show_bytes(text, (uint64_t)file->st_blocks * 512));
}

static void show_held(const struct ph_sem_info *info)
{
	char text[SHOW_MAX];

	for (size_t i = 0; i < info->held_count; i++) {
		const struct ph_sem_holder *holder = &info->held[i];

		printf("%-15s %u units: pid %d (%s)%s\n", i ? "" : "held", holder->units, (int)holder->pid,
		       show_program(text, holder->pid),
		       holder->dead ? ", dead: they come back as soon as they are needed" : "");
	}
	if (info->held_count == 0)
		printf("held            nothing\n");
}

static void show_waiters(const struct ph_sem_info *info)
{
	char text[SHOW_MAX], age[SHOW_MAX];

	for (size_t i = 0; i < info->waiter_count; i++) {
		const struct ph_sem_waiter *waiter = &info->waiter[i];

		printf("%-15s pid %d (%s), thread %d, for %u units, since %s\n", i ? "" : "waiting",
		       (int)waiter->pid, show_program(text, waiter->pid), (int)waiter->tid, waiter->units,
		       show_age(age, age_ms(waiter->since_ns)));
	}
	if (info->waiter_count == 0)
		printf("waiting         nobody\n");
}

static void show_holders(const struct ph_sem_info *info)
{
	char value[SHOW_MAX], all[SHOW_MAX];

	if (!info->holders) {
		printf("value           %s\n", show_count(value, info->value));
		printf("holders         are not written down: see posthaste help sem mk\n");
		return;
	}
	printf("value           %s of %s\n", show_count(value, info->value),
	       show_count(all, info->value + units_held(info)));
	show_held(info);
	if (info->returned > 0)
		printf("came back       %" PRIu64 " units of killed holders so far, the last was pid %d\n",
		       info->returned, (int)info->last_dead);
}

void units_show(const char *name, const struct ph_sem_info *info, const struct stat *file,
                const struct watched *watched)
{
	show_file(name, info, file);
	show_holders(info);
	show_waiters(info);
	watched_show(watched);
	printf("state           %s\n", units_state(info));
}
