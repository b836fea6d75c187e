// SPDX-License-Identifier: MIT
//
// tests/kill/safe_points.c - a signal with PH_SA_SAFEPOINT comes at every instruction boundary on the way into a call
// that sleeps, and none is slept through. The engine of the kill sweep steps the victim; here it is not killed, but
// let go with the signal.
//
//   on the way   at each of the last boundaries before the sleep, and at some of those before
//   above        the victim sleeps; another handler, with SA_RESTART, interrupts it; the signal comes at each boundary of
//                that handler's life, from its first instruction to the return into the call
//
// In both the call must end: with EINTR, or with SA_RESTART go on and be served.
#include "sweep.h"
#include "trace.h"

#include <posthaste/posthaste.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Boundaries: the most of a handler's; the nearest to the sleep, and one of so many of the others.
enum { ABOVE_MOST = 400, ABOVE_FEW = 24, PATIENCE_MS = 30000 };
static unsigned nearest = 16, far_every = 211, above_every = 17; // --full: all of them
enum { POINT = SIGUSR1, OTHER = SIGUSR2 };

static struct stage {
	atomic_int ran;      // handlers at safe points
	atomic_int returned; // the call has
	sem_t sem;
} * stage;

// ---- the calls ----

static int pipe_fds[2], full[2], sockets[2], lock_fd;
static char fifo[256], queue_name[64];
static mqd_t queue;
static sigset_t waited;

static int read_pipe(void)
{
	char byte;

	return ph_read(pipe_fds[0], &byte, 1) == 1 ? 0 : -1;
}

static int readv_pipe(void)
{
	char bytes[2];
	struct iovec iov[2] = {{bytes, 1}, {bytes + 1, 1}};

	return ph_readv(pipe_fds[0], iov, 2) > 0 ? 0 : -1;
}

static int write_full_pipe(void)
{
	return ph_write(full[1], "x", 1) == 1 ? 0 : -1;
}

static int write_quietly(void)
{
	return ph_write_nosignal(full[1], "x", 1) == 1 ? 0 : -1;
}

static int reserve_in_full_pipe(void)
{
	struct iovec iov[2];
	int count;

	if (ph_pipe_reserve(full[1], 1, iov, &count) == -1)
		return -1;
	ph_pipe_commit(full[1], 0);
	return 0;
}

static int peek_pipe(void)
{
	struct iovec iov[2];
	int count;

	if (ph_pipe_peek(pipe_fds[0], iov, &count) <= 0)
		return -1;
	ph_pipe_consume(pipe_fds[0], 0);
	return 0;
}

static int read_socket(void)
{
	char byte;

	return ph_read(sockets[0], &byte, 1) == 1 ? 0 : -1;
}

static int open_fifo(void)
{
	const int fd = ph_open(fifo, O_RDONLY);

	return fd == -1 ? -1 : ph_close(fd);
}

static int open_fifo_to_write(void)
{
	const int fd = ph_open(fifo, O_WRONLY);

	return fd == -1 ? -1 : ph_close(fd);
}

static int lock_file(void)
{
	struct flock lock = {.l_type = F_WRLCK};

	return ph_fcntl(lock_fd, F_SETLKW, &lock);
}

static int poll_pipe(void)
{
	struct pollfd p = {pipe_fds[0], POLLIN, 0};

	return poll(&p, 1, 100000) == 1 ? 0 : -1;
}

static int select_pipe(void)
{
	fd_set set;
	struct timeval long_time = {1000, 0};

	FD_ZERO(&set);
	FD_SET(pipe_fds[0], &set);
	return select(pipe_fds[0] + 1, &set, NULL, NULL, &long_time) == 1 ? 0 : -1;
}

static int wait_for_signal(void)
{
	return ph_sigwaitinfo(&waited, NULL) > 0 ? 0 : -1;
}

static int wait_for_signal_for_a_time(void)
{
	const struct timespec long_time = {1000, 0};

	return ph_sigtimedwait(&waited, NULL, &long_time) > 0 ? 0 : -1;
}

static int wait_for_any_handler(void)
{
	sigset_t none;

	sigemptyset(&none);
	return ph_sigsuspend(&none);
}

static int pause_here(void)
{
	return ph_pause();
}

static int wait_for_unit(void)
{
	return ph_sem_wait(&stage->sem);
}

static int wait_for_unit_for_a_time(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1000;
	return ph_sem_timedwait(&stage->sem, &until);
}

static int receive(void)
{
	char buf[64];

	return ph_mq_receive(queue, buf, sizeof buf, NULL) >= 0 ? 0 : -1;
}

// What is long, and done at the first time only.

static void peek_once(void)
{
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	peek_pipe();
	fcntl(pipe_fds[0], F_SETFL, 0);
}

static void poll_once(void)
{
	struct pollfd p = {pipe_fds[0], POLLIN, 0};

	poll(&p, 1, 1);
}

static void look_for_signals(void)
{
	const struct timespec none = {0, 0};

	ph_sigtimedwait(&waited, NULL, &none);
}

static void reserve_once(void)
{
	fcntl(full[1], F_SETFL, O_NONBLOCK);
	reserve_in_full_pipe();
	fcntl(full[1], F_SETFL, 0);
}

// What ends the sleep, from outside.

static void write_byte(void)
{
	if (write(pipe_fds[1], "xy", 2) != 2 || write(sockets[1], "x", 1) != 1)
		abort();
}

static void drain_full(void)
{
	char buf[4096];

	for (int i = 0; i < 4; i++)
		if (read(full[0], buf, sizeof buf) != (ssize_t)sizeof buf)
			abort();
}

static int other_end = -1;

static void open_other_end(void) // until the round ends
{
	other_end = open(fifo, O_RDWR | O_CLOEXEC);
}

static void unlock_file(void)
{
	struct flock unlock = {.l_type = F_UNLCK};

	fcntl(lock_fd, F_SETLK, &unlock);
}

static void post(void)
{
	ph_sem_post(&stage->sem);
}

static void send_message(void)
{
	ph_mq_send(queue, "x", 1, 0);
}

static const struct call {
	const char *name;
	int (*call)(void);
	void (*serve)(void); // NULL: not restarted, whatever the handler's flags
	void (*first)(void); // may be NULL
	bool polls;          // any handler ends it, whatever its flags
} calls[] = {
	{"read", read_pipe, write_byte, NULL, false},
	{"readv", readv_pipe, write_byte, NULL, false},
	{"write", write_full_pipe, drain_full, NULL, false},
	{"write_nosignal", write_quietly, drain_full, NULL, false},
	{"pipe_reserve", reserve_in_full_pipe, drain_full, reserve_once, true},
	{"pipe_peek", peek_pipe, write_byte, peek_once, true},
	{"read of a socket", read_socket, write_byte, NULL, false},
	{"open of a FIFO", open_fifo, open_other_end, NULL, false},
	{"open of a FIFO to write", open_fifo_to_write, open_other_end, NULL, false},
	{"fcntl(F_SETLKW)", lock_file, unlock_file, NULL, false},
	{"poll", poll_pipe, NULL, poll_once, false},
	{"select", select_pipe, NULL, poll_once, false},
	{"sigwaitinfo", wait_for_signal, NULL, look_for_signals, false},
	{"sigtimedwait", wait_for_signal_for_a_time, NULL, look_for_signals, false},
	{"sigsuspend", wait_for_any_handler, NULL, NULL, false},
	{"pause", pause_here, NULL, NULL, false},
	{"sem_wait", wait_for_unit, post, NULL, false},
	{"sem_timedwait", wait_for_unit_for_a_time, post, NULL, false},
	{"mq_receive", receive, send_message, NULL, false},
};

// ---- the objects ----

static void die(const char *what)
{
	fprintf(stderr, "safe_points: %s: %s\n", what, strerror(errno));
	kill_scratch_remove();
	exit(3);
}

static void fill(void)
{
	char page[4096] = {0};

	fcntl(full[1], F_SETFL, O_NONBLOCK);
	while (write(full[1], page, sizeof page) > 0)
		;
	fcntl(full[1], F_SETFL, 0);
}

static void make_objects(void)
{
	char path[256];
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 64};

	snprintf(fifo, sizeof fifo, "%s/here", kill_scratch());
	snprintf(path, sizeof path, "%s/lock", kill_scratch());
	snprintf(queue_name, sizeof queue_name, "/safe-points-%d", (int)getpid());
	lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	queue = ph_mq_open(queue_name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (ph_pipe(pipe_fds) != 0 || ph_pipe(full) != 0 || mkfifo(fifo, 0600) != 0 || lock_fd == -1 ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0 || queue == -1 ||
	    ph_sem_init(&stage->sem, 1, 0) != 0)
		die("the objects");
	sigemptyset(&waited);
	sigaddset(&waited, SIGRTMIN);
}

// As they were before a round: nothing to be had of any.
static void reset(void)
{
	struct flock lock = {.l_type = F_WRLCK};
	char bytes[8];

	atomic_store(&stage->ran, 0);
	atomic_store(&stage->returned, 0);
	fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK);
	while (read(pipe_fds[0], bytes, sizeof bytes) > 0)
		;
	fcntl(pipe_fds[0], F_SETFL, 0);
	while (recv(sockets[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	fill();
	if (other_end != -1)
		close(other_end);
	other_end = -1;
	while (ph_sem_trywait(&stage->sem) == 0)
		;
	if (fcntl(lock_fd, F_SETLK, &lock) != 0)
		die("the lock");
}

// ---- the victim ----

static void note_run(int sig)
{
	(void)sig;
	atomic_fetch_add(&stage->ran, 1);
}

static void do_nothing(int sig)
{
	(void)sig;
}

struct round {
	const struct call *call;
	int flags;       // of the handler at safe points
	bool by_library; // the other handler
};

static void install(const struct round *r)
{
	struct sigaction point = {.sa_handler = note_run, .sa_flags = PH_SA_SAFEPOINT | r->flags};
	struct sigaction other = {.sa_handler = do_nothing, .sa_flags = SA_RESTART};

	sigemptyset(&point.sa_mask);
	sigemptyset(&other.sa_mask);
	ph_sigprocmask(SIG_BLOCK, &waited, NULL);
	if (ph_sigaction(POINT, &point, NULL) != 0 ||
	    (r->by_library ? ph_sigaction(OTHER, &other, NULL) : sigaction(OTHER, &other, NULL)) != 0)
		_exit(10);
}

static bool goes_on(const struct round *r)
{
	return r->flags != 0 && r->call->serve != NULL;
}

static void live(const struct round *r)
{
	install(r);
	if (r->call->first != NULL)
		r->call->first();
	victim_offer();
	kill_mark_begin();
	const int result = r->call->call();
	const int error = errno;
	atomic_store(&stage->returned, 1);
	ph_sigdispatch(); // where the signal came after the call's last look
	if (atomic_load(&stage->ran) != 1)
		_exit(11);
	if (goes_on(r))
		_exit(result == 0 ? 0 : 12);
	_exit(result == -1 && error == EINTR ? 0 : 13);
}

static void begin(struct victim *v, const struct round *r)
{
	reset();
	const pid_t pid = fork();
	if (pid == 0)
		live(r);
	victim_adopt(v, pid, NULL);
	v->left_asleep = true;
}

// ---- its tracer ----

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

// Let it go with the signal, where it stands or sleeps.
static void let_go(struct victim *v, enum moved moved)
{
	int status;

	kill(v->pid, POINT); // pending: it comes before the next instruction
	if (moved == MOVED_STUCK && (waitpid(v->pid, &status, 0) != v->pid || !WIFSTOPPED(status)))
		die("the victim's stop");
	if (ptrace(PTRACE_DETACH, v->pid, 0, moved == MOVED_STUCK ? POINT : 0) == -1)
		die("PTRACE_DETACH");
}

static int failures, rounds;

// The signal is on its way: what becomes of the call.
static void judge(struct victim *v, const struct round *r, const char *how, unsigned boundary)
{
	const int64_t until = now_ms() + PATIENCE_MS;
	bool served = !goes_on(r);
	int status = 0;
	char where[512];

	rounds++;
	while (waitpid(v->pid, &status, WNOHANG) == 0 && now_ms() < until) {
		if (!served && atomic_load(&stage->ran) > 0) {
			r->call->serve();
			served = true;
		}
		sched_yield();
	}
	const bool ended = WIFEXITED(status) && v->pid > 0 && kill(v->pid, 0) != 0;
	if (!ended || WEXITSTATUS(status) != 0) {
		failures++;
		fprintf(stderr, "%s%s, %s, boundary %u: %s (%d) at %s\n", r->call->name,
		        r->flags ? " with SA_RESTART" : "", how, boundary,
		        ended ? "a wrong end" : "slept through", ended ? WEXITSTATUS(status) : 0,
		        kill_symbol(v->pc, where, sizeof where));
	}
	if (!ended) {
		kill(v->pid, SIGKILL);
		waitpid(v->pid, &status, 0);
	}
	close(v->stat_fd);
}

// The way of one that falls asleep; then the signal, so that nobody is killed inside a call.
static void record(struct trace *t, const struct round *r)
{
	struct victim v;
	enum moved moved = MOVED_THERE;

	begin(&v, r);
	memset(t, 0, sizeof *t);
	while (moved == MOVED_THERE && t->count < TRACE_MAX) {
		t->steps[t->count++].pc = v.pc;
		moved = victim_step(&v);
	}
	if (moved != MOVED_STUCK)
		die("a call that does not sleep");
	t->steps[t->count].pc = v.pc;
	trace_count_visits(t, 0);
	let_go(&v, moved);
	judge(&v, r, "asleep", t->count);
}

static void sweep_the_way(struct trace *t, const struct round *r)
{
	record(t, r);
	for (uint32_t k = 0; k < t->count; k++) {
		struct victim v;
		if (k + nearest < t->count && k % far_every != 0)
			continue;
		begin(&v, r);
		const enum moved moved = victim_go(&v, t, 0, k);
		if (moved == MOVED_GONE)
			die("a victim that ended");
		let_go(&v, moved);
		judge(&v, r, "on the way", k);
	}
}

// It sleeps, and stands at its other handler's first instruction.
static void interrupt(struct victim *v)
{
	int status;

	if (victim_run_until_asleep(v) != MOVED_THERE)
		die("a victim that does not sleep");
	kill(v->pid, OTHER);
	if (waitpid(v->pid, &status, 0) != v->pid || !WIFSTOPPED(status) || WSTOPSIG(status) != OTHER)
		die("the other signal");
	if (ptrace(PTRACE_SINGLESTEP, v->pid, 0, OTHER) == -1 ||
	    waitpid(v->pid, &status, 0) != v->pid || !WIFSTOPPED(status) || WSTOPSIG(status) != SIGTRAP)
		die("the other handler");
}

static void sweep_above(const struct round *r, unsigned every)
{
	// Where the other handler ends the call, its own first steps are enough.
	const unsigned most = r->call->serve != NULL && !r->call->polls ? ABOVE_MOST : ABOVE_FEW;

	for (unsigned k = 0; k < most; k += every) {
		struct victim v;
		begin(&v, r);
		interrupt(&v);
		const enum moved moved = victim_walk(&v, k);
		if (moved == MOVED_GONE)
			die("a victim that ended");
		if (atomic_load(&stage->returned)) { // the other handler has ended it
			victim_kill(&v);
			return;
		}
		let_go(&v, moved);
		judge(&v, r, r->by_library ? "above a handler" : "above a foreign handler", k);
		if (moved == MOVED_STUCK) // asleep again: all of the handler's life is behind it
			return;
	}
}

static void sweep(struct trace *t, const struct call *c)
{
	const int before = failures;

	sweep_the_way(t, &(struct round){c, 0, false});
	sweep_above(&(struct round){c, 0, false}, 1);
	sweep_above(&(struct round){c, 0, true}, above_every);
	sweep_the_way(t, &(struct round){c, SA_RESTART, false});
	if (!c->polls)
		sweep_above(&(struct round){c, SA_RESTART, false}, above_every);
	printf("%s %s: %u boundaries\n", failures == before ? "ok  " : "FAIL", c->name, t->count);
	fflush(stdout);
}

static void pin_to_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(sched_getcpu(), &set);
	sched_setaffinity(0, sizeof set, &set); // what it does not get costs time only
}

int main(int argc, char **argv)
{
	int bad = 0;
	const int n = sizeof calls / sizeof calls[0];

	kill_fix_addresses(argv);
	if (argc > 1 && strcmp(argv[1], "--full") == 0)
		nearest = far_every = above_every = 1;
	setenv("POSTHASTE_SPIN_NS", "0", 1);
	pin_to_one_cpu();
	struct trace *t = malloc(sizeof *t);
	stage = mmap(NULL, sizeof *stage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (t == NULL || stage == MAP_FAILED)
		die("memory");
	make_objects();
	for (int i = 0; i < n; i++) {
		const int before = failures;
		sweep(t, &calls[i]);
		bad += failures > before;
	}
	printf("%d rounds\n%d passed, %d failed\n", rounds, n - bad, bad);
	ph_mq_unlink(queue_name);
	free(t);
	kill_scratch_remove();
	return bad > 0;
}
