// SPDX-License-Identifier: MIT
//
// tests/kill/mq_queue.c - see mq_queue.h.
#include "mq_queue.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

mqd_t q = -1;
size_t q_size;
size_t q_depth;
char victim_message[LARGE];

static unsigned char seen[IDS]; // taken by the survivor so far

static const struct timespec passed = {.tv_sec = 1};

// Every byte follows from the id and its place, so that no two messages share a stretch.
static char byte_at(uint32_t id, size_t i)
{
	return (char)((id * 31 + i * 7 + (i >> 8)) & 0xff);
}

void fill_message(char *data, size_t size, uint32_t id)
{
	memcpy(data, &id, sizeof(id));
	for (size_t i = sizeof(id); i < size; i++)
		data[i] = byte_at(id, i);
}

void make_queue(size_t depth, size_t size)
{
	struct mq_attr attr = {.mq_maxmsg = (long)depth, .mq_msgsize = (long)size};

	ph_set_spin(0);
	q_depth = depth;
	q_size = size;
	q = ph_mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	KILL_CHECK(q != -1, "cannot make the queue: %s", strerror(errno));
	fill_message(victim_message, size, VICTIMS);
}

uint32_t read_message(const char *data, size_t size)
{
	uint32_t id;

	KILL_CHECK(size == q_size, "a message of %zu bytes instead of %zu", size, q_size);
	memcpy(&id, data, sizeof(id));
	KILL_CHECK(id > 0 && id < IDS, "a message with the id %u", id);
	for (size_t i = sizeof(id); i < size; i++)
		KILL_CHECK(data[i] == byte_at(id, i), "message %u is torn at byte %zu", id, i);
	return id;
}

bool try_put(uint32_t id, unsigned prio)
{
	char data[LARGE];

	fill_message(data, q_size, id);
	const int r = ph_mq_timedsend(q, data, q_size, prio, &passed);
	KILL_CHECK(r == 0 || errno == ETIMEDOUT, "send fails: %s", strerror(errno));
	return r == 0;
}

void put(uint32_t id, unsigned prio)
{
	KILL_CHECK(try_put(id, prio), "no room for message %u", id);
}

void put_all(uint32_t first, const int *prios)
{
	for (int i = 0; prios[i] >= 0; i++)
		put(first + (uint32_t)i, (unsigned)prios[i]);
}

uint32_t take(unsigned *prio)
{
	char data[LARGE];
	const ssize_t len = ph_mq_timedreceive(q, data, sizeof(data), prio, &passed);

	KILL_CHECK(len >= 0 || errno == ETIMEDOUT, "receive fails: %s", strerror(errno));
	const uint32_t id = len < 0 ? 0 : read_message(data, (size_t)len);
	KILL_CHECK(!id || !seen[id], "message %u twice", id);
	seen[id] = id != 0;
	return id;
}

void send_sleeping(uint32_t id, unsigned prio)
{
	char data[LARGE];

	fill_message(data, q_size, id);
	KILL_CHECK(ph_mq_send(q, data, q_size, prio) == 0, "a sleeping send fails: %s",
	           strerror(errno));
}

uint32_t receive_sleeping(void)
{
	char data[LARGE];
	const ssize_t len = ph_mq_receive(q, data, sizeof(data), NULL);

	KILL_CHECK(len >= 0, "a sleeping receive fails: %s", strerror(errno));
	return read_message(data, (size_t)len);
}

void victim_send(unsigned prio)
{
	ph_mq_send(q, victim_message, q_size, prio);
}

void victim_receive(void)
{
	ph_mq_receive(q, victim_message, q_size, NULL);
}

static bool in_list(const uint32_t *list, uint32_t id)
{
	for (; list && *list; list++)
		if (*list == id)
			return true;
	return false;
}

static void expect_sequence(const uint32_t *must, const uint32_t *may, bool in_order)
{
	unsigned last_prio = PH_MQ_PRIO_MAX;
	uint32_t last_id = 0;
	unsigned prio = 0;
	uint32_t id;

	while ((id = take(&prio))) {
		KILL_CHECK(in_list(must, id) || in_list(may, id), "message %u from nowhere", id);
		KILL_CHECK(!in_order || prio < last_prio || (prio == last_prio && id > last_id),
		           "message %u (priority %u) after %u (priority %u)", id, prio, last_id, last_prio);
		last_prio = prio;
		last_id = id;
	}
}

static bool expect_set(const uint32_t *must, const uint32_t *may, bool in_order)
{
	kill_note("emptying the queue");
	expect_sequence(must, may, in_order);
	for (; *must; must++)
		KILL_CHECK(seen[*must], "message %u is lost", *must);
	const bool there = may && seen[*may];
	memset(seen, 0, sizeof(seen));
	return there;
}

bool expect_messages(const uint32_t *must, const uint32_t *may)
{
	return expect_set(must, may, true);
}

bool expect_unordered(const uint32_t *must, uint32_t may)
{
	const uint32_t list[2] = {may, 0};

	return expect_set(must, list, false);
}

bool expect_only(const uint32_t *must, uint32_t may)
{
	const uint32_t list[2] = {may, 0};

	return expect_messages(must, list);
}

long count_messages(void)
{
	struct mq_attr attr;

	KILL_CHECK(ph_mq_getattr(q, &attr) == 0, "getattr fails: %s", strerror(errno));
	return attr.mq_curmsgs;
}

static void fill(void)
{
	size_t n = 0;

	kill_note("filling the queue");
	while (n <= q_depth && try_put((uint32_t)n + 1, n & 1))
		n++;
	KILL_CHECK(n == q_depth, "room for %zu messages instead of %zu", n, q_depth);
	KILL_CHECK(count_messages() == (long)n, "full, but counts %ld", count_messages());
}

static void empty(void)
{
	kill_note("emptying the full queue");
	for (size_t n = 0; n < q_depth; n++)
		KILL_CHECK(take(NULL) != 0, "empty after %zu of %zu messages", n, q_depth);
	KILL_CHECK(take(NULL) == 0, "more messages come out than went in");
	memset(seen, 0, sizeof(seen));
	KILL_CHECK(count_messages() == 0, "empty, but counts %ld", count_messages());
}

// Write to each, so that a room which is a message's too shows.
static void scribble_on_all_spares(void)
{
	struct ph_mq_info info;
	struct ph_mq_loan loans[17];
	size_t n = 0;

	kill_note("reserving every spare");
	KILL_CHECK(ph_mq_info(NAME, &info) == 0, "info fails: %s", strerror(errno));
	KILL_CHECK(!info.damaged, "info says: damaged");
	for (; n < 17 && ph_mq_reserve(q, &loans[n]) == 0; n++)
		memset(loans[n].data, 0xee, q_size);
	KILL_CHECK(n == info.spares, "%zu of %lu spares can be reserved", n,
	           (unsigned long)info.spares);
	while (n-- > 0)
		KILL_CHECK(ph_mq_cancel(q, &loans[n]) == 0, "cancel fails: %s", strerror(errno));
}

void expect_capacity(void)
{
	fill();
	scribble_on_all_spares();
	empty();
	fill();
	empty();
}

static bool sleeps_now(pid_t pid)
{
	char path[64];
	char state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		fclose(f);
	}
	return state == 'S';
}

static void pause_a_little(void)
{
	const struct timespec moment = {.tv_nsec = 50000};

	nanosleep(&moment, NULL);
}

static size_t count_ended(const pid_t *parties, size_t n)
{
	size_t ended = 0;

	for (size_t i = 0; i < n; i++)
		ended += kill_has_ended(parties[i]);
	return ended;
}

static bool others_sleep(const pid_t *parties, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!sleeps_now(parties[i]) && !kill_has_ended(parties[i]))
			return false;
	return true;
}

// The counts need not fit together while a dead process holds a lock: a queue that seems more than
// full is full.
static bool may_sleep(const struct ph_mq_info *info, size_t quiet)
{
	const uint64_t inside = info->curmsgs + info->borrowed;

	return quiet == 0 ? inside == 0 : inside >= quiet;
}

size_t parties_through(const pid_t *parties, size_t n, size_t quiet, const char *who)
{
	char note[100];
	struct ph_mq_info info;

	snprintf(note, sizeof(note), "%s should go on and sleeps", who);
	kill_note(note);
	while (count_ended(parties, n) < n) {
		KILL_CHECK(ph_mq_info(NAME, &info) == 0, "info fails: %s", strerror(errno));
		if (may_sleep(&info, quiet) && others_sleep(parties, n))
			break;
		pause_a_little();
	}
	return count_ended(parties, n);
}

bool party_got_through(pid_t party, size_t quiet, const char *who)
{
	if (parties_through(&party, 1, quiet, who) == 0)
		return false;
	kill_join(party, who);
	return true;
}

unsigned count_names(void)
{
	DIR *dir = opendir(kill_scratch());
	struct dirent *e;
	unsigned n = 0;

	while (dir && (e = readdir(dir)))
		n += e->d_name[0] != '.' || (e->d_name[1] && e->d_name[1] != '.');
	if (dir)
		closedir(dir);
	return n;
}
