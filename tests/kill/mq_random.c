// SPDX-License-Identifier: MIT
//
// tests/kill/mq_random.c - processes send and receive at full speed and are killed at random moments:
// what happens inside a system call, and between processors, the sweep does not reach.
//
// An episode: senders and receivers start, some are killed while all run, then the other senders are
// told to stop. Now the queue must come to rest: every sender ends, every receiver sleeps, nothing is
// left. A wake-up lost to a death stands out there, because nobody sends any more to make up for it.
// Episodes share one queue, so damage would add up.
//
// The books (memory that the library knows nothing of): a sender writes down a number before it sends
// it and after; a receiver ticks a number off after it got it. A number is ticked off twice: delivered
// twice. It was sent and never ticked off: lost, unless a receiver was killed between the two, so each
// death of a receiver inside its call explains one. A send that was cut short may have happened or not.
#include "mq_random.h"

#include "sweep.h"

#include <errno.h>
#include <fcntl.h>
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

enum { PATIENCE_S = 10, PHASES = 4 };

#define QUEUE "/random"

// What the killer knows.
struct tally {
	uint64_t excuses; // receivers that were killed inside their call
	uint64_t kills, episodes;
};

static const struct phase phases[PHASES] = {
	{"depth_10", 10, false, false},
	{"depth_1", 1, false, false},
	{"loans", 10, true, false},
	{"polled", 4, false, true},
};

struct books *books;
const struct phase *phase;
mqd_t q;
static pid_t workers[WORKERS];
static uint64_t rng_state;

static uint64_t chance(uint64_t n)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return rng_state % n;
}

void broken(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (__atomic_exchange_n(&books->failed, 1, __ATOMIC_SEQ_CST) == 0)
		vsnprintf(books->failure, sizeof(books->failure), format, args);
	va_end(args);
	_exit(1);
}

static void pause_us(long us)
{
	const struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

	nanosleep(&t, NULL);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool is_sender(int worker)
{
	return worker < SENDERS;
}

static void start_worker(int worker)
{
	const pid_t parent = getpid();

	workers[worker] = fork();
	if (workers[worker] == -1)
		broken("fork: %s", strerror(errno));
	if (workers[worker] != 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	if (is_sender(worker))
		send_on(worker);
	else
		receive_on(worker);
	_exit(0);
}

static void settle_account(int worker, struct tally *t)
{
	struct account *a = &books->account[worker];

	if (a->begun != a->returned)
		books->unsure[worker][a->begun / 8] |= (unsigned char)(1U << a->begun % 8);
	a->returned = a->begun;
	if (a->calling)
		t->excuses++;
	a->calling = 0;
}

static void reap(int worker, struct tally *t, bool killed)
{
	int status;

	while (waitpid(workers[worker], &status, 0) == -1)
		if (errno != EINTR)
			broken("waitpid: %s", strerror(errno));
	workers[worker] = 0;
	if (!(killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) &&
	    !(WIFEXITED(status) && WEXITSTATUS(status) == 0))
		broken("a %s ended with wait status %#x", is_sender(worker) ? "sender" : "receiver",
		       (unsigned)status);
	settle_account(worker, t);
}

static void kill_worker(int worker, struct tally *t)
{
	kill(workers[worker], SIGKILL);
	reap(worker, t, true);
	t->kills++;
}

// At least one receiver stays, to empty the queue.
static bool may_be_killed(int worker)
{
	int receivers = 0;

	for (int i = SENDERS; i < WORKERS; i++)
		receivers += workers[i] != 0;
	return workers[worker] && (is_sender(worker) || receivers > 1);
}

static bool sleeps(pid_t pid)
{
	char path[64];
	char state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 0;
	fclose(f);
	return state == 'S';
}

static bool at_rest(struct tally *t)
{
	struct ph_mq_info info;
	bool rest = true;

	for (int i = 0; i < SENDERS; i++) {
		siginfo_t si = {0};
		if (!workers[i])
			continue;
		rest = false;
		if (waitid(P_PID, (id_t)workers[i], &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid)
			reap(i, t, false);
	}
	if (ph_mq_info(QUEUE, &info) == -1)
		broken("info: %s", strerror(errno));
	rest = rest && info.curmsgs == 0 && info.borrowed == 0;
	for (int i = SENDERS; i < WORKERS; i++)
		rest = rest && (!workers[i] || sleeps(workers[i]));
	return rest;
}

static void say_where(char *text, size_t size)
{
	struct ph_mq_info info;
	size_t n = 0;

	ph_mq_info(QUEUE, &info);
	n += (size_t)snprintf(text, size, "%lu messages, %lu borrowed", (unsigned long)info.curmsgs,
	                      (unsigned long)info.borrowed);
	for (int i = 0; i < WORKERS && n < size; i++)
		n += (size_t)snprintf(text + n, size - n, ", %s %s", is_sender(i) ? "sender" : "receiver",
		                      !workers[i]          ? "gone"
		                      : sleeps(workers[i]) ? "asleep"
		                                           : "awake");
}

static void await_rest(struct tally *t)
{
	const double start = now_s();

	while (!at_rest(t)) {
		if (__atomic_load_n(&books->failed, __ATOMIC_SEQ_CST))
			_exit(1);
		if (now_s() - start > PATIENCE_S) {
			char where[128];
			say_where(where, sizeof(where));
			broken("hangs: %s", where);
		}
		pause_us(100);
	}
}

static void episode(struct tally *t)
{
	books->stop = 0;
	for (int i = 0; i < WORKERS; i++)
		if (!workers[i])
			start_worker(i);
	for (uint64_t kills = 1 + chance(3); kills > 0; kills--) {
		pause_us((long)chance(chance(4) ? 700 : 4000));
		const int worker = (int)chance(WORKERS);
		if (may_be_killed(worker))
			kill_worker(worker, t);
	}
	__atomic_store_n(&books->stop, 1, __ATOMIC_SEQ_CST);
	await_rest(t);
	t->episodes++;
	// Receivers asleep: some die there, the others go on in the next episode.
	for (int i = SENDERS; i < WORKERS; i++)
		if (workers[i] && chance(2))
			kill_worker(i, t);
}

// ---- the verdict ----

static bool has_bit(const unsigned char *bits, uint64_t n)
{
	return bits[n / 8] >> n % 8 & 1;
}

static void balance(const struct tally *t)
{
	uint64_t sent = 0;
	uint64_t lost = 0;

	for (int s = 0; s < SENDERS; s++) {
		sent += books->account[s].begun;
		for (uint64_t n = 1; n <= books->account[s].begun; n++)
			lost += !has_bit(books->ticked[s], n) && !has_bit(books->unsure[s], n);
	}
	if (lost > t->excuses)
		broken("%lu messages of %lu are lost; dead receivers explain %lu at most",
		       (unsigned long)lost, (unsigned long)sent, (unsigned long)t->excuses);
	printf("ok   random_%s: %lu episodes, %lu kills, %lu messages, %lu gone with a receiver\n",
	       phase->name, (unsigned long)t->episodes, (unsigned long)t->kills, (unsigned long)sent,
	       (unsigned long)lost);
}

static void expect_capacity(void)
{
	const struct timespec passed = {.tv_sec = 1};
	char data[SIZE] = {0};
	long n = 0;

	while (n <= phase->depth && ph_mq_timedsend(q, data, SIZE, 0, &passed) == 0)
		n++;
	if (n != phase->depth)
		broken("room for %ld messages instead of %ld", n, phase->depth);
	while (ph_mq_timedreceive(q, data, SIZE, NULL, &passed) == SIZE)
		n--;
	if (n != 0)
		broken("%ld messages do not come out again", n);
}

// In a process of its own; its status is the phase's verdict.
static void run_phase(double seconds)
{
	struct mq_attr attr = {.mq_maxmsg = phase->depth, .mq_msgsize = SIZE};
	struct tally t = {0};
	const double start = now_s();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	q = ph_mq_open(QUEUE, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (q == -1)
		broken("open: %s", strerror(errno));
	if (phase->polls && ph_mq_setpoll(q, 1) == -1)
		broken("setpoll: %s", strerror(errno));
	while (now_s() - start < seconds)
		episode(&t);
	for (int i = SENDERS; i < WORKERS; i++)
		if (workers[i])
			kill_worker(i, &t);
	expect_capacity();
	balance(&t);
	ph_mq_close(q);
	ph_mq_unlink(QUEUE);
	fflush(stdout);
	_exit(0);
}

static bool phase_passes(double seconds)
{
	int status = 0;

	books = mmap(NULL, sizeof(*books), PROT_READ | PROT_WRITE,
	             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (books == MAP_FAILED)
		return false;
	fflush(NULL);
	const pid_t pid = fork();
	if (pid == 0)
		run_phase(seconds);
	waitpid(pid, &status, 0);
	const bool passes = status == 0 && !books->failed;
	if (!passes)
		printf("FAIL random_%s: %s\n", phase->name,
		       books->failed ? books->failure : "the killer itself died");
	munmap(books, sizeof(*books));
	ph_mq_unlink(QUEUE); // after a failure
	return passes;
}

int main(int argc, char **argv)
{
	double seconds = 4;
	int passed = 0;
	int failed = 0;

	rng_state = (uint64_t)time(NULL) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seconds") == 0)
			seconds = strtod(argv[i + 1], NULL);
		else if (strcmp(argv[i], "--seed") == 0)
			rng_state = strtoull(argv[i + 1], NULL, 0) | 1;
	}
	kill_scratch();
	printf("seed %#lx\n", (unsigned long)rng_state);
	for (size_t i = 0; i < PHASES; i++) {
		phase = &phases[i];
		if (phase_passes(seconds / PHASES))
			passed++;
		else
			failed++;
	}
	kill_scratch_remove();
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
