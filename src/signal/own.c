// SPDX-License-Identifier: MIT
//
// This process's port: made when it first handles or waits for signals, found by others under sig.PID, gone with the
// process.
//
// Its life is told twice: by a lock on the file (core/life.h), and by a mark that costs a sender no system call
// (sync/mark.h). A forked child closes its copy of the descriptor, and has no port until it needs one.
#include "signal/port.h"

#include "base/descriptor.h"
#include "base/fork.h"
#include "base/guard.h"
#include "core/file.h"
#include "core/handle.h"
#include "core/namespace.h"
#include "signal/fork.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH 4096
#define LEFTOVERS_MOST 8
#define LEAVING_TRIES 50 // of 20 ms

__thread struct signal_self phi_signal_self;

uintptr_t phi_own_port;
static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
static uint32_t cannot; // generation in which it turned out that no port can be had
static pthread_key_t thread_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

// ---- threads ----

static void thread_ends(void *arg)
{
	struct signal_thread *shown = arg;
	struct signal_own *own = phi_own();
	phi_signal_self.shown = NULL;
	if (own != NULL && shown >= own->port->thread && shown < own->port->thread + SIGNAL_THREADS)
		store_release_u32(&shown->tid, 0);
}

static struct signal_thread *claim_thread(struct signal_own *own)
{
	uint32_t tid = phi_self()->tid;
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < SIGNAL_THREADS; i++) {
			struct signal_thread *s = &own->port->thread[i];
			uint32_t v = load_relaxed_u32(&s->tid);
			bool free = v == 0 || (pass == 1 && phi_tid_dead(v));
			if (free && cas_acq_rel_u32(&s->tid, v, tid))
				return s;
		}
	return NULL;
}

struct signal_thread *phi_own_thread(void)
{
	struct signal_self *t = &phi_signal_self;
	struct signal_own *own = phi_own();
	if (own == NULL)
		return NULL;
	if (t->shown != NULL && t->generation == phi_self()->generation)
		return t->shown;
	t->shown = claim_thread(own);
	t->generation = phi_self()->generation;
	pthread_setspecific(thread_key, t->shown);
	return t->shown;
}

// ---- making ----

struct plan {
	uint32_t depth;
	uint32_t ring_size;
};

static uint32_t ring_for(uint32_t depth)
{
	uint32_t size = 64;
	while (size < depth)
		size *= 2;
	return size;
}

static void init_body(uint8_t *base, void *arg)
{
	const struct plan *plan = arg;
	struct signal_port *port = (struct signal_port *)(base + PHI_REGION_BODY);
	port->send.guarded32 = plan->depth;
	port->ring_size = plan->ring_size;
}

static uint32_t first_depth(void)
{
	const char *text = getenv("POSTHASTE_SIGQUEUE");
	long depth = text != NULL ? strtol(text, NULL, 10) : 0;
	return depth > 0 && depth <= SIGNAL_RING_MAX ? (uint32_t)depth : DEPTH;
}

static bool remove_if_dead(int dir, const char *name)
{
	const char *digits = name + strlen(SIGNAL_PREFIX);
	pid_t pid = (pid_t)strtol(digits, NULL, 10);
	return pid > 0 && syscall(SYS_kill, pid, 0) != 0 && errno == ESRCH &&
	       phi_file_remove_unused(dir, name, NULL);
}

// What the killed have left is removed by who comes next, a little at a time.
static void remove_leftovers(int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	int most = LEFTOVERS_MOST;
	if (d == NULL && copy >= 0)
		phi_close(copy);
	for (struct dirent *e; d != NULL && most > 0 && (e = readdir(d)) != NULL;)
		if (strncmp(e->d_name, SIGNAL_PREFIX, strlen(SIGNAL_PREFIX)) == 0 &&
		    remove_if_dead(dir, e->d_name))
			most--;
	if (d != NULL)
		closedir(d);
}

static int create(struct signal_own *own, int dir)
{
	const uint64_t geometry[8] = {SIGNAL_RING_MAX, sizeof(struct signal_record)};
	struct plan p = {own->depth, own->ring_mask + 1};
	char name[32];
	snprintf(name, sizeof name, "/" SIGNAL_PREFIX "%d", own->pid);
	struct phi_region_plan plan = {
		.kind = PHI_KIND_SIGNAL,
		.layout = SIGNAL_LAYOUT,
		.name = name,
		.bytes = SIGNAL_FILE_BYTES,
		.reserved = SIGNAL_RING_AT + (own->ring_mask + 1) * sizeof(struct signal_record),
		.geometry = geometry,
		.mode = 0600,
		.init = init_body,
		.arg = &p,
	};
	int r = phi_region_create(&own->region, dir, name + 1, &plan);
	// A dead process of this number has left its own.
	if (r == -EEXIST && phi_file_remove_unused(dir, name + 1, NULL))
		r = phi_region_create(&own->region, dir, name + 1, &plan);
	if (r == 0)
		own->region.fd = phi_move_aside(own->region.fd);
	return r;
}

static uint32_t *mark_of(const struct signal_own *own)
{
	return (uint32_t *)(own->region.base + SIGNAL_MARK_AT);
}

static void vouch(struct signal_own *own)
{
	if (own->mark.alias != NULL && phi_mark_enlist(&own->mark))
		store_release_u32(mark_of(own), phi_self()->tid); // SIGNAL_MARK
}

// The thread that vouched has ended, and the process lives.
static void vouch_again(struct signal_own *own)
{
	if (!(load_relaxed_u32(mark_of(own)) & FUTEX_OWNER_DIED) || pthread_mutex_trylock(&making) != 0)
		return;
	vouch(own);
	pthread_mutex_unlock(&making);
}

static struct signal_own *make(void)
{
	struct signal_own *own = calloc(1, sizeof *own);
	int dir = own == NULL ? -ENOMEM : phi_namespace_open();
	if (dir < 0) {
		free(own);
		return NULL;
	}
	own->pid = phi_self()->pid;
	own->depth = first_depth();
	own->ring_mask = ring_for(own->depth) - 1;
	phi_spin_init(&own->spin);
	remove_leftovers(dir);
	int r = create(own, dir);
	phi_close(dir);
	if (r < 0) {
		free(own);
		return NULL;
	}
	own->port = (struct signal_port *)(own->region.base + PHI_REGION_BODY);
	own->self = (struct signal_peer){.region = own->region,
	                                 .port = own->port,
	                                 .id = own->region.header.id[0],
	                                 .pid = own->pid,
	                                 .pidfd = -1,
	                                 .own = true};
	if (phi_mark_map_apart(&own->mark, own->region.fd, SIGNAL_MARK_AT) == 0)
		vouch(own);
	return own;
}

static void at_first(void)
{
	static const struct phi_fork_steps steps = {phi_signal_before_fork, phi_signal_after_fork,
	                                            phi_signal_after_fork_child};
	phi_handle_arrange_for_fork(); // the guard is held still
	phi_fork_arrange(&steps);
	pthread_key_create(&thread_key, thread_ends);
}

// What was installed before the port was there is caught all the same.
static void adopt_dispositions(struct signal_own *own)
{
	for (int s = 1; s < SIGNAL_NUMBERS; s++)
		phi_disposition_show(own, s);
	phi_own_publish(own);
}

static struct signal_own *make_locked(void)
{
	struct signal_own *own = phi_own();
	uint32_t generation = phi_process_generation();
	if (own != NULL || load_relaxed_u32(&cannot) == generation)
		return own;
	phi_inbox_lock();
	bool room = phi_inbox_size(first_depth()) == 0; // without a port, too
	phi_inbox_unlock();
	own = room && phi_bell_works() ? make() : NULL;
	if (own == NULL) {
		store_relaxed_u32(&cannot, generation);
		return NULL;
	}
	phi_inbox_lock();
	store_release_ptr(&phi_own_port, (uintptr_t)own); // SIGNAL_OWN
	adopt_dispositions(own);
	phi_inbox_unlock();
	return own;
}

struct signal_own *phi_own_make(void)
{
	struct signal_own *own = phi_own();
	if (own != NULL) {
		vouch_again(own);
		return own;
	}
	int saved = errno;
	sigset_t block, before;
	int state;
	pthread_once(&once, at_first);
	phi_guard_blockable(&block);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_mutex_lock(&making);
	own = make_locked();
	pthread_mutex_unlock(&making);
	pthread_setcancelstate(state, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = saved;
	return own;
}

// ---- depth ----

static int set_depth(struct signal_own *own, uint32_t depth)
{
	uint32_t size = ring_for(depth);
	int r = phi_file_reserve(own->region.fd, SIGNAL_RING_AT,
	                         SIGNAL_RING_AT + size * sizeof(struct signal_record));
	if (r == 0 && own->payloads)
		r = phi_file_reserve(own->region.fd, SIGNAL_PAYLOAD_AT,
		                     SIGNAL_PAYLOAD_AT + size * sizeof(struct signal_payload));
	if (r < 0)
		return r;
	struct phi_hold h;
	if (!phi_own_lock(own, &h))
		return -EBUSY;
	phi_inbox_drain(); // an empty ring may change its size
	r = own->drained == own->port->tail ? phi_inbox_size(depth) : -EBUSY;
	if (r == 0) {
		own->depth = depth;
		own->ring_mask = size - 1;
		phi_own_publish_locked(own);
	}
	phi_own_unlock(own, &h);
	return r;
}

int phi_own_depth(int depth)
{
	struct signal_own *own = phi_own_make();
	if (depth < 0 || depth > SIGNAL_RING_MAX)
		return -EINVAL;
	if (own == NULL)
		return -ENOTSUP;
	phi_inbox_lock();
	int before = (int)own->depth;
	int r = depth == 0 ? 0 : set_depth(own, (uint32_t)depth);
	phi_inbox_unlock();
	return r < 0 ? r : before;
}

int phi_own_payloads(void)
{
	struct signal_own *own = phi_own_make();
	if (own == NULL)
		return -ENOTSUP;
	phi_inbox_lock();
	int r = own->payloads ? 0
	                      : phi_file_reserve(own->region.fd, SIGNAL_PAYLOAD_AT,
	                                         SIGNAL_PAYLOAD_AT + (own->ring_mask + 1) *
	                                                                 sizeof(struct signal_payload));
	if (r == 0)
		own->payloads = true;
	phi_inbox_unlock();
	return r;
}

// ---- the end ----

static void forget(struct signal_own *own)
{
	store_release_ptr(&phi_own_port, 0); // SIGNAL_OWN
	phi_region_unmap(&own->region);
	if (phi_region_has_fd(&own->region, own->region.fd))
		phi_close(own->region.fd);
	phi_mark_unmap(&own->mark);
	free(own);
}

// In the room from here on: a signal that comes before the locks are let go is put off.
void phi_signal_before_fork(void)
{
	phi_signal_enter();
	phi_named_hold();
	pthread_mutex_lock(&making);
	phi_peers_hold();
	phi_inbox_hold();
}

void phi_signal_after_fork(void)
{
	phi_inbox_let_go(false);
	phi_peers_let_go(false);
	pthread_mutex_unlock(&making);
	phi_named_let_go(false);
	phi_signal_leave();
}

void phi_signal_after_fork_child(void)
{
	struct signal_own *own = (struct signal_own *)load_acquire_ptr(&phi_own_port); // SIGNAL_OWN
	phi_inbox_let_go(true);
	phi_peers_let_go(true);
	if (own != NULL) {
		phi_mark_forget(&own->mark);
		forget(own);
	}
	phi_signal_self.shown = NULL;
	store_relaxed_u64(&phi_signal_self.owed, 0);
	pthread_mutex_unlock(&making);
	phi_named_let_go(true);
	phi_signal_leave();
}

// By the kernel's word: the child of a vfork has the parent's memory.
static bool is_mine(const struct signal_own *own)
{
	return own != NULL && own->pid == (int32_t)syscall(SYS_getpid);
}

void phi_signal_exit(void)
{
	struct signal_own *own = (struct signal_own *)load_acquire_ptr(&phi_own_port); // SIGNAL_OWN
	char name[32];
	if (!is_mine(own) || !phi_region_has_fd(&own->region, own->region.fd))
		return;
	phi_named_exit();
	int dir = phi_namespace_open();
	snprintf(name, sizeof name, SIGNAL_PREFIX "%d", own->pid);
	if (dir >= 0 && phi_file_is_named(own->region.fd, dir, name))
		unlinkat(dir, name, 0);
	if (dir >= 0)
		phi_close(dir);
}

// Everything that is pending becomes the kernel's, which keeps it over an exec.
static void return_all(void)
{
	siginfo_t info;
	phi_inbox_drain();
	for (int s; (s = phi_inbox_lowest(~UINT64_C(0))) != 0;) {
		phi_inbox_pop(s, &info);
		phi_bell_return(&info);
	}
}

void phi_signal_leaving(void)
{
	struct signal_own *own = phi_own();
	if (!is_mine(own))
		return;
	struct phi_hold h;
	phi_inbox_lock();
	// No sender puts a newer one into the kernel before all of ours are there.
	bool locked = false;
	for (int i = 0; !locked && i < LEAVING_TRIES; i++)
		locked = phi_own_lock(own, &h);
	store_relaxed_u32(&own->port->closed, SIGNAL_CLOSING);
	struct signal_own said = *own;
	own->leaving = true;
	phi_inbox_drain();
	own->quiet = own->caught = own->asleep = own->queueing = 0;
	phi_own_publish_locked(own);
	own->quiet = said.quiet;
	own->caught = said.caught;
	own->queueing = said.queueing;
	phi_inbox_adopt(SIGNAL_QUEUED_MASK & phi_mask_now()); // bells mean nothing to the next program
	return_all();
	own->leaving = false;
	store_relaxed_u32(&own->port->closed, SIGNAL_CLOSED);
	if (locked)
		phi_own_unlock(own, &h);
	phi_inbox_unlock();
}

void phi_signal_stayed(void)
{
	struct signal_own *own = phi_own();
	if (!is_mine(own))
		return;
	phi_inbox_lock();
	// What became the kernel's comes back before anything that is sent from now on.
	phi_inbox_adopt(SIGNAL_QUEUED_MASK & phi_mask_now() & ~own->kernels);
	store_relaxed_u32(&own->port->closed, 0);
	phi_own_publish(own);
	phi_inbox_unlock();
}
