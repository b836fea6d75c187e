// SPDX-License-Identifier: MIT
//
// stop.c - see stop.h.
#include "stop.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "progress.h"

static volatile sig_atomic_t asked; // the signal that asked, 0 = none
static volatile sig_atomic_t idle_now;
static void (*hook)(void);

static void die_of(int signo)
{
	progress_wipe();
	signal(signo, SIG_DFL);
	raise(signo); // inside the handler it is pending until the return
}

static void on_signal(int signo)
{
	asked = signo;
	if (idle_now)
		die_of(signo);
	if (hook)
		hook();
}

// A signal that the parent ignores (nohup, a background job of a script) stays ignored.
static void catch_unless_ignored(int signo)
{
	struct sigaction old, ours = {.sa_handler = on_signal};

	sigemptyset(&ours.sa_mask);
	if (sigaction(signo, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(signo, &ours, NULL);
}

void stop_install(void)
{
	catch_unless_ignored(SIGINT);
	catch_unless_ignored(SIGTERM);
	catch_unless_ignored(SIGHUP);
}

void stop_hook(void (*also)(void))
{
	hook = also;
}

bool stop_asked(void)
{
	return asked != 0;
}

int stop_signal(void)
{
	return asked;
}

void stop_ask(int signo)
{
	asked = signo;
}

void stop_idle(bool idle)
{
	idle_now = idle;
	if (idle && asked)
		stop_now();
}

_Noreturn void stop_now(void)
{
	die_of(asked ? asked : SIGTERM);
	_exit(128 + (asked ? asked : SIGTERM));
}
