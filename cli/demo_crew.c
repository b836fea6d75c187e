// SPDX-License-Identifier: MIT
//
// demo_crew.c - starts the processes of a run and ends them. They die with the parent, whatever ends
// it, and the queues and the pipe have no
// names: nothing can stay behind.
#include "demo_crew.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <posthaste/pipe.h>
#include <posthaste/signal.h>

#include "demo_signals.h"
#include "memory.h"

enum { HOME_PATIENCE_MS = 10000 };

// A child in the parent's place: no handlers of his, and no life after him.
pid_t crew_fork(void)
{
	const pid_t parent = getpid();

	fflush(NULL);
	const pid_t pid = fork();

	if (pid == 0) {
		signal(SIGINT, SIG_DFL);
		signal(SIGTERM, SIG_DFL);
		signal(SIGHUP, SIG_DFL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

static void close_feed(struct crew *crew)
{
	for (int i = 0; i < 2; i++) {
		if (crew->feed[i] >= 0)
			ph_close(crew->feed[i]);
		crew->feed[i] = -1;
	}
}

static int start_worker(struct crew *crew, int i)
{
	const pid_t pid = crew_fork();

	if (pid == 0) {
		close_feed(crew);
		crew_work(crew, (uint32_t)i);
	}
	crew->worker[i] = pid > 0 ? pid : 0;
	return pid > 0 ? 0 : errno;
}

static int start_processes(struct crew *crew)
{
	int err = 0;

	crew->reader = crew_fork();
	if (crew->reader == 0)
		crew_read(crew);
	if (crew->reader < 0)
		return errno;
	crew->sorter = crew_fork();
	if (crew->sorter == 0)
		crew_sort(crew);
	if (crew->sorter < 0)
		return errno;
	for (int i = 0; i < crew->workers && err == 0; i++)
		err = start_worker(crew, i);
	close_feed(crew);
	return err;
}

static int open_queue(const struct crew *crew, struct channel *channel, const char *what,
                      long depth, long message_bytes)
{
	char name[64];

	snprintf(name, sizeof name, "/posthaste-demo-%ld-%s", (long)getpid(), what);
	return crew->transport->open(channel, name, depth, message_bytes);
}

// A word takes no more of a draft than DRAFT_PER_TEXT times its text.
enum { DRAFT_PER_TEXT = 8 };

static int open_channels(struct crew *crew, long depth, long message_bytes)
{
	const size_t draft_bytes = crew_chunk_limit((size_t)message_bytes) * DRAFT_PER_TEXT + 64;
	int err = open_queue(crew, &crew->jobs, "jobs", depth, message_bytes);

	if (err != 0)
		return err;
	err = open_queue(crew, &crew->results, "results", depth, sizeof(struct result));
	if (err == 0) {
		err = word_table_make(&crew->table, crew->transport, crew->corpus, draft_bytes);
		if (err == 0 && crew->transport->pipe(crew->feed) != 0) {
			err = errno;
			word_table_drop(&crew->table);
		}
		if (err != 0)
			crew->transport->close(&crew->results);
	}
	if (err != 0)
		crew->transport->close(&crew->jobs);
	return err;
}

int crew_start(struct crew *crew, long depth, long message_bytes)
{
	crew->reader = crew->sorter = 0;
	crew->parent = getpid();
	crew->feed[0] = crew->feed[1] = -1;
	memset(crew->worker, 0, sizeof crew->worker);
	int err = open_channels(crew, depth, message_bytes);

	if (err != 0)
		return err;
	crew->office =
		mmap(NULL, sizeof *crew->office, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (crew->office == MAP_FAILED)
		memory_exhausted();
	crew->office->halt = crew->halt_at_once;
	err = start_processes(crew);
	if (err != 0)
		crew_end(crew);
	return err;
}

// Asks the living workers to go home. One that cannot be asked is killed below.
static void send_home(struct crew *crew)
{
	const struct job stop = {.id = JOB_STOP};

	for (int i = 0; i < crew->workers; i++)
		if (crew->worker[i] > 0 && crew->transport->send(&crew->jobs, (const char *)&stop,
		                                                 sizeof stop, 0, HOME_PATIENCE_MS) != 0)
			return;
}

void crew_buried(const struct crew *crew, pid_t pid)
{
	if (crew->signals)
		demo_signals_forget(pid);
}

static bool has_ended(pid_t pid)
{
	return waitpid(pid, NULL, WNOHANG) == pid;
}

static void wait_or_kill(const struct crew *crew, pid_t *pid, int *patience_ms)
{
	static const struct timespec one_ms = {.tv_nsec = 1000000};

	if (*pid <= 0)
		return;
	for (; !has_ended(*pid); --*patience_ms) {
		if (*patience_ms <= 0) {
			kill(*pid, SIGKILL);
			while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
				;
			break;
		}
		nanosleep(&one_ms, NULL);
	}
	crew_buried(crew, *pid);
	*pid = 0;
}

// Who was about to have an accident goes on instead. The sorter is asked first: it is not to wonder why the reader ends.
void crew_dismiss(struct crew *crew)
{
	if (crew->sorter > 0)
		ph_kill(crew->sorter, SIGTERM);
	for (int i = 0; i < crew->workers; i++) {
		if (crew->worker[i] <= 0)
			continue;
		ph_kill(crew->worker[i], SIGTERM);
		ph_kill(crew->worker[i], SIGCONT);
	}
	if (crew->reader > 0)
		ph_kill(crew->reader, SIGTERM);
}

static bool is_there(const struct crew *crew, pid_t *pid)
{
	if (*pid > 0 && has_ended(*pid)) {
		crew_buried(crew, *pid);
		*pid = 0;
	}
	return *pid > 0;
}

bool crew_is_there(struct crew *crew)
{
	bool any = is_there(crew, &crew->reader);

	any |= is_there(crew, &crew->sorter);
	for (int i = 0; i < crew->workers; i++)
		any |= is_there(crew, &crew->worker[i]);
	return any;
}

static void end_processes(struct crew *crew, int patience_ms)
{
	wait_or_kill(crew, &crew->reader, &patience_ms);
	wait_or_kill(crew, &crew->sorter, &patience_ms);
	for (int i = 0; i < crew->workers; i++)
		wait_or_kill(crew, &crew->worker[i], &patience_ms);
}

static void release(struct crew *crew)
{
	close_feed(crew);
	crew->told = 0;
	for (int i = 0; i < crew->workers; i++)
		crew->told += crew->office->desk[i].told;
	munmap(crew->office, sizeof *crew->office);
	word_table_drop(&crew->table);
	crew->transport->close(&crew->jobs);
	crew->transport->close(&crew->results);
}

void crew_end(struct crew *crew)
{
	end_processes(crew, 0);
	release(crew);
}

void crew_finish(struct crew *crew)
{
	send_home(crew);
	end_processes(crew, HOME_PATIENCE_MS);
	release(crew);
}
