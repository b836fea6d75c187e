// SPDX-License-Identifier: MIT
//
// tests/kill/signal_random.c - senders and receivers at full speed, killed and stopped at random moments: what several do
// at the same time the sweep does not reach.
//
// An episode has two receivers, one that takes and one with a handler, and senders that number what they send to
// each. What a receiver gets of a sender must be numbered upwards; who was killed may have sent one more than its books
// say, and nobody less. At the end the senders stop, and each receiver must come to have all that the books say. A
// receiver that is killed is made anew: what was sent to the old one is gone, and senders are told so, or are late.

#include <posthaste/signal.h>

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SENDERS = 4, RECEIVERS = 2, LIVES = 64, KILLS = 25, PATIENCE_S = 30, NUMBER_BITS = 20 };

#define SIG (SIGRTMIN + 2)

// Of a sender's life to a receiver's life.
struct account {
	unsigned begun; // sends that were begun; done: that have returned with success
	unsigned done;
	unsigned got; // in the receiver's life
};

struct books {
	pid_t receiver[RECEIVERS];
	unsigned stop, failed;
	char failure[200];
	struct account account[SENDERS * LIVES][RECEIVERS];
};

static struct books *books;
static uint64_t rng_state;
static unsigned long kills, episodes, received;

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

// ---- receivers ----

static int me; // which receiver

static void book(const siginfo_t *info)
{
	const unsigned life = (unsigned)info->si_value.sival_int >> NUMBER_BITS;
	const unsigned number = (unsigned)info->si_value.sival_int & ((1 << NUMBER_BITS) - 1);

	if (info->si_code != SI_QUEUE || life >= SENDERS * LIVES)
		broken("nobody has sent code %d, value %x", info->si_code,
		       (unsigned)info->si_value.sival_int);
	struct account *a = &books->account[life][me];
	// Who waited in vain for a stopped sender went by the kernel, perhaps before; but never twice.
	if (number >= __atomic_load_n(&a->begun, __ATOMIC_SEQ_CST))
		broken("life %u: number %u was not sent", life, number);
	__atomic_fetch_add(&a->got, 1, __ATOMIC_SEQ_CST);
}

static void handler(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	book(info);
}

static void receive(void)
{
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIG);
	if (me == 0)
		ph_sigprocmask(SIG_BLOCK, &set, NULL);
	sigemptyset(&sa.sa_mask);
	if (ph_sigaction(SIG, &sa, NULL) != 0)
		broken("sigaction: %s", strerror(errno));
	__atomic_store_n(&books->receiver[me], getpid(), __ATOMIC_SEQ_CST);
	for (;;) {
		if (me == 0 && ph_sigwaitinfo(&set, &info) == SIG)
			book(&info);
		else if (me == 1 && chance(50) == 0) {
			ph_sigprocmask(SIG_BLOCK, &set, NULL);
			sched_yield();
			ph_sigprocmask(SIG_UNBLOCK, &set, NULL);
		} else if (me == 1) {
			sched_yield();
		}
	}
}

// ---- senders ----

static void send_to(unsigned life, int receiver)
{
	struct account *a = &books->account[life][receiver];
	const pid_t pid = __atomic_load_n(&books->receiver[receiver], __ATOMIC_SEQ_CST);
	const unsigned number = a->done;
	if (number == (1 << NUMBER_BITS) - 1)
		return; // no more numbers in this life

	__atomic_store_n(&a->begun, number + 1, __ATOMIC_SEQ_CST);
	const union sigval value = {.sival_int = (int)(life << NUMBER_BITS | number)};
	while (ph_sigqueue(pid, SIG, value) != 0) {
		if (errno != EAGAIN)
			broken("sigqueue: %s", strerror(errno));
		if (__atomic_load_n(&books->stop, __ATOMIC_RELAXED))
			return;
		sched_yield();
	}
	__atomic_store_n(&a->done, number + 1, __ATOMIC_SEQ_CST);
}

static void send(unsigned life)
{
	while (__atomic_load_n(&books->stop, __ATOMIC_RELAXED) == 0)
		send_to(life, (int)chance(RECEIVERS));
}

static pid_t start(void (*fn)(unsigned), unsigned life)
{
	rng_state += 0x1234567 + life;
	const pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		fn(life);
		_exit(0);
	}
	return pid;
}

static void be_receiver(unsigned which)
{
	me = (int)which;
	receive();
}

// ---- the killer ----

static void bury(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		broken("waitpid: %s", strerror(errno));
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		broken("somebody ended by himself: %#x", (unsigned)status);
}

static void pause_for(long ns)
{
	const struct timespec pause = {.tv_nsec = ns};

	nanosleep(&pause, NULL);
}

static bool has_all(int receiver, unsigned lives, unsigned *missing)
{
	*missing = 0;
	for (unsigned life = 0; life < lives; life++) {
		const struct account *a = &books->account[life][receiver];
		const unsigned got = __atomic_load_n(&a->got, __ATOMIC_SEQ_CST);
		if (got > a->begun)
			broken("life %u: %u came of %u", life, got, a->begun);
		*missing += got < a->done ? a->done - got : 0;
	}
	return *missing == 0;
}

static void expect_all(unsigned lives)
{
	for (int r = 0; r < RECEIVERS; r++) {
		unsigned missing;
		for (int ms = 0; !has_all(r, lives, &missing); ms++) {
			if (ms > PATIENCE_S * 1000)
				broken("receiver %d sleeps beside %u signals", r, missing);
			pause_for(1000000);
		}
	}
	for (unsigned life = 0; life < lives; life++)
		for (int r = 0; r < RECEIVERS; r++)
			received += books->account[life][r].got;
}

static void episode(void)
{
	pid_t senders[SENDERS], receivers[RECEIVERS];
	unsigned lives = 0;
	int status;

	memset(books, 0, sizeof *books);
	for (unsigned r = 0; r < RECEIVERS; r++)
		receivers[r] = start(be_receiver, r);
	for (int r = 0; r < RECEIVERS; r++)
		while (__atomic_load_n(&books->receiver[r], __ATOMIC_SEQ_CST) == 0)
			sched_yield();
	for (int i = 0; i < SENDERS; i++)
		senders[i] = start(send, lives++);
	for (int i = 0; i < KILLS; i++) {
		const uint64_t which = chance(SENDERS);
		pause_for((long)chance(3000000));
		if (chance(4) == 0) { // stopped for longer than anybody waits for a lock
			kill(senders[which], SIGSTOP);
			pause_for(25000000);
			kill(senders[which], SIGCONT);
			continue;
		}
		bury(senders[which]);
		kills++;
		senders[which] = start(send, lives++);
	}
	__atomic_store_n(&books->stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < SENDERS; i++)
		if (waitpid(senders[i], &status, 0) != senders[i] || status != 0)
			broken("a sender ended badly: %#x", (unsigned)status);
	expect_all(lives);
	for (int r = 0; r < RECEIVERS; r++) {
		bury(receivers[r]);
		if (ph_sigqueue(receivers[r], SIG, (union sigval){.sival_int = 0}) == 0 || errno != ESRCH)
			broken("a send to the dead says %s", strerror(errno));
	}
	episodes++;
}

static void run(double seconds)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		episode();
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)(now.tv_sec - begin.tv_sec) < seconds);
	printf("%lu episodes, %lu kills, %lu signals\n", episodes, kills, received);
}

int main(int argc, char **argv)
{
	double seconds = 4;
	int status;
	char dir[] = "/dev/shm/signal_random.XXXXXX";
	char name[80];

	if (argc > 2 && strcmp(argv[1], "--seconds") == 0)
		seconds = atof(argv[2]);
	if (mkdtemp(dir) == NULL || setenv("POSTHASTE_DIR", dir, 1) != 0)
		return 1;
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
		printf("FAIL: %s\n", books->failure[0] != '\0' ? books->failure : "it died");
	printf("%d passed, %d failed\n", good, !good);
	ph_sigqueue_depth(0); // who makes a port takes away what the killed have left
	snprintf(name, sizeof name, "rm -rf '%s'", dir);
	return system(name) == 0 && good ? 0 : 1;
}
