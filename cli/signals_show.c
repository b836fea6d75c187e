// SPDX-License-Identifier: MIT
//
// signals_show.c - see signals_show.h. signals_line.c has the rows of ls and the JSON. Masks are the kernel's word, asked
// of /proc; dispositions with their flags, the queue and who sleeps stand in the port.
#include "signals_show.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "show.h"

static const struct cli_failure failures[] = {
	{ENOENT, 1, false,
     "has no port: it does not use this library for signals, or is gone; see: posthaste ps"},
	{EACCES, 1, false, "permission denied: it is another user's, which takes root"},
	{EBADMSG, 1, false, "its port is damaged, or of another version; see: posthaste doctor"},
	{EXDEV, 1, false, "in use from another pid namespace"},
	{0},
};

static const struct cli_failure port_failures[] = {
	{ENOENT, 1, true, "no such port; join it with: posthaste wait-signal USR1 --name "},
	{EACCES, 1, false,
     "permission denied (a port needs both read and write permission); see who owns it with: "
     "posthaste ls --signals"},
	{EBADMSG, 1, true, "damaged, or made by another version; remove it: posthaste rm --kind port "},
	{EXDEV, 1, false, "in use from another pid namespace"},
	{0},
};

const char *signals_last(const struct ph_signal_info *info, char out[SIGNALS_LAST_MAX])
{
	char name[16], age[SHOW_MAX];
	const int64_t age_ms = signals_age_ms(info->last_ns);

	if (info->last_pid == 0 || age_ms < 0)
		snprintf(out, SIGNALS_LAST_MAX, "-");
	else
		snprintf(out, SIGNALS_LAST_MAX, "%d:%s,%s", info->last_pid,
		         signals_name(info->last_signo, name), show_age(age, age_ms));
	return out;
}

static void show_set(const char *label, uint64_t set)
{
	char text[SIGNALS_TEXT_MAX];

	printf("%-15s %s\n", label, set ? signals_set(set, 0, " ", text) : "none");
}

static void show_last(const struct ph_signal_info *info)
{
	char name[16], age[SHOW_MAX], user[SHOW_MAX], program[SHOW_MAX];

	if (info->last_pid == 0) {
		printf("last sender     nobody yet\n");
		return;
	}
	printf("last sender     pid %d (%s) of %s: %s, %s ago\n", info->last_pid,
	       show_program(program, info->last_pid), show_user(user, info->last_uid),
	       signals_name(info->last_signo, name), show_age(age, signals_age_ms(info->last_ns)));
}

static void show_sets(const struct ph_signal_info *info)
{
	uint64_t blocked = 0;

	show_set("pending", info->pending);
	if (signals_blocked(info, info->pid, &blocked))
		show_set("blocked", blocked);
	show_set("ignored", info->ignored);
	show_set("caught", info->caught);
	show_set("waited for", info->taken_here);
}

static const struct {
	uint32_t flag;
	const char *name;
} flags[] = {
	{SA_NOCLDSTOP, "NOCLDSTOP"}, {SA_NOCLDWAIT, "NOCLDWAIT"},    {SA_NODEFER, "NODEFER"},
	{SA_ONSTACK, "ONSTACK"},     {SA_RESETHAND, "RESETHAND"},    {SA_RESTART, "RESTART"},
	{SA_SIGINFO, "SIGINFO"},     {PH_SA_SAFEPOINT, "SAFEPOINT"}, {PH_SA_QUEUE, "QUEUE"},
};

const char *signals_flags(uint32_t set, char out[SIGNALS_TEXT_MAX])
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (set & flags[i].flag)
			used += (size_t)snprintf(out + used, SIGNALS_TEXT_MAX - used, "%s%s", used ? " " : "",
			                         flags[i].name);
	return out;
}

// What was arranged for a signal through this library. Handlers of others are in `caught`.
static void show_actions(const struct ph_signal_info *info)
{
	char name[16], text[SIGNALS_TEXT_MAX];

	for (int s = 1; s < SIGNALS_MAX; s++) {
		const struct ph_signal_action *const action = &info->action[s];

		if (action->kind == 0)
			continue;
		printf("%-15s %s", signals_name(s, name), action->kind == 1 ? "ignored" : "handler");
		if (action->flags)
			printf(", %s", signals_flags(action->flags, text));
		if (action->mask)
			printf(", blocks %s meanwhile", signals_set(action->mask, 0, " ", text));
		putchar('\n');
	}
}

static void show_thread(const struct ph_signal_info *info, const struct ph_signal_thread *thread)
{
	char name[16], text[SIGNALS_TEXT_MAX], age[SHOW_MAX];
	uint64_t blocked = 0;

	printf("thread          %d: ", thread->tid);
	if (thread->waiting)
		printf("waits for %s, for %s; ", signals_set(thread->set, 0, " ", text),
		       show_age(age, signals_age_ms(thread->since_ns)));
	if (thread->handling)
		printf("handles %s; ", signals_name(thread->handling, name));
	if (signals_blocked(info, thread->tid, &blocked))
		printf("blocks %s\n", signals_set(blocked, 0, " ", text));
	else
		printf("gone\n");
}

static void show_process(const struct ph_signal_info *info)
{
	char text[SHOW_MAX];

	printf("process         pid %d (%s)\n", info->pid, show_program(text, info->pid));
	printf("owner           %s\n", show_user(text, info->uid));
	printf("queue           %d of %d signals are waiting\n", info->queued, info->depth);
	printf("so far          %" PRIu64 " sent, %" PRIu64 " refused because it was full\n",
	       info->sent, info->refused);
	show_last(info);
	show_sets(info);
	show_actions(info);
	for (int i = 0; i < info->threads; i++)
		show_thread(info, &info->thread[i]);
}

int signals_show(const char *name, bool as_json)
{
	static struct ph_signal_info info;

	if (ph_signal_info(signals_pid(name), &info) != 0)
		return cli_fail_as(failures, name, errno);
	(as_json ? signals_json : show_process)(&info);
	return STATUS_DONE;
}

// ---- named ports ----

static void show_member(const struct ph_sigport_member *member)
{
	char program[SHOW_MAX], text[SIGNALS_TEXT_MAX];

	printf("member          pid %d (%s), for %s%s\n", member->pid,
	       show_program(program, member->pid), signals_set(member->set, 0, " ", text),
	       member->alive ? "" : "; gone, and struck off by the next who looks for it");
}

int port_show(const char *name, bool as_json)
{
	struct ph_sigport_info info;
	struct stat file;
	char text[SHOW_MAX];

	if (ph_sigport_info(name, &info) != 0 || !name_stat(NAMES_PORTS, name, &file))
		return cli_fail_as(port_failures, name, errno);
	if (as_json) {
		port_line_json(name, &file);
		return STATUS_DONE;
	}
	printf("name            %s\n", name);
	printf("owner           %s\n", show_user(text, file.st_uid));
	printf("mode            %03o\n", (unsigned)file.st_mode & 0777);
	printf("so far          %" PRIu64 " sent\n", info.sent);
	for (int i = 0; i < info.members; i++)
		show_member(&info.member[i]);
	if (info.members == 0)
		printf("member          none\n");
	return STATUS_DONE;
}
