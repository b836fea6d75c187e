// SPDX-License-Identifier: MIT
//
// queue_json.c - see queue_json.h. The keys are the field names of struct ph_mq_info; what has not
// happened yet is left out.
#include "queue_json.h"

#include <stdio.h>

#include "json.h"
#include "show.h"

static void actor(struct json *json, const char *key, int32_t pid, int64_t age_ms)
{
	if (pid == 0 || age_ms < 0)
		return;
	json_open(json, key, '{');
	json_signed(json, "pid", pid);
	json_signed(json, "age_ms", age_ms);
	json_close(json, '}');
}

static void permissions(struct json *json, const struct ph_mq_info *info)
{
	char text[SHOW_MAX];

	json_unsigned(json, "uid", info->uid);
	json_unsigned(json, "gid", info->gid);
	json_string(json, "owner", show_user(text, info->uid));
	snprintf(text, sizeof text, "%03o", (unsigned)info->mode & 07777);
	json_string(json, "mode", text);
}

static void contents(struct json *json, const struct ph_mq_info *info)
{
	json_unsigned(json, "maxmsg", info->maxmsg);
	json_unsigned(json, "msgsize", info->msgsize);
	json_unsigned(json, "curmsgs", info->curmsgs);
	json_unsigned(json, "borrowed", info->borrowed);
	json_unsigned(json, "reserved", info->reserved);
	json_unsigned(json, "spares", info->spares);
	json_unsigned(json, "sent", info->sent);
	json_unsigned(json, "received", info->received);
	json_unsigned(json, "bytes", info->bytes);
}

static void users(struct json *json, const struct ph_mq_info *info)
{
	json_unsigned(json, "receivers_asleep", info->receivers_asleep);
	json_unsigned(json, "senders_asleep", info->senders_asleep);
	actor(json, "last_sender", info->last_sender, info->last_send_age_ms);
	actor(json, "last_receiver", info->last_receiver, info->last_receive_age_ms);
	json_signed(json, "created_s", info->created_s);
	json_signed(json, "creator", info->creator);
	if (info->notify_pid != 0)
		json_signed(json, "notify_pid", info->notify_pid);
	json_bool(json, "subscribers", info->subscribers);
	json_bool(json, "polled", info->polled);
	json_bool(json, "attached", info->attached);
}

void queue_json(const struct ph_mq_info *info, const struct watched *watched)
{
	struct json json = {.out = stdout};

	json_open(&json, NULL, '{');
	json_string(&json, "kind", "mq");
	json_string(&json, "name", info->name);
	permissions(&json, info);
	contents(&json, info);
	users(&json, info);
	watched_json(&json, watched);
	json_string(&json, "state", info->damaged ? "damaged" : "ok");
	json_close(&json, '}');
	putchar('\n');
}
