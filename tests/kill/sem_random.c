// SPDX-License-Identifier: MIT
//
// tests/kill/sem_random.c - processes wait and post at full speed and are killed at random moments: what two do
// at the same time the sweep does not reach.
//
// An episode is the life of one semaphore. Each worker takes some units, with a deadline, without one or not at all
// if it had to wait, and gives them back. What it has is written in the books, which the library knows nothing of.
// With holders every unit must be there at the end. Without, a unit that a killed worker had is posted by the
// killer; where the worker was killed inside a call nobody can know, and so many may be missing. Nobody may be left
// asleep: at the end the workers stop, and whoever still sleeps gets what the others have given back.
//
// The phase `guarded` has one unit, and it guards two words that are to be equal. Who finds them different must
// have been told that the last holder died.

#include <posthaste/semaphore.h>

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

enum { WORKERS = 5, KILLS = 12, PATIENCE_S = 30 };

#define NAME "/random"

struct account {
	unsigned has;  // units
	unsigned sure; // 0 while a call may or may not have changed that
	unsigned long calls;
	unsigned char pad[40];
};

struct books {
	struct account account[WORKERS];
	unsigned stop;
	int failed;
	char failure[200];
	uint64_t left, right; // equal, but for who holds the unit of `guarded`
	sem_t unnamed;
};

struct phase {
	const char *name;
	bool named;
	int oflag;
	unsigned units, most; // most that a worker takes at once
};

static const struct phase phases[] = {
	{"unnamed", false, 0, 3, 1},
	{"named", true, 0, 3, 1},
	{"holders", true, PH_SEM_HOLDERS, 2, 1},
	{"several", true, PH_SEM_HOLDERS, 5, 4},
	{"guarded", true, PH_SEM_HOLDERS | PH_SEM_OWNERDEAD, 1, 1},
};

enum { PHASES = sizeof phases / sizeof phases[0] };

static struct books *books;
static const struct phase *phase;
static sem_t *sem;
static uint64_t rng_state;
static unsigned doubts;
static unsigned long kills, episodes, told;

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

static bool with_holders(void)
{
	return phase->oflag != 0;
}

// ---- a worker ----

static struct timespec soon(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += (long)chance(300000);
	t.tv_sec += t.tv_nsec / 1000000000;
	t.tv_nsec %= 1000000000;
	return t;
}

// 0, or why not.
static int take(unsigned units)
{
	const struct timespec deadline = soon();
	const uint64_t how = chance(4);
	int r;

	if (units > 1)
		r = ph_sem_take(sem, units, CLOCK_MONOTONIC, how == 0 ? &deadline : NULL);
	else if (how == 0)
		r = ph_sem_clockwait(sem, CLOCK_MONOTONIC, &deadline);
	else
		r = how == 1 ? ph_sem_trywait(sem) : ph_sem_wait(sem);
	return r == 0 ? 0 : errno;
}

static void guarded_work(bool was_told)
{
	const uint64_t left = __atomic_load_n(&books->left, __ATOMIC_RELAXED);
	const uint64_t right = __atomic_load_n(&books->right, __ATOMIC_RELAXED);

	if (left != right && !was_told)
		broken("the last holder died at work, and nobody told");
	__atomic_store_n(&books->left, left + 1, __ATOMIC_RELAXED);
	for (uint64_t i = chance(50); i > 0; i--)
		__atomic_signal_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&books->right, left + 1, __ATOMIC_RELAXED);
}

static void set_account(struct account *a, unsigned sure, unsigned has)
{
	__atomic_store_n(&a->has, has, __ATOMIC_SEQ_CST);
	__atomic_store_n(&a->sure, sure, __ATOMIC_SEQ_CST);
}

static void give(unsigned units)
{
	const int r = units == 1 ? ph_sem_post(sem) : ph_sem_give(sem, units);

	if (r != 0)
		broken("give %u: %s", units, strerror(errno));
}

static void do_something(struct account *a)
{
	const unsigned units = 1 + (unsigned)chance(phase->most);

	set_account(a, 0, 0);
	const int e = take(units);
	set_account(a, 1, e == 0 || e == EOWNERDEAD ? units : 0);
	a->calls++;
	if (e == EAGAIN || e == ETIMEDOUT)
		return;
	if (e != 0 && e != EOWNERDEAD)
		broken("take %u: %s", units, strerror(e));
	if (phase->oflag & PH_SEM_OWNERDEAD)
		guarded_work(e == EOWNERDEAD);
	set_account(a, 0, units);
	give(units);
	set_account(a, 1, 0);
}

static void open_anew(void)
{
	if (phase->named && ph_sem_close(sem) != 0)
		broken("close: %s", strerror(errno));
	if (phase->named && (sem = ph_sem_open(NAME, phase->oflag)) == SEM_FAILED)
		broken("open: %s", strerror(errno));
}

static void work(struct account *a)
{
	while (__atomic_load_n(&books->stop, __ATOMIC_RELAXED) == 0) {
		if (chance(2000) == 0)
			open_anew();
		do_something(a);
	}
}

static pid_t start(int me)
{
	rng_state += 0x1234567 + (uint64_t)me;
	const pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		work(&books->account[me]);
		_exit(0);
	}
	return pid;
}

// ---- the killer ----

static void bury(pid_t pid, struct account *a)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		broken("waitpid: %s", strerror(errno));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		broken("a worker ended by itself: %#x", (unsigned)status);
	kills++;
	if (!with_holders() && !a->sure)
		doubts++;
	else if (!with_holders() && a->has > 0)
		give(a->has);
	set_account(a, 1, 0);
}

static void make(void)
{
	doubts = 0;
	books->stop = 0;
	books->left = books->right = 0;
	memset(books->account, 0, sizeof books->account);
	for (int i = 0; i < WORKERS; i++)
		books->account[i].sure = 1;
	sem = &books->unnamed;
	if (!phase->named) {
		if (ph_sem_init(sem, 1, phase->units) != 0)
			broken("init: %s", strerror(errno));
		return;
	}
	sem = ph_sem_open(NAME, O_CREAT | O_EXCL | phase->oflag, 0600, phase->units);
	if (sem == SEM_FAILED)
		broken("create: %s", strerror(errno));
}

static void end(void)
{
	if (!phase->named ? ph_sem_destroy(sem) != 0
	                  : ph_sem_close(sem) != 0 || ph_sem_unlink(NAME) != 0)
		broken("end: %s", strerror(errno));
}

// They give back what they have, and each who sleeps is served by those who have.
static void stop(const pid_t *pids)
{
	int status;
	const struct timespec moment = {.tv_nsec = 1000000};

	__atomic_store_n(&books->stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < WORKERS; i++) {
		pid_t r;
		int n = 0;
		while ((r = waitpid(pids[i], &status, WNOHANG)) == 0 && n++ < PATIENCE_S * 1000)
			nanosleep(&moment, NULL);
		if (r == 0)
			broken("%s: a worker sleeps for ever", phase->name);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			broken("a worker ended badly: %#x", (unsigned)status);
	}
}

static void expect_all(void)
{
	unsigned units = 0;

	for (;;) {
		if (ph_sem_trywait(sem) == 0 || errno == EOWNERDEAD)
			units++;
		else
			break;
	}
	if (errno != EAGAIN)
		broken("trywait: %s", strerror(errno));
	if (units > phase->units || units + doubts < phase->units)
		broken("%s: %u units at the end instead of %u, in doubt %u", phase->name, units,
		       phase->units, doubts);
	for (; units > 0; units--)
		give(1);
}

static void episode(void)
{
	pid_t pids[WORKERS];

	make();
	for (int i = 0; i < WORKERS; i++)
		pids[i] = start(i);
	// There must be fewer units than workers, so that they sleep, and one at least that is not in doubt.
	for (int i = 0; i < KILLS && doubts + 1 < phase->units + with_holders() && books->failed == 0;
	     i++) {
		const int me = (int)chance(WORKERS);
		const struct timespec pause = {.tv_nsec = (long)chance(3000000)};
		nanosleep(&pause, NULL);
		bury(pids[me], &books->account[me]);
		pids[me] = start(me);
	}
	stop(pids);
	expect_all();
	if (with_holders()) {
		static struct ph_sem_info info;
		told += ph_sem_info(NAME, &info) == 0 ? info.returned : 0;
	}
	end();
	episodes++;
}

static void run(double seconds, const char *only)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		for (int i = 0; i < PHASES; i++) {
			phase = &phases[i];
			if (only == NULL || strcmp(only, phase->name) == 0)
				episode();
		}
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)(now.tv_sec - begin.tv_sec) < seconds);
	printf("%lu episodes, %lu kills, %lu units came back from the dead\n", episodes, kills, told);
	if (told == 0 && kills > 2000 && only == NULL)
		broken("nobody was killed with a unit");
}

int main(int argc, char **argv)
{
	double seconds = 4;
	const char *only = NULL;
	int status;
	char dir[] = "/dev/shm/sem_random.XXXXXX";

	for (int i = 1; i + 1 < argc; i++) {
		if (strcmp(argv[i], "--seconds") == 0)
			seconds = atof(argv[i + 1]);
		if (strcmp(argv[i], "--only") == 0)
			only = argv[i + 1];
	}
	if (mkdtemp(dir) == NULL || setenv("POSTHASTE_DIR", dir, 1) != 0)
		return 1;
	rng_state = (uint64_t)time(NULL) * 1000003 + (uint64_t)getpid();
	books = mmap(NULL, sizeof(*books), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (books == MAP_FAILED)
		return 1;
	const pid_t pid = fork();
	if (pid == 0) {
		run(seconds, only);
		fflush(stdout);
		_exit(0);
	}
	const bool good = waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
	                  WEXITSTATUS(status) == 0 && books->failed == 0;
	if (!good)
		printf("FAIL: %s\n", books->failure[0] != '\0' ? books->failure : "it died");
	printf("%d passed, %d failed\n", good, !good);
	ph_sem_unlink(NAME);
	rmdir(dir);
	return good ? 0 : 1;
}
