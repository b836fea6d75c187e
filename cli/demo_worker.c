// SPDX-License-Identifier: MIT
//
// demo_worker.c - what the workers do.
//
// A worker finishes a chunk in this order: count, enter the counts into the table, send the result, let go of the
// chunk. Killed before the last step it leaves a chunk that is delivered again, so a chunk may be counted twice
// and is never forgotten; the table takes it once, and the parent drops the second result by the chunk's id.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "demo_crew.h"
#include "demo_signals.h"
#include "memory.h"

size_t crew_chunk_limit(size_t message_bytes)
{
	return message_bytes - sizeof(struct job);
}

int crew_send_job(struct crew *crew, const struct chunk *chunk, char *message, int timeout_ms)
{
	const struct job head = {.id = chunk->id};

	memcpy(message, &head, sizeof head);
	memcpy(message + sizeof head, chunk->text, chunk->size);
	return crew->transport->send(&crew->jobs, message, sizeof head + chunk->size, chunk->prio,
	                             timeout_ms);
}

_Noreturn void crew_give_up(const char *who, int err)
{
	cli_fail(STATUS_REFUSED, who, "%s; the run is given up", strerror(err));
	_exit(STATUS_REFUSED);
}

struct workplace {
	struct crew *crew;
	uint32_t worker;
	struct words words;
	uint32_t untold; // bytes that the parent has not been told of
};

// The accident that the parent has ordered happens to whoever comes here first.
static void maybe_halt(void *arg)
{
	struct office *const office = arg;

	if (office->halt && atomic_exchange(&office->halt, 0) == 1)
		raise(SIGSTOP);
}

static void note_return(struct workplace *place, int found)
{
	struct office *const office = place->crew->office;
	struct timespec now;

	if (!(found & TABLE_UNIT_RETURNED))
		return;
	clock_gettime(CLOCK_MONOTONIC, &now);
	office->told_s = (double)now.tv_sec + (double)now.tv_nsec / 1e9;
	office->told_half = (found & TABLE_FINISHED) != 0;
	office->told = place->worker + 1;
}

// With a unit in hand that would be gone with it, nobody is to be killed.
static int enter(struct workplace *place, uint32_t id)
{
	struct crew *const crew = place->crew;
	const struct counts counts = {
		.chunk = id,
		.words = &place->words,
		.halfway = crew->transport->redelivers ? maybe_halt : NULL,
		.arg = crew->office,
	};
	int found;
	int err;

	do // who is asked to leave finishes this
		err = word_table_enter(&crew->table, &counts, PEER_PATIENCE_MS, &found);
	while (err == EINTR);
	note_return(place, found);
	return err;
}

// What finds no room in the parent's queue is told with the next one.
static void tell_of(struct workplace *place, uint32_t bytes)
{
	struct desk *const desk = &place->crew->office->desk[place->worker];

	place->untold += bytes;
	if (!place->crew->signals || !demo_signals_tell(place->crew->parent, place->untold))
		return;
	desk->told++;
	place->untold = 0;
}

static int report(struct workplace *place, const struct result *result)
{
	struct crew *const crew = place->crew;
	int err;

	tell_of(place, result->bytes);
	do
		err = crew->transport->send(&crew->results, (const char *)result, sizeof *result, 0,
		                            PEER_PATIENCE_MS);
	while (err == EINTR);
	return err;
}

static int work_on(struct workplace *place, const struct delivery *delivery, uint32_t id)
{
	struct crew *const crew = place->crew;
	struct desk *desk = &crew->office->desk[place->worker];
	const size_t bytes = delivery->size - sizeof(struct job);
	const struct result result = {
		.kind = RESULT_COUNTS, .id = id, .bytes = (uint32_t)bytes, .worker = place->worker};

	desk->counting = id + 1;
	words_clear(&place->words);
	words_count(&place->words, delivery->data + sizeof(struct job), bytes);
	if (!crew->transport->redelivers)
		maybe_halt(crew->office);
	const int err = enter(place, id);

	desk->counting = 0;
	return err != 0 ? err : report(place, &result);
}

_Noreturn void crew_work(struct crew *crew, uint32_t worker)
{
	struct workplace place = {.crew = crew, .worker = worker};
	struct delivery delivery;
	struct job head = {.id = 0};
	int err;

	if (crew->signals)
		demo_signals_mind();
	words_init(&place.words);
	do {
		err = crew->transport->take(&crew->jobs, &delivery, PEER_PATIENCE_MS);
		if (err == EINTR && demo_signals_leaving())
			_exit(STATUS_DONE);
		if (err != 0)
			break;
		memcpy(&head, delivery.data, sizeof head);
		if (head.id != JOB_STOP)
			err = work_on(&place, &delivery, head.id);
		if (err == 0)
			err = crew->transport->done(&crew->jobs, &delivery);
	} while (err == 0 && head.id != JOB_STOP && !demo_signals_leaving());
	if (err != 0)
		crew_give_up("worker", err);
	_exit(STATUS_DONE);
}
