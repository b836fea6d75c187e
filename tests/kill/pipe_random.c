// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_random.c - processes write and read at full speed and are killed at random moments:
// what happens inside a system call, and between processors, the sweep does not reach.
//
// An episode is the life of one pipe. Writers and readers start, some are killed while all run; then
// either the other writers are told to stop, or all readers are killed. Now everybody must come to an end
// by himself: readers by the end of file, writers by EPIPE. A wake-up lost to a death stands out there,
// because nobody does anything any more to make up for it.
//
// The books (memory that the library knows nothing of): a writer writes down a number before it writes the
// record and after; a reader ticks a number off after it got it. A number is ticked off twice: read
// twice. It was written and never ticked off: lost, unless a reader was killed inside its call; that
// explains what one call can take, and what it can have fetched from the kernel's pipe besides.
#include "pipe_random.h"

#include "pipe/pipe.h"
#include "sweep.h"

#include <posthaste/posthaste.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Beside a stranger who writes without a pause it takes a long run to see anything.
enum { LONG_S = 30, PATIENCE_S = 10, PHASES = 8, PIPE_USUAL = 65536 };

// What the killer knows.
struct tally {
	uint64_t excuses; // of this episode: readers that were killed inside their call
	uint64_t kills, episodes, records, lost;
};

static const struct phase phases[PHASES] = {
	{.name = "small", .record = 64},
	{.name = "page", .record = 4096, .pipe_bytes = 8192},
	{.name = "one_page", .record = 512, .pipe_bytes = 4096},
	{.name = "stream", .stream = true},
	{.name = "loans", .record = 256, .loans = true},
	{.name = "polled", .record = 64, .polls = true},
	{.name = "strangers", .record = 128, .strangers = true},
	{.name = "by_name", .record = 64, .by_name = true},
};

struct books *books;
const struct phase *phase;
char fifo[300];
int rd = -1;
int wr = -1;
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

static bool is_writer(int worker)
{
	return worker < WRITERS;
}

// ---- workers ----

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
	if (phase->by_name) { // it opens its own; the killer's keeps the FIFO together meanwhile
		ph_close(wr);
		wr = -1;
	}
	if (is_writer(worker))
		write_on(worker);
	else
		read_on(worker);
	_exit(0);
}

static void settle_account(int worker, struct tally *t, bool killed)
{
	struct account *a = &books->account[worker];

	if (!phase->stream && a->begun != a->returned) {
		books->unsure[worker][a->begun / 8] |= (unsigned char)(1U << a->begun % 8);
		a->returned = a->begun;
	}
	// A stranger that is left does not take over what a dead leaseholder had.
	if (!is_writer(worker) && killed)
		t->excuses += a->calling || phase->strangers;
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
		broken("a %s ended with wait status %#x", is_writer(worker) ? "writer" : "reader",
		       (unsigned)status);
	settle_account(worker, t, killed);
}

static void kill_worker(int worker, struct tally *t)
{
	if (!workers[worker])
		return;
	kill(workers[worker], SIGKILL);
	reap(worker, t, true);
	t->kills++;
}

static int count_readers(void)
{
	int n = 0;

	for (int i = WRITERS; i < WORKERS; i++)
		n += workers[i] != 0;
	return n;
}

static bool has_ended(pid_t pid)
{
	siginfo_t si = {0};

	return waitid(P_PID, (id_t)pid, &si, WEXITED | WNOHANG | WNOWAIT) == 0 && si.si_pid;
}

static char state_of(pid_t pid)
{
	char path[64];
	char state = '?';

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f)
		return '-';
	if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	fclose(f);
	return state;
}

static void say_who_hangs(void)
{
	char text[100];
	size_t n = 0;

	for (int i = 0; i < WORKERS; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, " %s %c",
		                      is_writer(i) ? "writer" : "reader",
		                      workers[i] ? state_of(workers[i]) : '-');
	broken("hangs after the %s:%s", books->doomed ? "last reader's death" : "last write", text);
}

static void await_ends(struct tally *t)
{
	const double start = now_s();

	for (int left = WORKERS; left > 0;) {
		left = 0;
		for (int i = 0; i < WORKERS; i++) {
			if (workers[i] && has_ended(workers[i]))
				reap(i, t, false);
			left += workers[i] != 0;
		}
		if (__atomic_load_n(&books->failed, __ATOMIC_SEQ_CST))
			_exit(1);
		if (now_s() - start > PATIENCE_S)
			say_who_hangs();
		if (left > 0)
			pause_us(100);
	}
}

// ---- one episode ----

static void open_pipe(void)
{
	int fds[2];

	if (phase->by_name) {
		wr = ph_open(fifo, O_RDWR | O_CLOEXEC);
		if (wr == -1)
			broken("open: %s", strerror(errno));
		return;
	}
	if (ph_pipe(fds) == -1)
		broken("pipe: %s", strerror(errno));
	rd = fds[0];
	wr = fds[1];
	if (phase->pipe_bytes && ph_fcntl(wr, F_SETPIPE_SZ, (int)phase->pipe_bytes) == -1)
		broken("F_SETPIPE_SZ: %s", strerror(errno));
}

// When everybody has his own.
static void close_pipe(void)
{
	for (int i = 0; i < WORKERS; i++)
		while (workers[i] && !__atomic_load_n(&books->account[i].ready, __ATOMIC_SEQ_CST) &&
		       !has_ended(workers[i]))
			pause_us(50);
	if (rd != -1)
		ph_close(rd);
	if (wr != -1)
		ph_close(wr);
	rd = wr = -1;
}

static bool is_wanted(int worker)
{
	return !phase->stream || worker == 0 || worker == WRITERS;
}

static void start_all(void)
{
	books->stop = 0;
	books->doomed = 0;
	open_pipe();
	for (int i = 0; i < WORKERS; i++) {
		books->account[i].ready = 0;
		books->account[i].got = 0;
		if (phase->stream)
			books->account[i].begun = books->account[i].returned = 0;
		if (is_wanted(i))
			start_worker(i);
	}
	close_pipe();
}

static void kill_some(struct tally *t)
{
	for (uint64_t kills = chance(4); kills > 0; kills--) {
		pause_us((long)chance(chance(4) ? 700 : 4000));
		const int worker = (int)chance(WORKERS);
		if (workers[worker] && !phase->stream && (is_writer(worker) || count_readers() > 1))
			kill_worker(worker, t);
	}
	pause_us((long)chance(1500));
}

static void end_writers(struct tally *t)
{
	const bool brutally = chance(4) == 0 || phase->stream;

	__atomic_store_n(&books->stop, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < WRITERS && brutally; i++)
		kill_worker(i, t);
}

static void end_readers(struct tally *t)
{
	__atomic_store_n(&books->doomed, 1, __ATOMIC_SEQ_CST);
	for (int i = WRITERS; i < WORKERS; i++)
		kill_worker(i, t);
}

// ---- the verdict ----

static bool has_bit(const unsigned char *bits, uint64_t n)
{
	return bits[n / 8] >> n % 8 & 1;
}

static uint64_t count_lost(void)
{
	uint64_t lost = 0;

	for (int w = 0; w < WRITERS; w++) {
		struct account *a = &books->account[w];
		for (uint64_t n = a->settled + 1; n <= a->begun; n++)
			lost += !has_bit(books->ticked[w], n) && !has_bit(books->unsure[w], n);
		a->settled = a->begun;
	}
	return lost;
}

// What one dead reader can explain, in records: its call, and a pipe full that it fetched.
static uint64_t records_of_a_call(void)
{
	const size_t pipe_bytes = phase->pipe_bytes ? phase->pipe_bytes : PIPE_USUAL;

	return RECORDS_AT_ONCE + 2 * pipe_bytes / phase->record;
}

static void balance_records(struct tally *t)
{
	const uint64_t lost = count_lost();

	if (!books->doomed && lost > t->excuses * records_of_a_call())
		broken("%lu records are lost; %lu dead readers explain %lu each at most",
		       (unsigned long)lost, (unsigned long)t->excuses, (unsigned long)records_of_a_call());
	if (!books->doomed)
		t->lost += lost;
}

static void balance_stream(void)
{
	const uint64_t got = books->account[WRITERS].got;
	const struct account *a = &books->account[0];

	if (got > a->begun || (!books->doomed && got < a->returned))
		broken("%lu bytes were read; %lu to %lu were written", (unsigned long)got,
		       (unsigned long)a->returned, (unsigned long)a->begun);
}

static void episode(struct tally *t)
{
	t->excuses = 0;
	start_all();
	kill_some(t);
	if (chance(3) == 0)
		end_readers(t);
	else
		end_writers(t);
	await_ends(t);
	if (phase->stream)
		balance_stream();
	else
		balance_records(t);
	t->episodes++;
}

// In a process of its own; its status is the phase's verdict.
static void run_phase(double seconds)
{
	struct tally t = {0};
	const double start = now_s();

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	snprintf(fifo, sizeof(fifo), "%s/f", kill_scratch());
	if (phase->by_name && ph_mkfifo(fifo, 0600) == -1)
		broken("mkfifo: %s", strerror(errno));
	while (now_s() - start < seconds)
		episode(&t);
	for (int w = 0; w < WRITERS; w++)
		t.records += books->account[w].begun;
	const int dir = open(kill_scratch(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int left = phi_pipe_sweep(dir);
	close(dir);
	if (left > WORKERS)
		broken("%d files of rings were left over", left);
	unlink(fifo);
	printf("ok   random_%s: %lu episodes, %lu kills, %lu %s, %lu gone with a reader\n", phase->name,
	       (unsigned long)t.episodes, (unsigned long)t.kills, (unsigned long)t.records,
	       phase->stream ? "bytes in the last" : "records", (unsigned long)t.lost);
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
	return passes;
}

int main(int argc, char **argv)
{
	const char *only = NULL;
	double seconds = 4;
	int passed = 0;
	int failed = 0;

	rng_state = (uint64_t)time(NULL) * UINT64_C(0x9e3779b97f4a7c15) | 1;
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seconds") == 0)
			seconds = strtod(argv[i + 1], NULL);
		else if (strcmp(argv[i], "--seed") == 0)
			rng_state = strtoull(argv[i + 1], NULL, 0) | 1;
		else if (strcmp(argv[i], "--only") == 0)
			only = argv[i + 1];
	}
	kill_scratch();
	printf("seed %#lx\n", (unsigned long)rng_state);
	for (size_t i = 0; i < PHASES; i++) {
		phase = &phases[i];
		if (only ? strcmp(only, phase->name) != 0 : phase->strangers && seconds < LONG_S)
			continue;
		if (phase_passes(seconds / PHASES))
			passed++;
		else
			failed++;
	}
	kill_scratch_remove();
	printf("%d passed, %d failed\n", passed, failed);
	return failed || !passed;
}
