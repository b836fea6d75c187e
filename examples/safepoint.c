// SPDX-License-Identifier: MIT
//
// Handlers at safe points: the handler runs when a call of the library returns, never in the middle of anything. So it may
// allocate, print and take locks. Here it keeps a list of what it was told, while the program waits in a queue.
#include <posthaste/mqueue.h>
#include <posthaste/signal.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct told {
	int value;
	struct told *next;
};

static struct told *list;

static void remember(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	struct told *t = malloc(sizeof *t); // not allowed in an ordinary handler
	if (t == NULL)
		return;
	*t = (struct told){info->si_value.sival_int, list};
	list = t;
	printf("told %d\n", t->value); // neither is this
}

static void send_all(mqd_t jobs)
{
	for (int i = 1; i <= 3; i++)
		ph_sigqueue(getppid(), SIGRTMIN, (union sigval){.sival_int = i});
	ph_mq_send(jobs, "done", 5, 0);
}

int main(void)
{
	char text[16];
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = sizeof text};
	struct sigaction act = {.sa_flags = SA_SIGINFO | SA_RESTART | PH_SA_SAFEPOINT};
	act.sa_sigaction = remember;
	sigemptyset(&act.sa_mask);
	mqd_t jobs = ph_mq_open("/safepoint", O_CREAT | O_RDWR, 0600, &attr);
	if (jobs == (mqd_t)-1 || ph_sigaction(SIGRTMIN, &act, NULL) != 0) {
		perror("safepoint");
		return 1;
	}
	ph_mq_unlink("/safepoint");
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		send_all(jobs);
		_exit(0);
	}
	// Interrupted for the handlers, and made again: SA_RESTART.
	ssize_t n = ph_mq_receive(jobs, text, sizeof text, NULL);
	int sum = 0;
	for (struct told *t = list; t != NULL; t = t->next)
		sum += t->value;
	printf("message: %s, sum %d\n", n > 0 ? text : "none", sum);
	waitpid(child, NULL, 0);
	return n > 0 && sum == 6 ? 0 : 1;
}
