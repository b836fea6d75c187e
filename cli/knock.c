// SPDX-License-Identifier: MIT
//
// knock.c - see knock.h. One timer does both: it is set to the end of the silence, and once there is a
// reason to end it goes on by itself.
#include "knock.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include "memory.h"
#include "stop.h"

#define SECOND_NS INT64_C(1000000000)
#define AGAIN_NS INT64_C(10000000)

static timer_t timer;
static int64_t limit_ns = -1; // negative = none
static _Atomic int64_t moved_ns;
static volatile sig_atomic_t silent;

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void set_timer(int64_t first_ns)
{
	const struct itimerspec when = {
		.it_value = {first_ns / SECOND_NS, first_ns % SECOND_NS + (first_ns == 0)},
		.it_interval = {0, AGAIN_NS},
	};

	timer_settime(timer, 0, &when, NULL);
}

static void on_alarm(int signo)
{
	(void)signo;
	if (limit_ns < 0 || silent || stop_asked())
		return;
	const int64_t left = moved_ns + limit_ns - now_ns();

	if (left > 0)
		set_timer(left);
	else
		silent = 1;
}

static void on_stop(void)
{
	set_timer(AGAIN_NS);
}

void knock_install(double seconds)
{
	struct sigaction action = {.sa_handler = on_alarm}; // no SA_RESTART

	sigemptyset(&action.sa_mask);
	sigaction(SIGALRM, &action, NULL);
	if (timer_create(CLOCK_MONOTONIC, NULL, &timer) != 0)
		memory_exhausted();
	stop_hook(on_stop);
	stop_install();
	if (seconds < 0)
		return;
	limit_ns = (int64_t)(seconds * (double)SECOND_NS);
	knock_moved();
	set_timer(limit_ns);
}

void knock_moved(void)
{
	if (limit_ns >= 0)
		moved_ns = now_ns();
}

enum knock knock_heard(void)
{
	return stop_asked() ? KNOCK_STOP : silent ? KNOCK_SILENCE : KNOCK_NONE;
}
