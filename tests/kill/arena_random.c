// SPDX-License-Identifier: MIT
//
// tests/kill/arena_random.c - processes allocate, free, hand blocks to each other, bind and unbind at full speed,
// and are killed at random moments: what two do at the same time the sweep does not reach.
//
// An episode is the life of one arena. Each worker has a row of words in it, to which it allocates; and a board
// that all share, on which one puts blocks and another takes them down. Every block is filled with what follows
// from its offset, and looked at before it is freed: two who were given the same bytes find out.
//
// When a worker was killed, the killer calls ph_arena_check as the next user of its row would, and a new worker
// goes on with it. What is a worker's own affair is written in the books, which the library knows nothing of: the
// block that it was about to free or to hand on. At the end all are killed, and then every block is in a row, on
// the board, an entry of the directory, or was in the books; none is in two places, and none is lost.

#include <posthaste/shm.h>

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { WORKERS = 4, ROW = 48, BOARD = 16, DOUBTS = 4096, PHASES = 4, NAMES = 24 };

struct books {
	uint64_t row[WORKERS];   // offsets of the rows
	uint64_t board;          // and of the board
	uint64_t doubt[WORKERS]; // the block that the worker has in neither hand
	uint64_t calls[WORKERS];
	char failure[200];
	int failed;
};

struct phase {
	const char *name;
	size_t arena;
	size_t most; // bytes of a block
};

static const struct phase phases[PHASES] = {
	{"small", 256 << 10, 300},
	{"tight", 64 << 10, 2000},
	{"pages", 512 << 10, 20000},
	{"mixed", 4 << 20, 60000},
};

static struct books *books;
static const struct phase *phase;
static struct ph_arena *arena;
static uint64_t rng_state;
static uint64_t doubts[DOUBTS];
static unsigned doubt_count;
static unsigned long kills, episodes, reclaimed;

static uint64_t chance(uint64_t n)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state % n;
}

__attribute__((noreturn, format(printf, 1, 2))) static void broken(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (__atomic_exchange_n(&books->failed, 1, __ATOMIC_SEQ_CST) == 0)
		vsnprintf(books->failure, sizeof(books->failure), format, args);
	va_end(args);
	_exit(1);
}

// ---- blocks ----

static unsigned char mark_of(uint64_t offset)
{
	return (unsigned char)(offset * UINT64_C(0x9e3779b97f4a7c15) >> 56);
}

static void fill(uint64_t offset)
{
	memset(ph_arena_at(arena, offset), mark_of(offset), ph_arena_usable(arena, offset));
}

static void look_at(uint64_t offset)
{
	const size_t bytes = ph_arena_usable(arena, offset);
	const unsigned char *at = ph_arena_at(arena, offset);

	if (bytes == 0)
		broken("block %#lx is not allocated: %s", (unsigned long)offset, strerror(errno));
	for (size_t i = 0; i < bytes; i++)
		if (at[i] != mark_of(offset))
			broken("block %#lx was written by somebody else, at %zu of %zu", (unsigned long)offset,
			       i, bytes);
}

static void free_block(uint64_t offset)
{
	look_at(offset);
	if (ph_arena_free(arena, offset) != 0)
		broken("free: %s", strerror(errno));
}

// ---- a worker ----

static void allocate_to(uint64_t *slot)
{
	const uint64_t offset = ph_arena_alloc_to(arena, 1 + chance(phase->most), slot);

	if (offset == 0 && errno != ENOMEM)
		broken("alloc_to: %s", strerror(errno));
	if (offset != 0)
		fill(offset);
}

static void free_from(int me, uint64_t *slot)
{
	books->doubt[me] = *slot;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*slot = 0;
	free_block(books->doubt[me]);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	books->doubt[me] = 0;
}

static void put_on_board(int me, uint64_t *slot, uint64_t *place)
{
	uint64_t none = 0;
	const uint64_t offset = *slot;

	books->doubt[me] = offset;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	*slot = 0;
	if (!__atomic_compare_exchange_n(place, &none, offset, false, __ATOMIC_ACQ_REL,
	                                 __ATOMIC_RELAXED))
		*slot = offset;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	books->doubt[me] = 0;
}

static void take_down(int me, uint64_t *place)
{
	uint64_t offset = __atomic_load_n(place, __ATOMIC_ACQUIRE);

	if (offset == 0)
		return;
	books->doubt[me] = offset;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__atomic_compare_exchange_n(place, &offset, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		free_block(offset);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	books->doubt[me] = 0;
}

static void bind_or_unbind(void)
{
	char name[64];

	snprintf(name, sizeof(name), "name-%lu", (unsigned long)chance(NAMES));
	if (chance(2) == 0) {
		if (ph_arena_bind(arena, name, books->board) != 0 && errno != EEXIST && errno != ENOMEM)
			broken("bind: %s", strerror(errno));
		return;
	}
	const uint64_t found =
		chance(2) == 0 ? ph_arena_unbind(arena, name) : ph_arena_find(arena, name);
	if (found != books->board && (found != 0 || errno != ENOENT))
		broken("a name leads to %#lx: %s", (unsigned long)found, strerror(errno));
}

static void do_something(int me)
{
	uint64_t *slot = (uint64_t *)ph_arena_at(arena, books->row[me]) + chance(ROW);
	uint64_t *place = (uint64_t *)ph_arena_at(arena, books->board) + chance(BOARD);
	const uint64_t what = chance(64);

	if (what == 0)
		bind_or_unbind();
	else if (what < 8)
		take_down(me, place);
	else if (*slot == 0)
		allocate_to(slot);
	else if (what < 20)
		put_on_board(me, slot, place);
	else
		free_from(me, slot);
	books->calls[me]++;
}

static void work(int me)
{
	for (;;)
		do_something(me);
}

static pid_t start(int me)
{
	rng_state += 0x1234567 + (uint64_t)me;
	const pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(me);
	}
	return pid;
}

// ---- the killer ----

static void doubt(uint64_t offset)
{
	if (offset == 0)
		return;
	if (doubt_count == DOUBTS)
		broken("too many doubts");
	doubts[doubt_count++] = offset;
}

static void check(struct ph_arena_report *r)
{
	if (ph_arena_check(arena, r) != 0)
		broken("check: %s", strerror(errno));
	reclaimed += r->reclaimed_blocks;
}

// The row's next user: what stands in it is allocated, and may not be filled yet.
static void inherit(int me)
{
	struct ph_arena_report r;
	const uint64_t *row = ph_arena_at(arena, books->row[me]);

	check(&r);
	doubt(books->doubt[me]);
	books->doubt[me] = 0;
	for (int i = 0; i < ROW; i++) {
		if (row[i] == 0)
			continue;
		if (ph_arena_usable(arena, row[i]) == 0)
			broken("what stands in a row is not allocated: %#lx", (unsigned long)row[i]);
		fill(row[i]);
	}
}

static void bury(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		broken("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		broken("a worker died of signal %d", WTERMSIG(status));
	kills++;
}

static uint64_t table(size_t words)
{
	const uint64_t offset = ph_arena_alloc(arena, words * sizeof(uint64_t));

	if (offset == 0)
		broken("no room for a table");
	memset(ph_arena_at(arena, offset), 0, words * sizeof(uint64_t));
	return offset;
}

static void make(void)
{
	void *at = mmap(NULL, phase->arena, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || ph_arena_make(at, phase->arena) != 0 ||
	    (arena = ph_arena_attach(at, phase->arena)) == NULL)
		broken("make: %s", strerror(errno));
	memset(books->doubt, 0, sizeof(books->doubt));
	doubt_count = 0;
	books->board = table(BOARD);
	for (int i = 0; i < WORKERS; i++)
		books->row[i] = table(ROW);
}

// Free what a table leads to: how many.
static unsigned empty(uint64_t offset, int words)
{
	const uint64_t *at = ph_arena_at(arena, offset);
	unsigned n = 0;

	for (int i = 0; i < words; i++) {
		if (at[i] == 0)
			continue;
		free_block(at[i]);
		n++;
	}
	return n;
}

// Nobody runs. What a worker had in neither hand may still be there, and then nobody else has it.
static unsigned settle_doubts(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i < doubt_count; i++)
		if (ph_arena_usable(arena, doubts[i]) != 0 && ph_arena_free(arena, doubts[i]) == 0)
			n++;
	return n;
}

static unsigned unbind_all(void)
{
	unsigned n = 0;

	for (int i = 0; i < NAMES; i++) {
		char name[64];
		snprintf(name, sizeof(name), "name-%d", i);
		n += ph_arena_unbind(arena, name) != 0;
	}
	return n;
}

static void expect_all(void)
{
	struct ph_arena_report before, after;
	unsigned n = 0;

	check(&before);
	for (int i = 0; i < WORKERS; i++)
		n += empty(books->row[i], ROW);
	n += empty(books->board, BOARD);
	const unsigned names = unbind_all();
	n += names;
	n += settle_doubts(); // last: such a block may be an entry by now
	check(&after);
	if (after.used_blocks != WORKERS + 1 || after.names != 0 || before.names != names ||
	    before.used_blocks != after.used_blocks + n)
		broken("%lu blocks are left, and %lu names", (unsigned long)after.used_blocks,
		       (unsigned long)after.names);
}

static void episode(void)
{
	pid_t pids[WORKERS];

	make();
	for (int i = 0; i < WORKERS; i++)
		pids[i] = start(i);
	for (int i = 0; i < 12 && books->failed == 0; i++) {
		const int me = (int)chance(WORKERS);
		const struct timespec pause = {.tv_nsec = (long)chance(4000000)};
		nanosleep(&pause, NULL);
		bury(pids[me]);
		inherit(me);
		pids[me] = start(me);
	}
	for (int i = 0; i < WORKERS; i++)
		bury(pids[i]);
	for (int i = 0; i < WORKERS; i++)
		inherit(i);
	expect_all();
	void *at = (void *)((uintptr_t)ph_arena_at(arena, 4096) - 4096);
	ph_arena_detach(arena);
	munmap(at, phase->arena);
	episodes++;
}

static void run(double seconds)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		for (int i = 0; i < PHASES; i++) {
			phase = &phases[i];
			episode();
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)(now.tv_sec - begin.tv_sec) < seconds);
	printf("%lu episodes, %lu kills, %lu blocks reclaimed\n", episodes, kills, reclaimed);
	if (reclaimed == 0 && kills > 2000)
		broken("nobody was killed in the middle of a call");
}

int main(int argc, char **argv)
{
	double seconds = 4;
	int status;

	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--seconds") == 0)
			seconds = atof(argv[i + 1]);
	rng_state = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
	books = mmap(NULL, sizeof(*books), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (books == MAP_FAILED)
		return 1;
	const pid_t pid = fork();
	if (pid == 0) {
		run(seconds);
		fflush(stdout);
		_exit(0);
	}
	const bool good = waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	                  WEXITSTATUS(status) == 0 && books->failed == 0;
	if (!good)
		printf("FAIL %s: %s\n", phase != NULL ? phase->name : "",
		       books->failure[0] != '\0' ? books->failure : "it died");
	printf("%d passed, %d failed\n", good, !good);
	return good ? 0 : 1;
}
