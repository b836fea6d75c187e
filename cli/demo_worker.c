// SPDX-License-Identifier: MIT
//
// demo_worker.c - what the workers do, and how counts travel in a message.
//
// A worker finishes a chunk in this order: count, send the result, let go of the chunk. Killed before
// the last step it leaves a chunk that is counted again, so a chunk may be counted twice and is never
// forgotten; the parent drops the second result by the chunk's id.
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "demo_crew.h"
#include "memory.h"

// A word of n letters takes n + 1 bytes of text at least, with what separates it, and n + 3 of a
// result: at most twice as much.
enum { ENTRY_HEAD = 3 };

size_t crew_chunk_limit(size_t message_bytes)
{
	return (message_bytes - sizeof(struct result)) / 2 - 2;
}

static size_t pack(const struct words *words, const struct result *head, char *message)
{
	char *p = message + sizeof *head;

	memcpy(message, head, sizeof *head);
	for (size_t i = 0; i < words->slots; i++) {
		const struct word *word = &words->slot[i];

		if (word->count == 0)
			continue;
		p[0] = (char)word->length;
		p[1] = (char)(word->count & 0xff);
		p[2] = (char)(word->count >> 8);
		memcpy(p + ENTRY_HEAD, words->arena + word->at, word->length);
		p += ENTRY_HEAD + word->length;
	}
	return (size_t)(p - message);
}

bool crew_merge(struct words *words, const struct delivery *delivery)
{
	const unsigned char *p = (const unsigned char *)delivery->data + sizeof(struct result);
	size_t left = delivery->size - sizeof(struct result);

	while (left > 0) {
		if (left < ENTRY_HEAD || left - ENTRY_HEAD < p[0])
			return false;
		const size_t size = ENTRY_HEAD + p[0];

		words_add(words, (const char *)p + ENTRY_HEAD, p[0], p[1] | (uint64_t)p[2] << 8);
		p += size;
		left -= size;
	}
	return true;
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
	char *message;
};

// The accident that the parent has ordered happens to whoever comes here first.
static void maybe_halt(struct office *office)
{
	if (office->halt && atomic_exchange(&office->halt, 0) == 1)
		raise(SIGSTOP);
}

static int work_on(struct workplace *place, const struct delivery *delivery, uint32_t id)
{
	struct desk *desk = &place->crew->office->desk[place->worker];
	const size_t bytes = delivery->size - sizeof(struct job);
	const struct result head = {
		.kind = RESULT_COUNTS, .id = id, .bytes = (uint32_t)bytes, .worker = place->worker};

	desk->counting = id + 1;
	words_clear(&place->words);
	words_count(&place->words, delivery->data + sizeof(struct job), bytes);
	maybe_halt(place->crew->office);
	const size_t size = pack(&place->words, &head, place->message);

	desk->counting = 0;
	return place->crew->transport->send(&place->crew->results, place->message, size, 0,
	                                    PEER_PATIENCE_MS);
}

_Noreturn void crew_work(struct crew *crew, uint32_t worker)
{
	struct workplace place = {.crew = crew, .worker = worker};
	struct delivery delivery;
	struct job head = {.id = 0};
	int err;

	place.message = memory_zeroed(crew->results.size, 1);
	words_init(&place.words);
	do {
		err = crew->transport->take(&crew->jobs, &delivery, PEER_PATIENCE_MS);
		if (err != 0)
			break;
		memcpy(&head, delivery.data, sizeof head);
		if (head.id != JOB_STOP)
			err = work_on(&place, &delivery, head.id);
		if (err == 0)
			err = crew->transport->done(&crew->jobs, &delivery);
	} while (err == 0 && head.id != JOB_STOP);
	if (err != 0)
		crew_give_up("worker", err);
	_exit(STATUS_DONE);
}
