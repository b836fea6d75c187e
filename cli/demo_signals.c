// SPDX-License-Identifier: MIT
//
// demo_signals.c - see demo_signals.h.
#include "demo_signals.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>

#include <posthaste/signal.h>

#include "progress.h"
#include "signal/fork.h"
#include "signals_left.h"
#include "stop.h"

#define PROGRESS (SIGRTMIN + 1)

static struct demo_told told;
static bool leaving;

static void on_progress(int signo, siginfo_t *info, void *context)
{
	(void)signo, (void)context;
	told.signals++;
	told.bytes += (unsigned)info->si_value.sival_int;
	progress_at(told.bytes);
}

static void on_stop(int signo)
{
	stop_ask(signo);
}

static void on_leave(int signo)
{
	(void)signo;
	leaving = true;
}

// Signals that ask for the end, and what was arranged for them.
static struct {
	int signo;
	struct sigaction before;
} stops[] = {{.signo = SIGINT}, {.signo = SIGTERM}, {.signo = SIGHUP}};
enum { STOPS = sizeof stops / sizeof *stops };

static void handle(int signo, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = PH_SA_SAFEPOINT};

	sigemptyset(&action.sa_mask);
	ph_sigaction(signo, &action, NULL);
}

void demo_signals_begin(void)
{
	struct sigaction progress = {.sa_flags = SA_SIGINFO | SA_RESTART | PH_SA_SAFEPOINT};

	told = (struct demo_told){0};
	progress.sa_sigaction = on_progress;
	sigemptyset(&progress.sa_mask);
	ph_sigaction(PROGRESS, &progress, NULL);
	for (size_t i = 0; i < STOPS; i++) {
		ph_sigaction(stops[i].signo, NULL, &stops[i].before);
		if (stops[i].before.sa_handler != SIG_IGN) // as nohup and scripts ask for
			handle(stops[i].signo, on_stop);
	}
}

void demo_signals_end(void)
{
	ph_sigdispatch(); // a request to stop that is under way is heard
	for (size_t i = 0; i < STOPS; i++)
		ph_sigaction(stops[i].signo, &stops[i].before, NULL);
	ph_signal(PROGRESS, SIG_IGN);
}

struct demo_told demo_signals_told(void)
{
	ph_sigdispatch();
	return told;
}

void demo_signals_mind(void)
{
	ph_signal(PROGRESS, SIG_IGN);
	ph_signal(SIGINT, SIG_IGN);
	ph_signal(SIGHUP, SIG_IGN);
	handle(SIGTERM, on_leave);
}

bool demo_signals_leaving(void)
{
	return leaving;
}

bool demo_signals_tell(pid_t parent, uint32_t bytes)
{
	return ph_sigqueue(parent, PROGRESS, (union sigval){.sival_int = (int)bytes}) == 0;
}

void demo_signals_leave(void)
{
	phi_signal_exit();
}

void demo_signals_forget(pid_t pid)
{
	signals_forget(pid);
}
