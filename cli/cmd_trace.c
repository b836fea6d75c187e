// SPDX-License-Identifier: MIT
//
// cmd_trace.c - posthaste trace: what processes have done last, also those that are dead by now, as each has recorded it
// (docs/trace.md). trace_show.c prints; here it is chosen what.
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "cli.h"
#include "memory.h"
#include "names.h"
#include "recording.h"
#include "trace_show.h"

static const struct option options[] = {
	{"lines", required_argument, NULL, 'n'},
	{"follow", no_argument, NULL, 'f'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

enum { FOLLOW_LINES = 10, FOLLOW_NS = 100000000 };

struct wish {
	bool follow, json;
	uint64_t lines; // at most, the newest; 0 = all
	pid_t pid;      // of whom; 0 = of all
	const char *object;
	bool is_fifo;
	ino_t inode; // of that FIFO, or pipe
};

// ---- what is meant ----

static bool has_object(const char *argument)
{
	static const char *const prefixes[] = {NAMES_QUEUES, NAMES_SEMS, NAMES_SHM, NAMES_PORTS};
	char name[NAME_WHOLE_MAX];
	struct stat file;

	snprintf(name, sizeof name, "/%.*s", NAME_MAX, argument + (*argument == '/'));
	for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
		if (name_stat(prefixes[i], name, &file))
			return true;
	return false;
}

// A number that nothing has for a name is a process's. Whatever else it is may be gone by now, so anything is a name.
static void understand(struct wish *wish, const char *argument)
{
	struct stat st;
	uint64_t pid, inode;
	int end = 0;

	if (cli_parse_count(argument, 1, INT_MAX, &pid) && !has_object(argument)) {
		wish->pid = (pid_t)pid;
		return;
	}
	wish->object = argument;
	if (sscanf(argument, "%*[pifo]:[%" SCNu64 "]%n", &inode, &end) == 1 && argument[end] == '\0') {
		wish->is_fifo = true;
		wish->inode = (ino_t)inode;
	} else if (stat(argument, &st) == 0 && S_ISFIFO(st.st_mode)) {
		wish->is_fifo = true;
		wish->inode = st.st_ino;
	}
}

static bool is_wanted(const struct wish *wish, const struct recordings *all,
                      const struct recorded *e)
{
	char text[RECORDED_TEXT_MAX];

	if (!wish->object)
		return true;
	if (recorded_kind(e->op) == RECORD_OF_PIPE && wish->is_fifo)
		return e->key == ((uint64_t)wish->inode & RECORD_KEY_MASK);
	recorded_object(text, all, e);
	return strcmp(text + (*text == '/'), wish->object + (*wish->object == '/')) == 0 ||
	       strcmp(text, wish->object) == 0;
}

static void choose(const struct wish *wish, struct recordings *all)
{
	size_t kept = 0;

	for (size_t i = 0; i < all->entries; i++)
		if (is_wanted(wish, all, &all->entry[i]))
			all->entry[kept++] = all->entry[i];
	all->entries = kept;
}

static void warn_of(const struct recordings *all)
{
	if (all->damaged > 0)
		cli_warn(all->first_damaged,
		         "%zu recordings are damaged, or of another version, and not shown; remove with: "
		         "rm %s/%s",
		         all->damaged, all->directory, all->first_damaged);
	for (size_t i = 0; i < all->count; i++)
		if (all->one[i].unrecorded > 0)
			cli_warn(NULL, "pid %d had %u threads more than there was room to record",
			         (int)all->one[i].pid, all->one[i].unrecorded);
}

static int none_of(const struct wish *wish, const struct recordings *all)
{
	char pid[16];

	snprintf(pid, sizeof pid, "%d", (int)wish->pid);
	if (all->damaged > 0)
		return STATUS_REFUSED; // it is said
	if (all->others > 0)
		return cli_fail(STATUS_REFUSED, pid, "its recording is another user's");
	return cli_fail(
		STATUS_REFUSED, pid,
		"no recording: it has ended normally, or long ago, has not used the library yet, "
		"or runs with POSTHASTE_TRACE=0");
}

// ---- once ----

static void drop_oldest(struct recordings *all, uint64_t lines)
{
	if (lines == 0 || all->entries <= lines)
		return;
	memmove(all->entry, all->entry + (all->entries - lines), lines * sizeof *all->entry);
	all->entries = lines;
}

static int show_once(const struct wish *wish)
{
	struct recordings all;

	if (!recordings_read(&all, wish->pid))
		return STATUS_REFUSED;
	warn_of(&all);
	int status = STATUS_DONE;

	if (wish->pid != 0 && all.count == 0)
		status = none_of(wish, &all);
	choose(wish, &all);
	recordings_sort(&all);
	drop_oldest(&all, wish->lines);
	if (status == STATUS_DONE)
		trace_show(&all, wish->json, false);
	recordings_free(&all);
	return status;
}

// ---- as it goes on ----

struct seen {
	uint64_t id;
	uint32_t thread;
	uint64_t next;     // number of what comes
	int64_t asleep_ns; // since when, as it was said
};

struct seens {
	struct seen *one;
	size_t count;
};

static struct seen *seen_of(struct seens *seens, uint64_t id, uint32_t thread)
{
	for (size_t i = 0; i < seens->count; i++)
		if (seens->one[i].id == id && seens->one[i].thread == thread)
			return &seens->one[i];
	seens->one = memory_resize(seens->one, seens->count + 1, sizeof *seens->one);
	seens->one[seens->count] = (struct seen){.id = id, .thread = thread};
	return &seens->one[seens->count++];
}

static bool is_news(struct seens *seens, const struct recordings *all, const struct recorded *e)
{
	struct seen *const s = seen_of(seens, all->one[e->recording].id, e->thread);

	if (e->when == WHEN_SINCE) {
		const bool news = s->asleep_ns != e->at_ns;

		s->asleep_ns = e->at_ns;
		return news;
	}
	if (e->number < s->next)
		return false;
	if (s->next != 0 && e->number > s->next)
		cli_warn(NULL, "pid %d, thread %d: %" PRIu64 " operations were over before they were seen",
		         (int)all->one[e->recording].pid, (int)e->tid, e->number - s->next);
	s->next = e->number + 1;
	return true;
}

static void keep_news(struct seens *seens, struct recordings *all)
{
	size_t kept = 0;

	for (size_t i = 0; i < all->entries; i++)
		if (is_news(seens, all, &all->entry[i]))
			all->entry[kept++] = all->entry[i];
	all->entries = kept;
}

static bool has_ended(const struct recordings *all)
{
	return all->count == 0 || !all->one[0].lives;
}

// Every thread's entries are read in their order, so what is new is found before they are sorted.
static int follow(const struct wish *wish)
{
	const struct timespec nap = {0, FOLLOW_NS};
	struct seens seens = {0};
	bool first = true, over = false;

	while (!over) {
		struct recordings all;

		if (!recordings_read(&all, wish->pid))
			return STATUS_REFUSED;
		over = wish->pid != 0 && has_ended(&all);
		if (first)
			warn_of(&all);
		if (first && over && all.count == 0)
			return none_of(wish, &all);
		keep_news(&seens, &all);
		choose(wish, &all);
		recordings_sort(&all);
		if (first)
			drop_oldest(&all, wish->lines == 0 ? FOLLOW_LINES : wish->lines);
		trace_show(&all, wish->json, true);
		recordings_free(&all);
		if (fflush(stdout) != 0)
			break; // main says why
		first = false;
		if (!over)
			nanosleep(&nap, NULL);
	}
	free(seens.one);
	return STATUS_DONE;
}

static int run(int argc, char **argv)
{
	struct wish wish = {0};
	int opt;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":n:fjh", options, NULL)) != -1) {
		if (opt == 'f')
			wish.follow = true;
		else if (opt == 'j')
			wish.json = true;
		else if (opt != 'n')
			return cli_other_option(opt, argv);
		else if (!cli_parse_count(optarg, 1, UINT32_MAX, &wish.lines))
			return cli_usage_error("-n takes a number of lines, such as 20, and not \"%s\"",
			                       optarg);
	}
	if (argc - optind > 1)
		return cli_usage_error("one object or process at most");
	if (optind < argc)
		understand(&wish, argv[optind]);
	return wish.follow ? follow(&wish) : show_once(&wish);
}

const struct command cmd_trace = {
	.name = "trace",
	.arguments = "[OBJECT|PID] [-n N] [--follow] [--json]",
	.summary = "Show what processes have done last, also those that were killed.",
	.help =
		"  -n, --lines N   the newest N only\n"
		"  -f, --follow    and then what comes; with a PID until it ends\n"
		"      --json      one JSON object a line\n\n"
		"Every process records the last operations of each of its threads, 256 as a rule;\n"
		"POSTHASTE_TRACE=N in its environment is another number, 0 none. Those of OBJECT, of\n"
		"PID, or all. A killed process's recording stays until 32 more are there, or until\n"
		"posthaste doctor --fix.\n"
		"TIME is when the operation was over. Operations that follow each other within\n"
		"microseconds share a time: those between two have ~ before it, those after the last\n"
		"> (it was then or later), those before the first <. RESULT is what the call returned,\n"
		"or why it failed; \"waits\" of a thread that is asleep in it, \"died\" of one that ended\n"
		"there. WAITED is how much of the operation was sleep: in the kernel's part of a pipe\n"
		"and in waits for signals by its tick, of some milliseconds.\n",
	.run = run,
};
