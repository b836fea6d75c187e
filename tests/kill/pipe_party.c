// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_party.c - the third parties of the pipe scenarios: readers, writers, pollers and
// leaseholders that run or sleep while the victim dies. See pipe_stream.h.
//
// A party closes the end that it does not use, so that it keeps no end of file and no EPIPE away.
#include "pipe_stream.h"

#include "sync/wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// What the next party shall do. It has a copy, being forked.
static struct {
	int which_tape;
	uint32_t id;
	size_t size;
	int fd;
	short events;
} job;

bool writers_lose_patience;

// Stands before the library's own (--wrap). A writer who sleeps on a full ring looks after a while
// whether its reader moves at all; here that would hide a wake-up that never came, and let those who
// are single-stepped take another path than those who are not.
int __real_phi_sleep(const struct phi_sleep *sleep);
int __wrap_phi_sleep(const struct phi_sleep *sleep);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);

int __wrap_phi_sleep(const struct phi_sleep *sleep)
{
	struct phi_sleep patient = *sleep;

	if (!writers_lose_patience)
		patient.look_again_ns = 0;
	return __real_phi_sleep(&patient);
}

// The same for the clock: read without a system call it loops now and then, on another path.
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	return (int)syscall(SYS_clock_gettime, clock, now);
}

static uint32_t *ready(void)
{
	return kill_shared();
}

void pause_a_little(void)
{
	const struct timespec moment = {.tv_nsec = 50000};

	nanosleep(&moment, NULL);
}

static pid_t start_asleep(void (*fn)(void))
{
	const pid_t party = kill_party(fn);

	kill_await_asleep(party);
	return party;
}

static void read_on(void)
{
	ssize_t n;

	close_writer();
	while ((n = read_to(tape(job.which_tape), job.size)) != 0)
		KILL_CHECK(n > 0, "a party's read fails: %s", strerror(errno));
}

static void read_on_raw(void)
{
	ssize_t n;

	close_writer();
	while ((n = read_raw_to(tape(job.which_tape), job.size)) != 0)
		KILL_CHECK(n > 0, "a foreign read fails: %s", strerror(errno));
}

static void write_one(void)
{
	close_reader();
	const ssize_t n = put_sleeping(job.id, job.size);
	KILL_CHECK(n == (ssize_t)job.size, "a party's write of %zu bytes says %zd (%s)", job.size, n,
	           n < 0 ? strerror(errno) : "no error");
}

void write_until_refused(size_t size)
{
	ssize_t n;

	while ((n = put_sleeping(SURVIVORS, size)) == (ssize_t)size)
		;
	if (n >= 0) // cut short by the end of the last reader; the next one says so
		n = put_sleeping(SURVIVORS, size);
	KILL_CHECK(n == -1 && errno == EPIPE, "a write without a reader says %zd (%s)", n,
	           strerror(errno));
}

static void poll_once(void)
{
	struct pollfd p = {.fd = job.fd, .events = job.events};

	if (job.fd == rd)
		close_writer();
	else
		close_reader();
	KILL_CHECK(poll(&p, 1, -1) == 1, "poll fails: %s", strerror(errno));
	KILL_CHECK(p.revents & (job.events | POLLHUP | POLLERR), "poll says %#x", (unsigned)p.revents);
}

void announce_readiness(void)
{
	__atomic_store_n(ready(), 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

static void lease_and_do_nothing(void)
{
	close_writer();
	take_lease();
	announce_readiness();
}

pid_t start_reader(int which_tape, size_t bytes)
{
	job.which_tape = which_tape;
	job.size = bytes;
	return start_asleep(read_on);
}

pid_t start_foreign_reader(int which_tape, size_t bytes)
{
	job.which_tape = which_tape;
	job.size = bytes;
	return start_asleep(read_on_raw);
}

pid_t start_writer(uint32_t id, size_t size)
{
	job.id = id;
	job.size = size;
	return start_asleep(write_one);
}

pid_t start_poller(int fd, short events)
{
	job.fd = fd;
	job.events = events;
	return start_asleep(poll_once);
}

pid_t start_and_await_readiness(void (*fn)(void))
{
	const pid_t party = kill_party(fn);

	kill_note("waiting for a party's preparations");
	while (!__atomic_load_n(ready(), __ATOMIC_SEQ_CST) && !kill_has_ended(party))
		pause_a_little();
	KILL_CHECK(!kill_has_ended(party), "a party has ended that should wait");
	return party;
}

pid_t start_leaseholder(void)
{
	return start_and_await_readiness(lease_and_do_nothing);
}

void kill_party_now(pid_t party)
{
	kill(party, SIGKILL);
	while (waitpid(party, NULL, 0) == -1 && errno == EINTR)
		;
}

static bool sleeps_now(pid_t pid)
{
	char path[64];
	char state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "re");
	if (f) {
		if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		fclose(f);
	}
	return state == 'S';
}

void await_sleep_of(pid_t party)
{
	while (!sleeps_now(party))
		pause_a_little();
}

bool pipe_is_empty(void)
{
	return bytes_inside() == 0;
}

bool got_through(pid_t party, bool (*may_sleep)(void), const char *who)
{
	char note[100];

	snprintf(note, sizeof(note), "%s should go on and sleeps", who);
	kill_note(note);
	while (!kill_has_ended(party)) {
		if (sleeps_now(party) && may_sleep() && sleeps_now(party))
			return false;
		pause_a_little();
	}
	kill_join(party, who);
	return true;
}
