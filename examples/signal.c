// SPDX-License-Identifier: MIT
//
// Signals with values, handled at once: the child computes, and is interrupted by what the parent sends. In a handler that
// may interrupt anything, only async-signal-safe calls are allowed: it adds to two variables, and no more.
#include <posthaste/signal.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIGNALS 1000

static volatile sig_atomic_t got;
static volatile long sum;

static void add(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	sum += info->si_value.sival_int;
	got++;
}

static int compute(int ready)
{
	struct sigaction act = {.sa_flags = SA_SIGINFO | SA_RESTART};
	act.sa_sigaction = add;
	sigemptyset(&act.sa_mask);
	if (ph_sigaction(SIGRTMIN, &act, NULL) != 0 || write(ready, "!", 1) != 1)
		return 1;
	while (got < SIGNALS) // no call at all: it is interrupted
		;
	printf("%d signals, sum %ld\n", (int)got, sum);
	return sum == (long)SIGNALS * (SIGNALS + 1) / 2 ? 0 : 1;
}

int main(void)
{
	int ready[2];
	char mark;
	if (pipe(ready) != 0)
		return 1;
	pid_t child = fork();
	if (child == 0)
		exit(compute(ready[1]));
	if (child < 0 || read(ready[0], &mark, 1) != 1)
		return 1;
	for (int i = 1; i <= SIGNALS; i++)
		if (ph_sigqueue(child, SIGRTMIN, (union sigval){.sival_int = i}) != 0)
			perror("ph_sigqueue");
	int status;
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}
