// SPDX-License-Identifier: MIT
//
// tests/hostile/signal_victim.c - see signal_victim.h.
#include "signal_victim.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runner.h"

#define HANDLED (SIGRTMIN + 1)
#define TAKEN (SIGRTMIN + 2)
#define QUIET SIGUSR2

static atomic_uint handled;

static void handler(int sig, siginfo_t *info, void *context)
{
	(void)context;
	// Whatever the port says, it is this signal that the kernel came with.
	if (sig != HANDLED || info->si_signo != HANDLED)
		_exit(77);
	atomic_fetch_add(&handled, 1);
}

static sigset_t set_of(int signo)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, signo);
	return set;
}

// ---- calls ----

static void begins(struct signal_victim *v, const char *call)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	atomic_store(&v->diary->call, call);
	atomic_store(&v->diary->since_ns, (int64_t)t.tv_sec * 1000000000 + t.tv_nsec);
}

static bool ended(struct signal_victim *v, long result, const int *errors)
{
	const int e = errno;
	atomic_store(&v->diary->since_ns, 0);
	atomic_fetch_add(&v->diary->calls, 1);
	if (result >= 0)
		return true;
	atomic_fetch_add(&v->diary->refused, 1);
	for (; *errors != 0; errors++)
		if (e == *errors)
			return false;
	test_failed(__FILE__, __LINE__, "%s fails as documented (%s); the attack: %s",
	            atomic_load(&v->diary->call), strerror(e), v->diary->note);
}

#define ERRORS(...) ((const int[]){__VA_ARGS__, 0})

static void send_self(struct signal_victim *v)
{
	begins(v, "sigqueue to oneself");
	ended(v, ph_sigqueue(getpid(), HANDLED, (union sigval){.sival_int = 1}), ERRORS(EAGAIN));
}

static void send_self_to_take(struct signal_victim *v)
{
	begins(v, "sigqueue to oneself, to be taken");
	ended(v, ph_sigqueue(getpid(), TAKEN, (union sigval){.sival_int = 2}), ERRORS(EAGAIN));
}

static void send_peer(struct signal_victim *v)
{
	begins(v, "sigqueue");
	ended(v, ph_sigqueue(v->peer, HANDLED, (union sigval){.sival_int = 3}), ERRORS(EAGAIN, ESRCH));
}

static void kill_self(struct signal_victim *v)
{
	begins(v, "kill");
	ended(v, ph_kill(getpid(), QUIET), ERRORS(0));
}

static void take(struct signal_victim *v)
{
	const sigset_t set = set_of(TAKEN);
	const struct timespec shortly = {.tv_nsec = 50000};
	siginfo_t info;
	size_t bytes = 0;
	begins(v, "sigtimedwait");
	const int r = ph_sigtimedwait(&set, &info, &shortly);
	if (!ended(v, r, ERRORS(EAGAIN, EINTR)))
		return;
	CHECK_EQ(r, TAKEN);
	CHECK_EQ(info.si_signo, TAKEN);
	CHECK(ph_siginfo_payload(&info, &bytes) == NULL || bytes <= PH_SIGPORT_PAYLOAD_MAX);
}

static void take_standard(struct signal_victim *v)
{
	const sigset_t set = set_of(QUIET);
	const struct timespec none = {0, 0};
	begins(v, "sigtimedwait for a standard one");
	const int r = ph_sigtimedwait(&set, NULL, &none);
	if (ended(v, r, ERRORS(EAGAIN, EINTR)))
		CHECK_EQ(r, QUIET);
}

static void look_at_pending(struct signal_victim *v)
{
	sigset_t set;
	begins(v, "sigpending");
	if (ended(v, ph_sigpending(&set), ERRORS(0)))
		CHECK(!sigismember(&set, HANDLED)); // it is not blocked
}

static void block_and_unblock(struct signal_victim *v)
{
	const sigset_t set = set_of(HANDLED);
	begins(v, "sigprocmask");
	ended(v, ph_sigprocmask(SIG_BLOCK, &set, NULL), ERRORS(0));
	ended(v, ph_sigqueue(getpid(), HANDLED, (union sigval){.sival_int = 4}), ERRORS(EAGAIN));
	ended(v, ph_sigprocmask(SIG_UNBLOCK, &set, NULL), ERRORS(0));
}

// What the process has decided is not the port's to say.
static void look_at_action(struct signal_victim *v)
{
	struct sigaction sa;
	begins(v, "sigaction");
	if (!ended(v, ph_sigaction(HANDLED, NULL, &sa), ERRORS(0)))
		return;
	CHECK(sa.sa_sigaction == handler);
	CHECK_EQ(ended(v, ph_sigaction(HANDLED, &sa, NULL), ERRORS(0)), true);
}

static void change_depth(struct signal_victim *v)
{
	begins(v, "sigqueue_depth");
	const int before = ph_sigqueue_depth(0);
	if (ended(v, before, ERRORS(ENOTSUP)))
		ended(v, ph_sigqueue_depth(before == 64 ? 100 : 64), ERRORS(ENOTSUP, EBUSY, ENOSPC));
}

static void look_from_outside(struct signal_victim *v)
{
	static struct ph_signal_info info;
	const pid_t pids[] = {getpid(), v->peer};
	for (int i = 0; i < 2; i++) {
		begins(v, "signal_info");
		if (ended(v, ph_signal_info(pids[i], &info), ERRORS(ENOENT, EBADMSG, EXDEV)))
			CHECK(info.threads >= 0 && info.threads <= 64);
	}
}

static void send_to_name(struct signal_victim *v)
{
	begins(v, "sigport_send");
	const int r =
		ph_sigport_send(SIGNAL_VICTIM_PORT, TAKEN, (union sigval){.sival_int = 5}, "abc", 4);
	if (ended(v, r, ERRORS(EAGAIN, ESRCH, EBADMSG, EXDEV)))
		CHECK(r <= PH_SIGPORT_MEMBERS_MAX);
}

static void join_name(struct signal_victim *v)
{
	const sigset_t set = set_of(TAKEN);
	begins(v, "sigport_join");
	ended(v, ph_sigport_join(SIGNAL_VICTIM_PORT, &set, 0600),
	      ERRORS(EAGAIN, EBADMSG, EXDEV, ENOBUFS, ENOTSUP));
}

static void look_at_name(struct signal_victim *v)
{
	static struct ph_sigport_info info;
	begins(v, "sigport_info");
	if (ended(v, ph_sigport_info(SIGNAL_VICTIM_PORT, &info), ERRORS(ENOENT, EBADMSG, EXDEV)))
		CHECK(info.members >= 0 && info.members <= PH_SIGPORT_MEMBERS_MAX);
}

static void (*const calls[])(struct signal_victim *) = {
	send_self,         send_self_to_take, take,           send_peer,
	kill_self,         take_standard,     look_at_action, look_at_pending,
	look_from_outside, send_to_name,      take,           look_at_name,
	block_and_unblock, join_name,         change_depth,
};

enum { CALLS = sizeof(calls) / sizeof(calls[0]) };

void signal_victim_do_everything(struct signal_victim *v)
{
	for (int i = 0; i < CALLS; i++)
		calls[i](v);
}

void signal_victim_do_something(struct signal_victim *v)
{
	v->random = v->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	calls[(v->random >> 33) % CALLS](v);
}

void signal_victim_begin(struct signal_victim *v, struct diary *diary, pid_t peer)
{
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigset_t set = set_of(TAKEN);
	*v = (struct signal_victim){.diary = diary, .random = 1, .peer = peer};
	sigemptyset(&sa.sa_mask);
	sigaddset(&set, QUIET);
	CHECK_OK(ph_sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK_OK(ph_sigaction(HANDLED, &sa, NULL));
	atomic_store(&diary->call, "");
	join_name(v);
	take(v);
	take_standard(v);
}

void signal_victim_end(struct signal_victim *v)
{
	begins(v, "sigport_leave");
	ended(v, ph_sigport_leave(SIGNAL_VICTIM_PORT), ERRORS(ENOENT));
}

void signal_victim_main(void *arg)
{
	const struct victim_job *job = arg;
	struct signal_victim v;
	signal_victim_begin(&v, job->diary, (pid_t)atoi(job->name));
	v.random = job->seed;
	while (!atomic_load(&job->diary->stop))
		signal_victim_do_something(&v);
	signal_victim_end(&v);
}

// ---- others ----

static void be_peer(void *arg)
{
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_RESTART};
	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigaction(HANDLED, &sa, NULL));
	atomic_store((atomic_int *)arg, 1);
	for (;;)
		pause();
}

pid_t signal_peer_start(void)
{
	atomic_int *ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(ready != MAP_FAILED);
	const pid_t pid = test_fork(be_peer, ready);
	while (atomic_load(ready) == 0)
		sched_yield();
	CHECK_OK(munmap(ready, 4096));
	return pid;
}

static void get_some(void *arg)
{
	(void)arg;
	const sigset_t set = set_of(TAKEN);
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	const struct timespec none = {0, 0};
	siginfo_t info;
	sigemptyset(&sa.sa_mask);
	CHECK_OK(ph_sigprocmask(SIG_BLOCK, &set, NULL));
	CHECK_ERR(ph_sigtimedwait(&set, NULL, &none), EAGAIN);
	CHECK_OK(ph_sigaction(HANDLED, &sa, NULL));
	const unsigned before = atomic_load(&handled);
	for (int i = 0; i < 20; i++) {
		CHECK_OK(ph_sigqueue(getpid(), TAKEN, (union sigval){.sival_int = i}));
		CHECK_OK(ph_sigqueue(getpid(), HANDLED, (union sigval){.sival_int = i}));
	}
	CHECK_EQ(atomic_load(&handled) - before, 20);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(ph_sigtimedwait(&set, &info, &none), TAKEN);
		CHECK_EQ(info.si_value.sival_int, i);
	}
	CHECK_OK(ph_sigport_join(SIGNAL_VICTIM_PORT, &set, 0600));
	CHECK_EQ(ph_sigport_send(SIGNAL_VICTIM_PORT, TAKEN, (union sigval){.sival_int = 9}, "x", 2), 1);
	CHECK_EQ(ph_sigtimedwait(&set, &info, &none), TAKEN);
	CHECK_OK(ph_sigport_leave(SIGNAL_VICTIM_PORT));
}

void signals_work(void)
{
	test_join(test_fork(get_some, NULL));
}

// ---- the files ----

static void open_file(struct signal_region *r, const char *name, size_t most)
{
	char path[512];
	struct stat st;
	snprintf(path, sizeof path, "%s/%s", getenv("POSTHASTE_DIR"), name);
	r->fd = (int)CHECK_OK(open(path, O_RDWR | O_CLOEXEC));
	CHECK_OK(fstat(r->fd, &st));
	r->bytes = (size_t)st.st_size < most ? (size_t)st.st_size : most;
	r->map = mmap(NULL, r->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, r->fd, 0);
	CHECK(r->map != MAP_FAILED);
	r->image = malloc(r->bytes);
	CHECK(r->image != NULL);
	signal_region_remember(r);
}

// Two pages, and some of the ring.
void signal_region_open(struct signal_region *r, pid_t pid)
{
	char name[32];
	snprintf(name, sizeof name, "sig.%d", (int)pid);
	r->named = false;
	open_file(r, name, SIGNAL_RING_AT + 64 * sizeof(struct signal_record));
}

void signal_region_open_named(struct signal_region *r)
{
	r->named = true;
	open_file(r, "port.besieged", SIGPORT_FILE_BYTES);
}

void signal_region_close(struct signal_region *r)
{
	free(r->image);
	CHECK_OK(munmap(r->map, r->bytes));
	CHECK_OK(close(r->fd));
}

void signal_region_remember(struct signal_region *r)
{
	memcpy(r->image, r->map, r->bytes);
}

void signal_region_restore(struct signal_region *r)
{
	memcpy(r->map, r->image, r->bytes);
}

static size_t add(uint32_t *fields, size_t n, uint64_t from, uint64_t bytes)
{
	for (uint64_t at = from; at < from + bytes; at += 4)
		if (n < SIGNAL_FIELDS_MAX)
			fields[n++] = (uint32_t)at;
	return n;
}

size_t signal_region_fields(const struct signal_region *r, uint32_t fields[SIGNAL_FIELDS_MAX])
{
	const uint64_t port = PHI_REGION_BODY;
	size_t n = add(fields, 0, 0, 132);
	n = add(fields, n, port + 4, sizeof(struct phi_lock) - 4);
	if (r->named) {
		n = add(fields, n, port + offsetof(struct signal_named, sent), 8);
		n = add(fields, n, port + offsetof(struct signal_named, member),
		        3 * sizeof(struct signal_member));
		return add(fields, n, port + sizeof(struct signal_named) - sizeof(struct signal_member),
		           sizeof(struct signal_member));
	}
	n = add(fields, n, port + offsetof(struct signal_port, tail), 192);
	n = add(fields, n, port + offsetof(struct signal_port, bell) + 30 * sizeof(struct signal_bell),
	        8 * sizeof(struct signal_bell));
	n = add(fields, n,
	        port + offsetof(struct signal_port, merged) + 11 * sizeof(struct signal_record),
	        sizeof(struct signal_record));
	n = add(fields, n, port + offsetof(struct signal_port, action), 32);
	n = add(fields, n, port + offsetof(struct signal_port, thread), sizeof(struct signal_thread));
	n = add(fields, n, SIGNAL_MARK_AT, 16);
	return add(fields, n, SIGNAL_RING_AT, 2 * sizeof(struct signal_record));
}

uint64_t signal_value(uint64_t own, int i)
{
	const uint64_t values[SIGNAL_VALUES] = {
		0,
		1,
		2,
		own + 1,
		own - 1,
		own + 4096,
		own ^ 0x10000,
		0xffff,
		SIGNAL_RING_MAX,
		SIGNAL_RING_MAX + 1,
		UINT32_MAX,
		UINT64_MAX,
		0x40000000 | own,
		0x3ffffff0, // a thread that there cannot be
		UINT64_C(1) << 63,
		SIGNAL_BIT(33) | SIGNAL_BIT(36),
		~SIGNAL_BIT(35),
		(UINT64_C(64) << 48) | (UINT64_C(65) << 32) | 0xfffffffe, // a record's last words
	};
	return values[i];
}
