// SPDX-License-Identifier: MIT
//
// tests/core/signal_order.c - one sender's signals of a number stay in order when some went through the port's queue and some
// had to go by the kernel, because somebody had the port's lock: every play of two senders and four signals, and one where
// the kernel has delivered a signal already when the library looks.
#include "posthaste/signal.h"
#include "runner.h"
#include "signal/port.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SENDERS = 2, JAMMER = SENDERS, ACTORS, LENGTH_MOST = 4 };
enum order { SEND = 's', KILL = 'k', JAM = 'j', CLEAR = 'c' };

#define SIGNO (SIGRTMIN + 2)
#define HIGHER (SIGRTMIN + 3)

// ---- actors: each does one thing when it is told to, and says when it is done ----

struct actor {
	pid_t pid, target;
	int number; // of its next signal
	int orders[2], answers[2];
};

static struct actor actors[ACTORS];

static void jam(struct actor *a, bool begin)
{
	static struct signal_peer *p;
	static struct phi_hold h;

	if (begin) {
		p = phi_peer_get(a->target, PHI_PEER_LOOK);
		CHECK(p != NULL);
		phi_enter(&h);
		CHECK_EQ(phi_lock_take(&h, &p->port->send, -1), 0);
	} else {
		phi_lock_drop(&h, &p->port->send);
		phi_leave(&h);
		phi_peer_put(p);
	}
}

// The kernel's queue is one for all processes of a user: another test may have filled it.
static void send_patiently(pid_t target, union sigval number)
{
	while (ph_sigqueue(target, SIGNO, number) != 0) {
		CHECK_EQ(errno, EAGAIN);
		sched_yield();
	}
}

static void act(void *arg)
{
	struct actor *a = arg;
	char order;

	close(a->orders[1]);
	while (read(a->orders[0], &order, 1) == 1) {
		const union sigval number = {.sival_int = a->number};
		if (order == JAM || order == CLEAR)
			jam(a, order == JAM);
		else if (order == SEND)
			send_patiently(a->target, number);
		else
			CHECK_OK(ph_kill(a->target, SIGNO));
		a->number += order == SEND || order == KILL;
		CHECK_EQ(write(a->answers[1], &order, 1), 1);
	}
}

static void tell(int who, enum order what)
{
	char order = (char)what;

	CHECK_EQ(write(actors[who].orders[1], &order, 1), 1);
	CHECK_EQ(read(actors[who].answers[0], &order, 1), 1);
}

static void start_actors(void)
{
	for (int i = 0; i < ACTORS; i++) {
		struct actor *a = &actors[i];
		*a = (struct actor){.target = getpid()};
		CHECK_OK(pipe(a->orders));
		CHECK_OK(pipe(a->answers));
		a->pid = test_fork(act, a);
		close(a->orders[0]);
		close(a->answers[1]);
	}
}

static void end_actors(void)
{
	for (int i = ACTORS - 1; i >= 0; i--) { // the later ones have the earlier ones' pipes
		close(actors[i].orders[1]);
		close(actors[i].answers[0]);
		test_join(actors[i].pid);
	}
}

// ---- plays ----

struct step {
	int who;
	enum order what;
	bool by_kernel;
};

struct play {
	int length;
	struct step step[LENGTH_MOST];
};

static void perform(const struct step *s)
{
	if (s->by_kernel)
		tell(JAMMER, JAM);
	tell(s->who, s->what);
	if (s->by_kernel)
		tell(JAMMER, CLEAR);
}

static struct play play;
static int base[SENDERS], received[SENDERS], all_received;

// What this sender has sent as its next one.
static const struct step *expected_of(int who)
{
	int n = 0;
	for (int i = 0; i < play.length; i++)
		if (play.step[i].who == who && n++ == received[who])
			return &play.step[i];
	return NULL;
}

static void enter(const siginfo_t *info)
{
	int who = 0;
	while (who < SENDERS && actors[who].pid != info->si_pid)
		who++;
	CHECK(who < SENDERS);
	const struct step *s = expected_of(who);
	CHECK(s != NULL);
	CHECK_EQ(info->si_signo, SIGNO);
	CHECK_EQ(info->si_uid, getuid());
	CHECK_EQ(info->si_code, s->what == SEND ? SI_QUEUE : SI_USER);
	if (s->what == SEND)
		CHECK_EQ(info->si_value.sival_int, base[who] + received[who]);
	received[who]++;
	all_received++;
}

static void on_signal(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	enter(info);
}

static void perform_all(void)
{
	for (int i = 0; i < SENDERS; i++)
		base[i] += received[i];
	memset(received, 0, sizeof received);
	all_received = 0;
	for (int i = 0; i < play.length; i++)
		perform(&play.step[i]);
}

static sigset_t just(int signo)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signo);
	return set;
}

static void handle(int signo, void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigaction(signo, &sa, NULL));
}

// ---- who receives ----

static void take_all(void)
{
	const sigset_t set = just(SIGNO);
	siginfo_t info;
	while (all_received < play.length) {
		CHECK_EQ(ph_sigwaitinfo(&set, &info), SIGNO);
		enter(&info);
	}
}

static void unblock_all(void)
{
	const sigset_t set = just(SIGNO);
	CHECK_OK(ph_sigprocmask(SIG_UNBLOCK, &set, NULL));
	CHECK_EQ(all_received, play.length);
	CHECK_OK(ph_sigprocmask(SIG_BLOCK, &set, NULL));
}

static void suspend_for_all(void)
{
	sigset_t mask;
	sigemptyset(&mask);
	while (all_received < play.length)
		CHECK_ERR(ph_sigsuspend(&mask), EINTR);
}

static void every_play_of_two(void (*receive)(void))
{
	play.length = LENGTH_MOST;
	for (int n = 0; n < 1 << (2 * LENGTH_MOST - 1); n++) { // the first step is the first sender's
		for (int i = 0; i < LENGTH_MOST; i++)
			play.step[i] = (struct step){n >> (2 * i + 1) & 1, SEND, n >> (2 * i) & 1};
		perform_all();
		receive();
	}
}

static void every_play_of_one_that_also_kills(void (*receive)(void))
{
	play.length = LENGTH_MOST - 1;
	for (int n = 0; n < 1 << (2 * play.length); n++) {
		for (int i = 0; i < play.length; i++)
			play.step[i] = (struct step){0, n >> (2 * i + 1) & 1 ? KILL : SEND, n >> (2 * i) & 1};
		perform_all();
		receive();
	}
}

static void prepare(bool take)
{
	const sigset_t set = just(SIGNO);
	const struct timespec none = {0, 0};
	CHECK_OK(ph_sigprocmask(SIG_BLOCK, &set, NULL));
	if (take)
		CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN); // from now on it is looked for
	else
		handle(SIGNO, on_signal);
	start_actors();
}

TEST(taker_gets_each_senders_signals_in_order)
{
	prepare(true);
	every_play_of_two(take_all);
	every_play_of_one_that_also_kills(take_all);
	end_actors();
}

TEST(handler_gets_each_senders_signals_in_order_when_unblocked)
{
	prepare(false);
	every_play_of_two(unblock_all);
	every_play_of_one_that_also_kills(unblock_all);
	end_actors();
}

TEST(handler_gets_each_senders_signals_in_order_in_sigsuspend)
{
	prepare(false);
	every_play_of_two(suspend_for_all);
	end_actors();
}

// Before it has a port, then by the kernel, then by the queue.
TEST(signals_of_before_the_port_come_before_those_of_after)
{
	const sigset_t set = just(SIGNO), other = just(HIGHER);
	const struct timespec none = {0, 0};

	start_actors();
	CHECK_OK(ph_sigprocmask(SIG_BLOCK, &set, NULL));
	play = (struct play){2, {{0, SEND, false}, {0, SEND, false}}};
	perform_all();
	CHECK_ERR(ph_sigtimedwait(&other, NULL, &none), EAGAIN); // makes the port
	handle(SIGNO, on_signal);
	const struct step later[] = {{0, SEND, true}, {0, SEND, true}, {0, SEND, false}};
	for (int i = 0; i < 3; i++)
		perform(&later[i]);
	siginfo_t info;
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(ph_sigwaitinfo(&set, &info), SIGNO);
		CHECK_EQ(info.si_value.sival_int, i);
	}
	end_actors();
}

// ---- delivered already ----

static int at_higher = -1;

static void on_higher(int signo)
{
	(void)signo;
	at_higher = all_received;
}

// The kernel makes a frame for the one that it has, and above it one for the higher number: that one's stub looks into the
// port first, and finds what came after the one in the frame.
static void play_beside_a_higher_one(const struct play *p)
{
	struct sigaction sa = {.sa_handler = on_higher};
	sigset_t both = just(SIGNO);

	prepare(false);
	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigaction(HIGHER, &sa, NULL));
	sigaddset(&both, HIGHER);
	CHECK_OK(ph_sigprocmask(SIG_BLOCK, &both, NULL));
	play = *p;
	perform_all();
	CHECK_OK(kill(getpid(), HIGHER)); // from a stranger
	// Past the library, which would look into the port before.
	CHECK_OK(syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, &both, NULL, 8));
	CHECK_EQ(at_higher, 0);
	CHECK_EQ(all_received, play.length);
	end_actors();
}

TEST(signal_that_is_in_a_frame_already_comes_before_later_ones)
{
	play_beside_a_higher_one(
		&(struct play){3, {{0, SEND, true}, {0, SEND, false}, {0, SEND, false}}});
}

TEST(signal_that_is_in_a_frame_already_comes_before_later_ones_of_the_kernel)
{
	play_beside_a_higher_one(
		&(struct play){4, {{0, SEND, true}, {1, SEND, true}, {0, SEND, true}, {0, SEND, false}}});
}
