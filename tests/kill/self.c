// SPDX-License-Identifier: MIT
//
// tests/kill/self.c - proof that the sweep can fail: toy protocols with a planted kill window must be
// reported, for the right reason; correct ones must pass. A checker that finds nothing is only worth
// something if it is known to find what is there.
#include "sweep.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { BLOCK = 4000, LOOPS = 200, DELAY = 400 };

// What the toys share.
struct toy {
	volatile int x, y;
	_Atomic uint32_t word;
	_Atomic uint32_t death;
	_Atomic int held;
	pthread_mutex_t mutex;
	char block[BLOCK];
};

static struct toy *toy;
static pid_t party;
static int *last_count; // outlives the rounds

static void futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static void set_up(void)
{
	toy = kill_shared();
	toy->x = 50;
	toy->y = 50;
}

// Two stores that belong together.
static void move_one(void)
{
	toy->x = toy->x - 1;
	toy->y = toy->y + 1;
}

static int sum_is_kept(void)
{
	KILL_CHECK(toy->x + toy->y == 100, "the sum is %d", toy->x + toy->y);
	return toy->y != 50;
}

// The same, after a long way; the window is one instruction wide.
static void move_one_far_away(void)
{
	for (volatile int i = 0; i < DELAY; i++)
		continue;
	__asm__ volatile("movl $49, %%eax\n\txchgl %%eax, %0\n\tmovl $51, %1"
	                 : "+m"(toy->x), "=m"(toy->y)
	                 :
	                 : "eax");
}

// Fill, then commit with one store. A long block, so that the copy is a string instruction.
static void copy_block(void)
{
	void *to = toy->block;
	size_t n = BLOCK;

	__asm__ volatile("rep stosb" : "+D"(to), "+c"(n) : "a"('b') : "memory");
}

static void fill_and_commit(void)
{
	copy_block();
	atomic_store_explicit(&toy->word, 1, memory_order_release);
}

static void commit_and_fill(void)
{
	atomic_store_explicit(&toy->word, 1, memory_order_release);
	copy_block();
}

static int block_is_whole(void)
{
	if (atomic_load(&toy->word) == 0)
		return 0;
	for (int i = 0; i < BLOCK; i++)
		KILL_CHECK(toy->block[i] == 'b', "torn at byte %d", i);
	return 1;
}

// A party waits for the word.
static void sleep_on_word(void)
{
	while (atomic_load(&toy->word) == 0)
		futex(&toy->word, FUTEX_WAIT, 0);
}

static void set_up_sleeper(void)
{
	set_up();
	party = kill_party(sleep_on_word);
	kill_await_asleep(party);
}

static void set_word_and_wake(void)
{
	atomic_store(&toy->word, 1);
	futex(&toy->word, FUTEX_WAKE, 1);
}

static int sleeper_went_on(void)
{
	const int outcome = (int)atomic_load(&toy->word);

	if (outcome)
		kill_join(party, "the sleeper");
	return outcome;
}

// The same, but the sleeper also waits on a word which the kernel wakes when the committer dies.
static void sleep_on_both(void)
{
	struct futex_waitv on[2] = {
		{.uaddr = (uintptr_t)&toy->word, .flags = FUTEX_32},
		{.uaddr = (uintptr_t)&toy->death, .flags = FUTEX_32},
	};

	while (atomic_load(&toy->word) == 0)
		syscall(SYS_futex_waitv, on, 2, 0, NULL, 0);
}

static void set_up_sleeper_on_both(void)
{
	set_up();
	party = kill_party(sleep_on_both);
	kill_await_asleep(party);
}

static struct robust_list_head *robust_head(void)
{
	struct robust_list_head *head;
	size_t size;

	return syscall(SYS_get_robust_list, 0, &head, &size) == 0 ? head : NULL;
}

static void set_word_with_last_will(void)
{
	struct robust_list_head *head = robust_head();
	void *volatile *pending = (void *volatile *)&head->list_op_pending;

	*pending = (char *)&toy->death - head->futex_offset;
	atomic_store(&toy->word, 1);
	futex(&toy->word, FUTEX_WAKE, 1);
	*pending = NULL;
}

// The victim sleeps itself.
static void wake_by_word(unsigned nth)
{
	if (nth == 0)
		set_word_and_wake();
}

static void take_word(void)
{
	sleep_on_word();
	toy->x = 49;
}

static int slept_or_not(void)
{
	KILL_CHECK(toy->x == 50 || kill_wakes() > 0, "taken before it was given");
	return toy->x == 49;
}

// A party has looked, and is about to sleep on a word: one that tells what it looked at, or one that
// is only woken.
static void sleep_unless_moved(void)
{
	while (toy->y == 50)
		futex(&toy->death, FUTEX_WAIT, 0);
}

static void move_and_wake(void)
{
	toy->y = 51;
	futex(&toy->death, FUTEX_WAKE, 1);
}

static int late_sleeper_went_on(void)
{
	const bool moved = toy->y == 51 || atomic_load(&toy->word) == 1;

	if (moved)
		kill_join(kill_bystander(), "the late sleeper");
	return moved;
}

// A lock that dies with its holder, and one that does not.
static void hold_plain(void)
{
	int zero = 0;

	while (!atomic_compare_exchange_strong(&toy->held, &zero, 1)) {
		syscall(SYS_futex, &toy->held, FUTEX_WAIT, 1, NULL, NULL, 0);
		zero = 0;
	}
	move_one();
	atomic_store(&toy->held, 0);
	syscall(SYS_futex, &toy->held, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static int contender_got_through(void)
{
	kill_join(kill_contender(), "the contender");
	return 1;
}

static void set_up_mutex(void)
{
	pthread_mutexattr_t attr;

	set_up();
	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&toy->mutex, &attr);
}

static void hold_robust(void)
{
	if (pthread_mutex_lock(&toy->mutex) == EOWNERDEAD) {
		toy->y = 100 - toy->x;
		pthread_mutex_consistent(&toy->mutex);
	}
	move_one();
	pthread_mutex_unlock(&toy->mutex);
}

static int sum_is_repaired(void)
{
	kill_join(kill_contender(), "the contender");
	return sum_is_kept();
}

// Two have died in the lock; the third still gets it, and finds the sum kept.
static int holder_after_two(void)
{
	hold_robust();
	return sum_is_kept();
}

// An effect that is taken back for a moment.
static void blink(void)
{
	toy->y = 51;
	toy->y = 50;
	toy->y = 51;
}

static int blinks(void)
{
	return toy->y == 51;
}

static void forget(void)
{
	__asm__ volatile("" ::: "memory");
}

static void crash(void)
{
	raise(SIGSEGV);
}

// Boundary k is reached where stepping would reach it: each next one is at most one iteration on.
static void set_up_count(void)
{
	set_up();
	toy->x = -1;
}

static void count_up(void)
{
	for (int i = 0; i < LOOPS; i++)
		toy->x = i;
}

static int counted_on(void)
{
	const int count = toy->x;

	// The recording comes first and counts to the end; then the sweep begins anew.
	KILL_CHECK(count == *last_count || count == *last_count + 1 ||
	               (count == -1 && *last_count == LOOPS - 1),
	           "the count went from %d to %d", *last_count, count);
	*last_count = count;
	return 1;
}

struct trial {
	struct kill_scenario scenario;
	const char *reason; // in the report; NULL = nothing must be found
	bool full;
};

static const struct trial trials[] = {
	{.scenario = {.name = "two_stores_are_torn",
                  .prepare = set_up,
                  .operation = move_one,
                  .after = sum_is_kept,
                  .first = 0,
                  .last = 1},
     .reason = "the sum is 99",
     .full = true},
	{.scenario = {.name = "short_sweep_finds_a_narrow_window",
                  .prepare = set_up,
                  .operation = move_one_far_away,
                  .after = sum_is_kept,
                  .first = 0,
                  .last = 1},
     .reason = "the sum is 99",
     .full = false},
	{.scenario = {.name = "commit_last_is_whole",
                  .prepare = set_up,
                  .operation = fill_and_commit,
                  .after = block_is_whole,
                  .first = 0,
                  .last = 1},
     .reason = NULL,
     .full = true},
	{.scenario = {.name = "commit_first_is_torn",
                  .prepare = set_up,
                  .operation = commit_and_fill,
                  .after = block_is_whole,
                  .first = 0,
                  .last = 1},
     .reason = "torn at byte",
     .full = true},
	{.scenario = {.name = "wake_after_store_is_lost",
                  .prepare = set_up_sleeper,
                  .operation = set_word_and_wake,
                  .after = sleeper_went_on,
                  .first = 0,
                  .last = 1},
     .reason = "hangs: survivor, at: waiting for the sleeper",
     .full = true},
	{.scenario = {.name = "wake_by_last_will_is_kept",
                  .prepare = set_up_sleeper_on_both,
                  .operation = set_word_with_last_will,
                  .after = sleeper_went_on,
                  .first = 0,
                  .last = 1},
     .reason = NULL,
     .full = true},
	{.scenario = {.name = "victim_that_sleeps_is_woken",
                  .prepare = set_up,
                  .operation = take_word,
                  .wake = wake_by_word,
                  .after = slept_or_not,
                  .first = 0,
                  .last = 1},
     .reason = NULL,
     .full = true},
	{.scenario = {.name = "victim_that_nobody_wakes_hangs",
                  .prepare = set_up,
                  .operation = sleep_on_word,
                  .after = slept_or_not,
                  .first = 0,
                  .last = 0},
     .reason = "hangs",
     .full = true},
	{.scenario = {.name = "late_sleeper_sees_the_word",
                  .prepare = set_up,
                  .bystander = sleep_on_word,
                  .operation = set_word_and_wake,
                  .after = late_sleeper_went_on,
                  .last = 1},
     .full = true},
	{.scenario = {.name = "late_sleeper_misses_a_bare_wake",
                  .prepare = set_up,
                  .bystander = sleep_unless_moved,
                  .operation = move_and_wake,
                  .after = late_sleeper_went_on,
                  .last = 1},
     .reason = "hangs: survivor, at: waiting for the late sleeper",
     .full = true},
	{.scenario = {.name = "plain_lock_dies_with_its_holder",
                  .prepare = set_up,
                  .operation = hold_plain,
                  .contend = hold_plain,
                  .after = contender_got_through,
                  .first = 1,
                  .last = 1},
     .reason = "hangs: survivor, at: waiting for the contender",
     .full = true},
	{.scenario = {.name = "robust_lock_is_handed_on",
                  .prepare = set_up_mutex,
                  .operation = hold_robust,
                  .contend = hold_robust,
                  .after = sum_is_repaired,
                  .first = 1,
                  .last = 1},
     .reason = NULL,
     .full = true},
	{.scenario = {.name = "effect_that_is_undone_is_seen",
                  .prepare = set_up,
                  .operation = blink,
                  .after = blinks,
                  .first = 0,
                  .last = 1},
     .reason = "is undone",
     .full = true},
	{.scenario = {.name = "effect_that_is_missing_is_seen",
                  .prepare = set_up,
                  .operation = forget,
                  .after = blinks,
                  .first = 0,
                  .last = 1},
     .reason = "has not taken effect",
     .full = true},
	{.scenario = {.name = "effect_too_early_is_seen",
                  .prepare = set_up,
                  .enter = blink,
                  .operation = forget,
                  .after = blinks,
                  .first = 0,
                  .last = 1},
     .reason = "before it began",
     .full = true},
	{.scenario = {.name = "crash_of_the_victim_is_seen",
                  .prepare = set_up,
                  .operation = crash,
                  .after = blinks,
                  .first = 0,
                  .last = 0},
     .reason = "ended by itself",
     .full = true},
	{.scenario = {.name = "breakpoints_land_where_steps_do",
                  .prepare = set_up_count,
                  .operation = count_up,
                  .after = counted_on,
                  .first = KILL_EITHER,
                  .last = KILL_EITHER},
     .reason = NULL,
     .full = true},
	{.scenario = {.name = "repair_can_be_cut_short",
                  .prepare = set_up_mutex,
                  .operation = hold_robust,
                  .predecessor = hold_robust,
                  .after = holder_after_two,
                  .first = KILL_EITHER},
     .full = true},
};

static bool is_right(const struct trial *t, const struct kill_report *r)
{
	return t->reason ? r->broken > 0 && strstr(r->text, t->reason)
	                 : r->broken == 0 && r->diverged == 0;
}

// Who shall hang is not waited for long; unless the machine is so busy that somebody else seemed to.
static void try_out(const struct trial *t, struct kill_report *r)
{
	struct kill_options options = {.full = t->full, .quiet = true, .failures = 1};

	if (t->reason && strstr(t->reason, "hangs"))
		options.patience_ms = 1000;
	kill_sweep(&t->scenario, &options, r);
	if (options.patience_ms && !is_right(t, r)) {
		options.patience_ms = 0;
		kill_sweep(&t->scenario, &options, r);
	}
}

static bool meets(const struct trial *t, const struct kill_report *r)
{
	const bool right = is_right(t, r);

	printf("%s %s: %u boundaries, %u rounds", right ? "ok  " : "FAIL", t->scenario.name,
	       r->boundaries, r->rounds);
	if (!right)
		printf(", %u diverged, wanted \"%s\", found at %u: \"%s\"", r->diverged,
		       t->reason ? t->reason : "nothing", r->first, r->broken ? r->text : "nothing");
	printf("\n");
	fflush(stdout);
	return right;
}

int main(int argc, char **argv)
{
	int passed = 0;
	int failed = 0;

	kill_fix_addresses(argv);
	last_count = mmap(NULL, sizeof(int), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (last_count == MAP_FAILED)
		return 1;
	*last_count = LOOPS - 2;
	for (size_t i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		struct kill_report report;
		if (argc > 1 && !strstr(trials[i].scenario.name, argv[1]))
			continue;
		try_out(&trials[i], &report);
		if (meets(&trials[i], &report))
			passed++;
		else
			failed++;
	}
	kill_scratch_remove();
	printf("%d passed, %d failed\n", passed, failed);
	return failed || !passed;
}
