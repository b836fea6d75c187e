// SPDX-License-Identifier: MIT
//
// The ports of other processes, kept open for the next signal. A number is looked up in the namespace directory; that the
// port found there is the process's own is told by its owner's mark, and by a pidfd that was opened while the
// mark said that the owner lives. When the mark dies, the process is asked for by the pidfd, and the port by
// the lock on its file: a number that means another process by now leads nowhere.
#include "signal/port.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "core/file.h"
#include "core/life.h"
#include "core/namespace.h"
#include "signal/fork.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define PEERS_MAX 64
#define MISSES 64
#define MISS_NS 10000000 // so long a process without a port is not looked up again

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct signal_peer *peers; // last used first
static struct {
	pid_t pid;
	int64_t until_ns;
} misses[MISSES];

// ---- whether it is still the one ----

static uint32_t mark_of(const struct signal_peer *p)
{
	return load_acquire_u32((const uint32_t *)(p->region.base + SIGNAL_MARK_AT)); // SIGNAL_MARK
}

static bool vouched_for(uint32_t mark)
{
	return (mark & FUTEX_TID_MASK) != 0 && !(mark & FUTEX_OWNER_DIED);
}

static bool process_ended(int pidfd)
{
	struct pollfd f = {.fd = pidfd, .events = POLLIN};
	return pidfd >= 0 && syscall(SYS_ppoll, &f, 1, &(struct timespec){0, 0}, NULL, 8) == 1 &&
	       (f.revents & (POLLIN | POLLNVAL)) != 0;
}

// The slow way: the name leads to this very port, and somebody has it open.
static bool still_open(const struct signal_peer *p)
{
	char name[32];
	int dir = phi_namespace_open();
	if (dir < 0)
		return false;
	snprintf(name, sizeof name, SIGNAL_PREFIX "%d", p->pid);
	int fd = openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	bool open = fd >= 0 && phi_region_has_fd(&p->region, fd) && phi_life_attached(fd);
	if (fd >= 0)
		phi_close(fd);
	if (fd >= 0 && !open)
		phi_file_remove_unused(dir, name, NULL);
	phi_close(dir);
	return open;
}

static bool lives(struct signal_peer *p)
{
	if (load_relaxed_u32(&p->region.damaged) || load_relaxed_u32(&p->port->closed) == SIGNAL_CLOSED)
		return false;
	uint32_t mark = mark_of(p);
	if (__builtin_expect(vouched_for(mark) && mark == p->mark, 1))
		return true;
	if (process_ended(p->pidfd) || !still_open(p))
		return false;
	p->mark = mark;
	return true;
}

// ---- opening ----

static void close_peer(struct signal_peer *p)
{
	phi_region_unmap(&p->region);
	if (p->pidfd >= 0)
		phi_close(p->pidfd);
	free(p);
}

static bool fits(const struct phi_region *r)
{
	return r->bytes == SIGNAL_FILE_BYTES && r->header.geometry[0] == SIGNAL_RING_MAX &&
	       r->header.geometry[1] == sizeof(struct signal_record);
}

// The region, without the descriptor: who only sends has no part in the port's life.
static bool open_region(struct signal_peer *p)
{
	char name[32];
	snprintf(name, sizeof name, "/" SIGNAL_PREFIX "%d", p->pid);
	int dir = phi_namespace_open();
	if (dir < 0)
		return false;
	int r = phi_region_open(&p->region, dir, name + 1, PHI_KIND_SIGNAL, SIGNAL_LAYOUT, name, false);
	if (r == 0)
		phi_close(p->region.fd);
	phi_close(dir);
	if (r < 0)
		return false;
	if (!fits(&p->region)) {
		phi_region_unmap(&p->region);
		return false;
	}
	return true;
}

static struct signal_peer *open_peer(pid_t pid)
{
	struct signal_peer *p = calloc(1, sizeof *p);
	if (p == NULL)
		return NULL;
	p->pid = pid;
	if (!open_region(p)) {
		free(p);
		return NULL;
	}
	p->port = (struct signal_port *)(p->region.base + PHI_REGION_BODY);
	p->id = p->region.header.id[0];
	p->pidfd = phi_move_aside((int)syscall(SYS_pidfd_open, pid, 0));
	p->mark = mark_of(p);
	// Asked after the pidfd was opened: its process is the port's.
	if ((!vouched_for(p->mark) && !still_open(p)) || !lives(p)) {
		close_peer(p);
		return NULL;
	}
	return p;
}

// ---- keeping ----

static bool missed_lately(pid_t pid)
{
	return misses[pid % MISSES].pid == pid && phi_now_coarse_ns() < misses[pid % MISSES].until_ns;
}

static void note_miss(pid_t pid)
{
	misses[pid % MISSES].pid = pid;
	misses[pid % MISSES].until_ns = phi_now_coarse_ns() + MISS_NS;
}

// Out of the list; closed when nobody is in it.
static void drop_unused(void)
{
	int n = 0;
	for (struct signal_peer **at = &peers; *at != NULL;) {
		struct signal_peer *p = *at;
		if (p->users == 0 && (++n > PEERS_MAX || p->pid == 0)) {
			*at = p->next;
			close_peer(p);
		} else {
			at = &p->next;
		}
	}
}

static struct signal_peer *find(pid_t pid)
{
	for (struct signal_peer *p = peers; p != NULL; p = p->next)
		if (p->pid == pid)
			return p;
	return NULL;
}

static struct signal_peer *known(pid_t pid)
{
	struct signal_peer *p = find(pid);
	if (p != NULL && !lives(p)) {
		p->pid = 0; // found by nobody any more
		drop_unused();
		p = NULL;
	}
	return p;
}

static struct signal_peer *learn(pid_t pid)
{
	struct signal_peer *p = open_peer(pid);
	if (p == NULL) {
		note_miss(pid);
		return NULL;
	}
	p->users = 1;
	p->next = peers;
	peers = p;
	drop_unused();
	return p;
}

struct signal_peer *phi_peer_get(pid_t pid, enum phi_peer_effort effort)
{
	struct signal_own *own = phi_own();
	if (own != NULL && own->pid == pid)
		return &own->self;
	if (pid <= 0 || pid == phi_self()->pid)
		return NULL;
	phi_signal_enter();
	pthread_mutex_lock(&lock);
	struct signal_peer *p = known(pid);
	if (p != NULL)
		p->users++;
	else if (effort != PHI_PEER_KNOWN && (effort == PHI_PEER_LOOK || !missed_lately(pid)))
		p = learn(pid);
	pthread_mutex_unlock(&lock);
	phi_signal_leave();
	return p;
}

void phi_peer_put(struct signal_peer *p)
{
	if (p->own)
		return;
	phi_signal_enter();
	pthread_mutex_lock(&lock);
	p->users--;
	pthread_mutex_unlock(&lock);
	phi_signal_leave();
}

// ---- fork ----

void phi_peers_hold(void)
{
	pthread_mutex_lock(&lock);
}

// The child has none of the threads that were sending.
void phi_peers_let_go(bool child)
{
	for (struct signal_peer *p = peers; child && p != NULL; p = p->next)
		p->users = 0;
	pthread_mutex_unlock(&lock);
}
