// SPDX-License-Identifier: MIT
//
// signals_line.c - ports for signals as JSON. See signals_show.h.
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "json.h"
#include "show.h"
#include "signals_show.h"

static const char *trouble(int err)
{
	return err == ENOENT    ? "unused" // its file is there: whoever it was of is gone
	       : err == EBADMSG ? "damaged"
	       : err == EACCES  ? "no-access"
	                        : strerror(err);
}

static uint64_t memory_of(const struct stat *file)
{
	return (uint64_t)file->st_blocks * 512;
}

static int living(const struct ph_sigport_info *info)
{
	int n = 0;

	for (int i = 0; i < info->members; i++)
		n += info->member[i].alive;
	return n;
}

// ---- JSON ----

static void json_set(struct json *json, const char *key, uint64_t set)
{
	char name[16];

	json_open(json, key, '[');
	for (; set != 0; set &= set - 1)
		json_string(json, NULL, signals_name(__builtin_ctzll(set) + 1, name));
	json_close(json, ']');
}

static void json_program(struct json *json, pid_t pid)
{
	char text[SHOW_MAX];

	show_program(text, pid);
	json_bytes(json, "command", text, strlen(text));
}

static void json_last(struct json *json, const struct ph_signal_info *info)
{
	char name[16];

	if (info->last_pid == 0)
		return;
	json_open(json, "last_sender", '{');
	json_signed(json, "pid", info->last_pid);
	json_unsigned(json, "uid", info->last_uid);
	json_string(json, "signal", signals_name(info->last_signo, name));
	json_signed(json, "age_ms", signals_age_ms(info->last_ns));
	json_close(json, '}');
}

static void json_actions(struct json *json, const struct ph_signal_info *info)
{
	char name[16], text[SIGNALS_TEXT_MAX];

	json_open(json, "actions", '[');
	for (int s = 1; s < SIGNALS_MAX; s++) {
		if (info->action[s].kind == 0)
			continue;
		json_open(json, NULL, '{');
		json_string(json, "signal", signals_name(s, name));
		json_string(json, "action", info->action[s].kind == 1 ? "ignore" : "handler");
		json_string(json, "flags", signals_flags(info->action[s].flags, text));
		json_set(json, "blocks", info->action[s].mask);
		json_close(json, '}');
	}
	json_close(json, ']');
}

static void json_thread(struct json *json, const struct ph_signal_info *info,
                        const struct ph_signal_thread *thread)
{
	char name[16];
	uint64_t blocked = 0;

	json_open(json, NULL, '{');
	json_signed(json, "tid", thread->tid);
	json_bool(json, "waiting", thread->waiting);
	if (thread->waiting) {
		json_set(json, "waits_for", thread->set);
		json_signed(json, "age_ms", signals_age_ms(thread->since_ns));
	}
	if (thread->handling)
		json_string(json, "handling", signals_name(thread->handling, name));
	if (signals_blocked(info, thread->tid, &blocked))
		json_set(json, "blocked", blocked);
	json_close(json, '}');
}

static void json_port(struct json *json, const struct ph_signal_info *info)
{
	uint64_t blocked = 0;

	json_signed(json, "depth", info->depth);
	json_signed(json, "queued", info->queued);
	json_unsigned(json, "sent", info->sent);
	json_unsigned(json, "refused", info->refused);
	json_last(json, info);
	json_set(json, "pending", info->pending);
	if (signals_blocked(info, info->pid, &blocked))
		json_set(json, "blocked", blocked);
	json_set(json, "ignored", info->ignored);
	json_set(json, "caught", info->caught);
	json_set(json, "waited_for", info->taken_here);
	json_actions(json, info);
	json_signed(json, "waiting", signals_waiting(info));
	json_open(json, "threads", '[');
	for (int i = 0; i < info->threads; i++)
		json_thread(json, info, &info->thread[i]);
	json_close(json, ']');
	json_string(json, "state", "ok");
}

void signals_json(const struct ph_signal_info *info)
{
	struct json json = {.out = stdout};
	char text[SHOW_MAX];

	snprintf(text, sizeof text, "/%d", info->pid);
	json_open(&json, NULL, '{');
	json_string(&json, "kind", "signals");
	json_string(&json, "name", text);
	json_signed(&json, "pid", info->pid);
	json_program(&json, info->pid);
	json_unsigned(&json, "uid", info->uid);
	json_string(&json, "owner", show_user(text, info->uid));
	json_port(&json, info);
	json_close(&json, '}');
	putchar('\n');
}

void signals_member(struct json *json, pid_t pid)
{
	static struct ph_signal_info info;
	const int err = ph_signal_info(pid, &info) == 0 ? 0 : errno;

	if (err == ENOENT)
		return;
	json_open(json, "signals", '{');
	if (err == 0)
		json_port(json, &info);
	else
		json_string(json, "state", trouble(err));
	json_close(json, '}');
}

static void json_begin(struct json *json, const char *kind, const char *name,
                       const struct stat *file)
{
	char text[SHOW_MAX];

	json_open(json, NULL, '{');
	json_string(json, "kind", kind);
	json_string(json, "name", name);
	json_unsigned(json, "uid", file->st_uid);
	json_unsigned(json, "gid", file->st_gid);
	json_string(json, "owner", show_user(text, file->st_uid));
	snprintf(text, sizeof text, "%03o", (unsigned)file->st_mode & 0777);
	json_string(json, "mode", text);
	json_unsigned(json, "bytes", memory_of(file));
}

static void json_end(struct json *json, const char *state)
{
	json_string(json, "state", state);
	json_close(json, '}');
	putchar('\n');
}

void signals_line_json(const char *name, const struct stat *file)
{
	static struct ph_signal_info info;
	struct json json = {.out = stdout};

	if (ph_signal_info(signals_pid(name), &info) == 0) {
		signals_json(&info);
		return;
	}
	const int err = errno;

	json_begin(&json, "signals", name, file);
	json_end(&json, trouble(err));
}

static void json_members(struct json *json, const struct ph_sigport_info *info)
{
	json_unsigned(json, "sent", info->sent);
	json_open(json, "members", '[');
	for (int i = 0; i < info->members; i++) {
		json_open(json, NULL, '{');
		json_signed(json, "pid", info->member[i].pid);
		json_bool(json, "alive", info->member[i].alive);
		json_program(json, info->member[i].pid);
		json_set(json, "signals", info->member[i].set);
		json_close(json, '}');
	}
	json_close(json, ']');
}

void port_line_json(const char *name, const struct stat *file)
{
	struct ph_sigport_info info;
	struct json json = {.out = stdout};
	const int err = ph_sigport_info(name, &info) == 0 ? 0 : errno;

	json_begin(&json, "port", name, file);
	if (err == 0)
		json_members(&json, &info);
	json_end(&json, err != 0 ? trouble(err) : living(&info) > 0 ? "ok" : "unused");
}
