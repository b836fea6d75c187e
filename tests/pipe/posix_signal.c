// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_signal.c - a signal handler runs while a call sleeps: EINTR without SA_RESTART, going on with
// it, what is in already is the result; the handler may use the same pipe, or never return. Handlers while
// the pipe streams are in posix_storm.c, SIGPIPE in posix_end.c.
#include "ends.h"

#include <setjmp.h>

static atomic_int handled;

static void count_signal(int sig)
{
	(void)sig;
	atomic_fetch_add(&handled, 1);
}

static void handle_by(int sig, void (*fn)(int), int flags)
{
	struct sigaction sa = {.sa_handler = fn, .sa_flags = flags};

	CHECK_OK(sigaction(sig, &sa, NULL));
}

// Signal the sleeping worker and wait until its handler has run.
static void interrupt(struct worker *w)
{
	const int before = atomic_load(&handled);

	CHECK_EQ(pthread_kill(w->thread, SIGUSR1), 0);
	wait_count(&handled, before + 1);
}

static void expect_eintr(struct worker *w)
{
	finish(w);
	CHECK_EQ(w->result, -1);
	CHECK_EQ(w->error, EINTR);
}

/* ---- asleep ---- */

TEST(read_interrupted_by_a_handler_is_eintr)
{
	int p[2];
	struct worker w;

	handle_by(SIGUSR1, count_signal, 0);
	make_pipe(p);
	for (int i = 0; i < 20; i++) {
		start_and_block(&w, work_read, p[R], 10);
		interrupt(&w);
		expect_eintr(&w);
		flow_from_child(p, SHORT_FLOW);
	}
	put(p[W], "after");
	expect(p[R], "after");
	drop_pipe(p);
}

TEST(write_interrupted_by_a_handler_is_eintr_and_writes_nothing)
{
	int p[2];
	struct worker w = {0};

	handle_by(SIGUSR1, count_signal, 0);
	make_pipe(p);
	for (int i = 0; i < 20; i++) {
		const size_t full = fill_up(p[W], 4096, 0);
		start_and_block(&w, work_write, p[W], i % 2 ? 4096 : 100000);
		interrupt(&w);
		expect_eintr(&w);
		take_chunk(p[R], full, 0);
		expect_empty(p[R]);
		flow_to_child(p, SHORT_FLOW);
	}
	drop_pipe(p);
}

TEST(large_write_interrupted_by_a_handler_tells_what_is_in)
{
	int p[2];
	struct worker w = {0};

	for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
		handle_by(SIGUSR1, count_signal, flags);
		make_pipe(p);
		start_and_block(&w, work_write, p[W], 1 << 20);
		take_chunk(p[R], 200000, 0);
		wait_thread_asleep(&w);
		interrupt(&w);
		finish(&w);
		CHECK(w.result > 200000 && w.result < 1 << 20);
		CHECK_EQ(available(p[R]), w.result - 200000);
		take_chunk(p[R], (size_t)w.result - 200000, 200000);
		expect_empty(p[R]);
		drop_pipe(p);
	}
}

TEST(read_goes_on_after_a_handler_with_sa_restart)
{
	int p[2];
	struct worker w;

	handle_by(SIGUSR1, count_signal, SA_RESTART);
	make_pipe(p);
	flow_from_child(p, FLOW);
	start_and_block(&w, work_read, p[R], 10);
	for (int i = 0; i < 5; i++) {
		interrupt(&w);
		wait_thread_asleep(&w);
	}
	put(p[W], "finally");
	finish_with(&w, "finally");
	drop_pipe(p);
}

TEST(write_goes_on_after_a_handler_with_sa_restart)
{
	int p[2];
	struct worker w = {0};

	handle_by(SIGUSR1, count_signal, SA_RESTART);
	make_pipe(p);
	flow_to_child(p, FLOW);
	const size_t full = fill_up(p[W], 4096, 0);
	w.position = full;
	start_and_block(&w, work_write, p[W], 4096);
	for (int i = 0; i < 5; i++) {
		interrupt(&w);
		wait_thread_asleep(&w);
	}
	take_chunk(p[R], 4096, 0);
	finish(&w);
	CHECK_EQ(w.result, 4096);
	take_chunk(p[R], full, 4096);
	drop_pipe(p);
}

TEST(blocked_signal_does_not_interrupt)
{
	int p[2];
	struct worker w;
	sigset_t set;

	handle_by(SIGUSR1, count_signal, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	make_pipe(p);
	start_and_block(&w, work_read, p[R], 10);
	CHECK_EQ(pthread_kill(w.thread, SIGUSR1), 0);
	wait_thread_asleep(&w);
	CHECK_EQ(atomic_load(&w.done), 0);
	put(p[W], "x");
	finish_with(&w, "x");
	CHECK_EQ(atomic_load(&handled), 0);
	drop_pipe(p);
}

static bool is_stopped(void *arg)
{
	siginfo_t info = {0};

	return waitid(P_PID, (id_t) * (pid_t *)arg, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid;
}

static void expect_hello(void *arg)
{
	expect(*(int *)arg, "hello");
}

TEST(stop_and_continue_do_not_interrupt)
{
	int p[2];

	make_pipe(p);
	pid_t pid = test_fork(expect_hello, &p[R]);
	test_wait_asleep(pid);
	for (int i = 0; i < 3; i++) {
		CHECK_OK(kill(pid, SIGSTOP));
		test_wait_until(is_stopped, &pid);
		CHECK_OK(kill(pid, SIGCONT));
		test_wait_asleep(pid);
	}
	put(p[W], "hello");
	test_join(pid);
	drop_pipe(p);
}

/* ---- the handler uses the pipe ---- */

static int self_pipe[2];

static void write_to_self(int sig)
{
	const int saved = errno;

	(void)sig;
	CHECK_EQ(write(self_pipe[W], "wake up!", 8), 8);
	errno = saved;
	atomic_fetch_add(&handled, 1);
}

TEST(handler_writes_what_its_own_thread_waits_for)
{
	handle_by(SIGUSR1, write_to_self, SA_RESTART);
	make_pipe(self_pipe);
	for (int i = 0; i < 50; i++) {
		struct worker w;
		start_and_block(&w, work_read, self_pipe[R], 8);
		interrupt(&w);
		finish_with(&w, "wake up!");
		flow_from_child(self_pipe, 2000);
	}
	drop_pipe(self_pipe);
}

static void read_a_page_of_self(int sig)
{
	char buf[4096];

	(void)sig;
	CHECK_EQ(read(self_pipe[R], buf, sizeof(buf)), 4096);
	atomic_fetch_add(&handled, 1);
}

TEST(handler_makes_the_room_its_own_thread_waits_for)
{
	handle_by(SIGUSR1, read_a_page_of_self, SA_RESTART);
	make_pipe(self_pipe);
	for (int i = 0; i < 50; i++) {
		struct worker w = {0};
		const size_t full = fill_up(self_pipe[W], 4096, 0);
		w.position = full;
		start_and_block(&w, work_write, self_pipe[W], 4096);
		interrupt(&w);
		finish(&w);
		CHECK_EQ(w.result, 4096);
		take_chunk(self_pipe[R], full, 4096);
		flow_to_child(self_pipe, 2000);
	}
	drop_pipe(self_pipe);
}

/* ---- a handler that does not return ---- */

static sigjmp_buf way_out;

static void jump(int sig)
{
	(void)sig;
	siglongjmp(way_out, 1);
}

static void signal_sleeping_parent(void *arg)
{
	const pid_t parent = *(pid_t *)arg;

	test_wait_asleep(parent);
	CHECK_OK(kill(parent, SIGUSR1));
}

// read and write are async-signal-safe: a handler that interrupted one may leave by siglongjmp.
TEST(sleeping_read_may_be_left_by_a_jump)
{
	int p[2];
	pid_t self = getpid();
	char c;

	handle_by(SIGUSR1, jump, 0);
	make_pipe(p);
	for (volatile int i = 0; i < 10; i++) {
		flow_from_child(p, SHORT_FLOW);
		const pid_t pid = test_fork(signal_sleeping_parent, &self);
		if (!sigsetjmp(way_out, 1)) {
			read(p[R], &c, 1);
			test_failed(__FILE__, __LINE__, "the read is left by the jump");
		}
		while (waitpid(pid, NULL, 0) == -1)
			CHECK_EQ(errno, EINTR);
		put(p[W], "after");
		expect(p[R], "after");
	}
	drop_pipe(p);
}

TEST(sleeping_write_may_be_left_by_a_jump)
{
	int p[2];
	pid_t self = getpid();

	handle_by(SIGUSR1, jump, 0);
	make_pipe(p);
	for (volatile int i = 0; i < 10; i++) {
		flow_to_child(p, SHORT_FLOW);
		const size_t full = fill_up(p[W], 4096, 0);
		const pid_t pid = test_fork(signal_sleeping_parent, &self);
		if (!sigsetjmp(way_out, 1)) {
			write(p[W], "x", 1);
			test_failed(__FILE__, __LINE__, "the write is left by the jump");
		}
		while (waitpid(pid, NULL, 0) == -1)
			CHECK_EQ(errno, EINTR);
		take_chunk(p[R], full, 0);
		expect_empty(p[R]);
	}
	drop_pipe(p);
}
