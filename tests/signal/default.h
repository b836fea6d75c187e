// SPDX-License-Identifier: MIT
//
// tests/signal/default.h - the default action of every signal, and a child to which it happens: sent in one
// of several ways, its status as waitpid tells it.
#ifndef TESTS_SIGNAL_DEFAULT_H
#define TESTS_SIGNAL_DEFAULT_H

#include "signals.h"

#include <dirent.h>
#include <sys/prctl.h>

enum action { ENDS, DUMPS, STOPS, GOES_ON, NOTHING };

static const enum action default_action[32] = {
	[SIGHUP] = ENDS,     [SIGINT] = ENDS,     [SIGQUIT] = DUMPS,  [SIGILL] = DUMPS,
	[SIGTRAP] = DUMPS,   [SIGABRT] = DUMPS,   [SIGBUS] = DUMPS,   [SIGFPE] = DUMPS,
	[SIGKILL] = ENDS,    [SIGUSR1] = ENDS,    [SIGSEGV] = DUMPS,  [SIGUSR2] = ENDS,
	[SIGPIPE] = ENDS,    [SIGALRM] = ENDS,    [SIGTERM] = ENDS,   [SIGSTKFLT] = ENDS,
	[SIGCHLD] = NOTHING, [SIGCONT] = GOES_ON, [SIGSTOP] = STOPS,  [SIGTSTP] = STOPS,
	[SIGTTIN] = STOPS,   [SIGTTOU] = STOPS,   [SIGURG] = NOTHING, [SIGXCPU] = DUMPS,
	[SIGXFSZ] = DUMPS,   [SIGVTALRM] = ENDS,  [SIGPROF] = ENDS,   [SIGWINCH] = NOTHING,
	[SIGIO] = ENDS,      [SIGPWR] = ENDS,     [SIGSYS] = DUMPS,
};

enum way {
	BY_SYSTEM_CALL, // what the others are compared with
	BY_KILL,
	BY_KILLPG,
	BY_SIGQUEUE,
	BY_OWN_KILL, // the child sends to itself, from here on
	BY_OWN_SIGQUEUE,
	BY_RAISE,
	BY_PTHREAD_KILL,
	BY_UNBLOCKING, // it was pending
	WAYS
};

enum { ALIVE = 42 };

struct victim {
	struct stage stage;
	int sig;
	enum way way;
	bool had_handler; // until just before
	bool sleeps;      // in a call, else it computes
};

// The child's part, where it sends to itself.
static inline void send_as_victim(const struct victim *v)
{
	const bool blockable = v->sig != SIGKILL && v->sig != SIGSTOP;

	switch (v->way) {
	case BY_OWN_KILL: CHECK_OK(kill(getpid(), v->sig)); break;
	case BY_OWN_SIGQUEUE: send_self(v->sig, 1); break;
	case BY_RAISE: CHECK_OK(raise(v->sig)); break;
	case BY_PTHREAD_KILL: CHECK_EQ(pthread_kill(pthread_self(), v->sig), 0); break;
	case BY_UNBLOCKING:
		block(SET(v->sig));
		CHECK_OK(kill(getpid(), v->sig));
		CHECK(!blockable || is_pending(v->sig));
		unblock(SET(v->sig));
		break;
	default: break;
	}
}

static inline void be_victim(void *arg)
{
	struct victim *v = arg;

	CHECK_OK(setpgid(0, 0));
	for (int sig = 1; sig <= SIGRTMAX; sig++)
		if ((sig < 32 || sig >= SIGRTMIN) && sig != SIGKILL && sig != SIGSTOP)
			dispose(sig, SIG_DFL);
	if (v->had_handler && v->sig != SIGKILL && v->sig != SIGSTOP) {
		note_signal(v->sig);
		CHECK_OK(raise(v->sig));
		CHECK_EQ(atomic_load(&noted), 1);
		dispose(v->sig, SIG_DFL);
	}
	v->stage.pid = getpid();
	arrive(&v->stage);
	send_as_victim(v);
	if (v->sleeps)
		wait_count(&v->stage.go, 1);
	compute_until(&v->stage.go, 1);
	_exit(ALIVE);
}

static inline void send_to_victim(const struct victim *v, pid_t pid)
{
	switch (v->way) {
	case BY_SYSTEM_CALL: CHECK_OK(syscall(SYS_kill, pid, v->sig)); break;
	case BY_KILL: CHECK_OK(kill(pid, v->sig)); break;
	case BY_KILLPG: CHECK_OK(killpg(pid, v->sig)); break;
	case BY_SIGQUEUE: send_value(pid, v->sig, 1); break;
	default: break;
	}
}

static inline void let_end(struct victim *v, pid_t pid)
{
	atomic_store(&v->stage.go, 1);
	expect_exit(pid, ALIVE);
}

// Let it happen to a child; the status of one that ended, 0 of one that did not.
static inline int happen(struct victim *v, enum action action)
{
	atomic_store(&v->stage.go, 0);
	const pid_t pid = fork_ready(be_victim, &v->stage);

	send_to_victim(v, pid);
	switch (action) {
	case ENDS:
	case DUMPS: return end_of(pid);
	case STOPS:
		expect_stopped(pid, v->sig);
		CHECK_OK(kill(pid, SIGCONT));
		expect_continued(pid);
		break;
	case GOES_ON:
		CHECK_OK(kill(pid, SIGSTOP));
		expect_stopped(pid, SIGSTOP);
		CHECK_OK(kill(pid, v->sig));
		expect_continued(pid);
		break;
	default: break;
	}
	let_end(v, pid);
	return 0;
}

#endif
