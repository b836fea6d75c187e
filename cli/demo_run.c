// SPDX-License-Identifier: MIT
//
// demo_run.c - the parent's side of a run. It counts each chunk once by its id, whatever is delivered
// how often, and waits in short slices, so that it notices a dead process, a silence and a request to
// stop.
#include "demo_run.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "demo_crew.h"
#include "demo_signals.h"
#include "memory.h"
#include "progress.h"
#include "stop.h"

enum {
	SLICE_MS = 50,
	RETRY_AFTER_MS = 200, // a queue that forgets: so much silence means that something was lost
	HANG_AFTER_MS = 20000,
	LEAVE_SLICE_MS = 5,
	LEAVE_WITHIN_MS = 10000,
};

// With less text than this, the accident does not wait for half of it: that may be over too soon.
#define HALFWAY_FROM (UINT64_C(1) << 20)

struct run {
	const struct demo_plan *plan;
	struct demo_outcome *outcome;
	struct crew crew;
	bool *is_counted; // by chunk id
	uint32_t room;    // ids that is_counted holds
	bool all_queued;  // outcome->chunks is final
	bool accident_ordered;
	bool crew_failed; // a worker ended that should not have
	int silence_ms, retry_at_ms;
	double started, killed_at;
};

static double now_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool fail(struct run *run, const char *what, int err)
{
	snprintf(run->outcome->trouble, sizeof run->outcome->trouble, "%s%s%s", what, err ? ": " : "",
	         err ? strerror(err) : "");
	return false;
}

static bool was_counted(const struct run *run, uint32_t id)
{
	return id < run->room && run->is_counted[id];
}

static void mark_counted(struct run *run, uint32_t id)
{
	while (id >= run->room) {
		const uint32_t room = run->room ? run->room * 2 : 1024;

		run->is_counted = memory_resize(run->is_counted, room, sizeof *run->is_counted);
		memset(run->is_counted + run->room, 0, (room - run->room) * sizeof *run->is_counted);
		run->room = room;
	}
	run->is_counted[id] = true;
}

static void note_recovery(struct run *run, const struct result *result)
{
	struct accident *accident = &run->outcome->accident;

	if (!accident->happened || accident->recovered || result->id != accident->chunk)
		return;
	accident->recovered = true;
	accident->recovered_by = (int)result->worker;
	accident->recovery_ms = (now_seconds() - run->killed_at) * 1e3;
}

// What a worker has noted down when the unit of the killed one came to it.
static void note_return(struct run *run)
{
	struct accident *accident = &run->outcome->accident;
	const struct office *office = run->crew.office;

	if (!accident->happened || office->told == 0)
		return;
	accident->unit_returned = true;
	accident->unit_to = (int)office->told - 1;
	accident->unit_half = office->told_half;
	accident->unit_ms = (office->told_s - run->killed_at) * 1e3;
}

static bool account(struct run *run, const struct delivery *delivery)
{
	struct demo_outcome *outcome = run->outcome;
	struct result result;

	if (delivery->size < sizeof result)
		return fail(run, "a result is cut off", 0);
	memcpy(&result, delivery->data, sizeof result);
	if (result.kind == RESULT_ALL_QUEUED) {
		outcome->chunks = result.id;
		run->all_queued = true;
		return true;
	}
	if (was_counted(run, result.id)) {
		outcome->duplicates++;
		return true;
	}
	mark_counted(run, result.id);
	note_recovery(run, &result);
	outcome->counted++;
	outcome->bytes += result.bytes;
	return true;
}

static void kill_worker(struct run *run, int i)
{
	const pid_t pid = run->crew.worker[i];

	run->killed_at = now_seconds();
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	crew_buried(&run->crew, pid);
	run->crew.worker[i] = 0;
	run->outcome->accident = (struct accident){
		.happened = true,
		.worker = i,
		.pid = pid,
		.chunk = run->crew.office->desk[i].counting - 1,
		.at = (double)run->outcome->bytes / (double)run->plan->corpus->bytes,
	};
}

// Kills the worker that has stopped in the middle of a chunk, if one has by now.
static void kill_the_halted(struct run *run)
{
	for (int i = 0; i < run->plan->workers; i++) {
		int status;

		if (run->crew.worker[i] <= 0 ||
		    waitpid(run->crew.worker[i], &status, WNOHANG | WUNTRACED) <= 0)
			continue;
		if (WIFSTOPPED(status)) {
			kill_worker(run, i);
			return;
		}
		crew_buried(&run->crew, run->crew.worker[i]);
		run->crew.worker[i] = 0;
		run->crew_failed = true;
	}
}

// When half of the text is counted, the next worker that is found at work is to stop there.
static void maybe_have_an_accident(struct run *run)
{
	if (!run->plan->kill_one || run->outcome->accident.happened || run->plan->workers < 2)
		return;
	if (run->accident_ordered) {
		kill_the_halted(run);
	} else if (run->outcome->bytes >= run->plan->corpus->bytes / 2) {
		run->crew.office->halt = 1;
		run->accident_ordered = true;
	}
}

// Queues the chunks again whose results are missing: the corpus is cut once more, in the same way.
static int requeue_missing(struct run *run)
{
	char *message = memory_zeroed((size_t)run->plan->message_bytes, 1);
	struct cutter cutter;
	struct chunk chunk;
	int err = 0;

	cutter_begin(&cutter, run->plan->corpus, crew_chunk_limit((size_t)run->plan->message_bytes));
	while (err == 0 && cutter_next(&cutter, &chunk)) {
		if (was_counted(run, chunk.id))
			continue;
		err = crew_send_job(&run->crew, &chunk, message, SLICE_MS);
		run->outcome->requeued += err == 0;
	}
	cutter_end(&cutter);
	free(message);
	return err == ETIMEDOUT ? 0 : err; // the rest at the next silence
}

// Or is still at it.
static bool ended_well(const struct crew *crew, pid_t *pid)
{
	int status;

	if (*pid <= 0 || waitpid(*pid, &status, WNOHANG) != *pid)
		return true;
	crew_buried(crew, *pid);
	*pid = 0;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// A process that ended before the work was done has failed, unless we killed it.
static bool crew_is_well(struct run *run)
{
	struct crew *crew = &run->crew;
	int status;

	if (!ended_well(crew, &crew->reader))
		return fail(run, "the reader ended early", 0);
	if (!ended_well(crew, &crew->sorter))
		return fail(run, "the sorter ended early", 0);
	for (int i = 0; i < crew->workers; i++) {
		if (crew->worker[i] <= 0 || waitpid(crew->worker[i], &status, WNOHANG) <= 0)
			continue;
		crew_buried(crew, crew->worker[i]);
		crew->worker[i] = 0;
		run->crew_failed = true;
	}
	return !run->crew_failed || fail(run, "a worker ended early", 0);
}

// Shorter while a worker is about to stop: it may be the last one at work.
static int slice_ms(const struct run *run)
{
	return run->accident_ordered && !run->outcome->accident.happened ? 1 : SLICE_MS;
}

static bool on_silence(struct run *run)
{
	run->silence_ms += slice_ms(run);
	if (!crew_is_well(run))
		return false;
	if (run->silence_ms >= HANG_AFTER_MS)
		return fail(run, "no result came any more", 0);
	if (run->plan->transport->redelivers || !run->all_queued || run->silence_ms < run->retry_at_ms)
		return true;
	run->retry_at_ms = run->silence_ms + RETRY_AFTER_MS;
	const int err = requeue_missing(run);

	return err == 0 || fail(run, "chunks cannot be queued again", err);
}

// Chunks that nobody has counted stand in the queue: those of the dead, too.
static void count_the_left(struct run *run)
{
	const struct transport *transport = run->plan->transport;
	struct delivery delivery;
	struct job head;

	while (transport->take(&run->crew.jobs, &delivery, 0) == 0) {
		memcpy(&head, delivery.data, sizeof head);
		run->outcome->left += head.id != JOB_STOP && !was_counted(run, head.id);
		transport->done(&run->crew.jobs, &delivery);
	}
}

// Everybody finishes what he has in hand, and what they have done is accounted for.
static void let_all_leave(struct run *run)
{
	const struct transport *transport = run->plan->transport;
	struct delivery delivery;
	bool more = true;

	crew_dismiss(&run->crew);
	for (int waited_ms = 0; crew_is_there(&run->crew) || more;) {
		more = transport->take(&run->crew.results, &delivery, LEAVE_SLICE_MS) == 0;
		if (more && (!account(run, &delivery) || transport->done(&run->crew.results, &delivery)))
			return;
		waited_ms += more ? 0 : LEAVE_SLICE_MS;
		if (waited_ms >= LEAVE_WITHIN_MS)
			break;
	}
	count_the_left(run);
	if (!run->all_queued)
		run->outcome->chunks = run->outcome->counted + run->outcome->left;
}

static bool stop(struct run *run)
{
	run->outcome->stopped = stop_signal();
	if (run->plan->signals)
		let_all_leave(run);
	return fail(run, "stopped", 0);
}

static bool collect_one(struct run *run)
{
	const struct transport *transport = run->plan->transport;
	struct delivery delivery;
	const int err = transport->take(&run->crew.results, &delivery, slice_ms(run));

	if (stop_asked() && err != 0)
		return stop(run);
	if (err == ETIMEDOUT)
		return on_silence(run);
	if (err == EINTR)
		return true;
	if (err != 0)
		return fail(run, "results cannot be received", err);
	run->silence_ms = 0;
	run->retry_at_ms = RETRY_AFTER_MS;
	if (!account(run, &delivery))
		return false;
	const int done = transport->done(&run->crew.results, &delivery);

	if (done != 0)
		return fail(run, "a result cannot be released", done);
	return !stop_asked() || stop(run);
}

static bool collect(struct run *run)
{
	while (!run->all_queued || run->outcome->counted < run->outcome->chunks) {
		if (!collect_one(run))
			return false;
		maybe_have_an_accident(run);
		if (!run->plan->signals)
			progress_at(run->outcome->bytes);
	}
	return true;
}

// Processor time and switches of this process and of its ended children.
static void read_usage(double *cpu_seconds, uint64_t *switches)
{
	static const int who[] = {RUSAGE_SELF, RUSAGE_CHILDREN};

	*cpu_seconds = 0;
	*switches = 0;
	for (size_t i = 0; i < sizeof who / sizeof *who; i++) {
		struct rusage usage;

		getrusage(who[i], &usage);
		*cpu_seconds += (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
		                (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
		*switches += (uint64_t)usage.ru_nvcsw + (uint64_t)usage.ru_nivcsw;
	}
}

// The processes come, do all the work, or stop, and go.
static bool run_all(struct run *run)
{
	const struct demo_plan *const plan = run->plan;
	struct demo_outcome *const outcome = run->outcome;
	const int err = crew_start(&run->crew, plan->depth, plan->message_bytes);

	if (err == EMFILE && plan->transport == &transport_kernel)
		return fail(run, "more than the kernel grants this user; raise it with: ulimit -q", 0);
	if (err != 0)
		return fail(run, "queues, pipe or processes cannot be made", err);
	const bool well = collect(run);

	outcome->seconds = now_seconds() - run->started;
	outcome->fed = run->crew.office->fed;
	outcome->fed_by_ring = run->crew.office->fed_by_ring;
	if (well)
		word_table_read(&run->crew.table, &outcome->words);
	note_return(run);
	(well ? crew_finish : crew_end)(&run->crew);
	outcome->told = run->crew.told;
	return well;
}

static void prepare(struct run *run)
{
	const struct demo_plan *const plan = run->plan;

	words_init(&run->outcome->words);
	run->crew.transport = plan->transport;
	run->crew.corpus = plan->corpus;
	run->crew.workers = plan->workers;
	run->crew.signals = plan->signals;
	run->crew.halt_at_once =
		plan->kill_one && plan->workers >= 2 && plan->corpus->bytes < HALFWAY_FROM;
	run->accident_ordered = run->crew.halt_at_once;
}

bool demo_run(const struct demo_plan *plan, struct demo_outcome *outcome)
{
	struct run run = {.plan = plan, .outcome = outcome, .retry_at_ms = RETRY_AFTER_MS};
	double cpu_before;
	uint64_t switches_before;

	*outcome = (struct demo_outcome){.trouble = ""};
	prepare(&run);
	if (plan->signals)
		demo_signals_begin();
	read_usage(&cpu_before, &switches_before);
	run.started = now_seconds();
	const bool well = run_all(&run);

	if (plan->signals) {
		outcome->handled = demo_signals_told().signals;
		demo_signals_end();
	}
	read_usage(&outcome->cpu_seconds, &outcome->switches);
	outcome->cpu_seconds -= cpu_before;
	outcome->switches -= switches_before;
	free(run.is_counted);
	return well;
}
