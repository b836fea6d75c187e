// SPDX-License-Identifier: MIT
//
// tests/signal/extra_cxx.cc - the header in C++: it compiles, links as C, and the POSIX names map.
#include <posthaste/posix.h>

#include <cstring>

#include "runner.h"

static int handled;

static void count(int)
{
	handled = handled + 1;
}

TEST(posix_names_work_in_cxx)
{
	struct sigaction sa = {};
	sigset_t set, pending;
	siginfo_t info;
	const struct timespec none = {0, 0};

	sa.sa_handler = count;
	CHECK_OK(sigaction(SIGUSR1, &sa, nullptr));
	CHECK_OK(raise(SIGUSR1));
	CHECK_EQ(handled, 1);
	CHECK(signal(SIGUSR2, SIG_IGN) == SIG_DFL);
	CHECK_OK(sigemptyset(&set));
	CHECK_OK(sigaddset(&set, SIGRTMIN));
	CHECK_OK(sigprocmask(SIG_BLOCK, &set, nullptr));
	union sigval value = {};
	value.sival_int = 7;
	CHECK_OK(sigqueue(getpid(), SIGRTMIN, value));
	CHECK_OK(sigpending(&pending));
	CHECK_EQ(sigismember(&pending, SIGRTMIN), 1);
	CHECK_EQ(sigtimedwait(&set, &info, &none), SIGRTMIN);
	CHECK_EQ(info.si_value.sival_int, 7);
}

TEST(posix_names_can_be_taken_the_address_of_in_cxx)
{
	int (*send)(pid_t, int) = kill;
	int (*wait)(const sigset_t *, siginfo_t *) = &sigwaitinfo;
	ph_sighandler_t (*install)(int, ph_sighandler_t) = signal;
	sigset_t set;

	CHECK(install(SIGUSR1, count) == SIG_DFL);
	CHECK_OK(send(getpid(), SIGUSR1));
	CHECK_EQ(handled, 1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_OK(sigprocmask(SIG_BLOCK, &set, nullptr));
	CHECK_OK(send(getpid(), SIGUSR1));
	CHECK_EQ(wait(&set, nullptr), SIGUSR1);
}

TEST(own_calls_work_in_cxx)
{
	static struct ph_signal_info info = {};
	sigset_t set;
	size_t bytes = 0;
	siginfo_t got;
	const struct timespec none = {0, 0};
	union sigval value = {};

	CHECK_OK(ph_sigqueue_depth(10));
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK_OK(ph_sigprocmask(SIG_BLOCK, &set, nullptr));
	CHECK_ERR(ph_sigtimedwait(&set, nullptr, &none), EAGAIN);
	CHECK_OK(ph_sigport_join(test_name(), &set, 0600));
	CHECK_EQ(ph_sigport_send(test_name(), SIGRTMIN, value, "abc", 4), 1);
	CHECK_EQ(ph_sigtimedwait(&set, &got, &none), SIGRTMIN);
	const char *payload = static_cast<const char *>(ph_siginfo_payload(&got, &bytes));
	CHECK(payload != nullptr && bytes == 4 && std::strcmp(payload, "abc") == 0);
	CHECK_OK(ph_signal_info(getpid(), &info));
	CHECK_EQ(info.depth, 10);
	CHECK_OK(ph_sigport_leave(test_name()));
	CHECK_EQ(ph_sigdispatch(), 0);
}
