// SPDX-License-Identifier: MIT
//
// The kernel object that poll looks at: a fifo with two pages of room whose fill says what the queue
// allows. docs/mq.md, "One-lock mode and poll". The word `tokens` repeats what was last put into the
// fifo, so that an operation that changes nothing makes no system call; who repairs asks the fifo.
#include "mq/queue.h"

#include "base/descriptor.h"
#include "core/namespace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE_BYTES 4096
#define FIFO_BYTES (2 * PAGE_BYTES)
#define FIFO_PREFIX ".poll."
#define FIFO_NAME_SIZE 48
#define OPEN_ROUNDS 1000

enum token { EMPTY, SOME, FULL };

uint32_t phi_mq_has_fifos;

static void fifo_name(char name[FIFO_NAME_SIZE], const uint64_t id[2])
{
	snprintf(name, FIFO_NAME_SIZE, FIFO_PREFIX "%016" PRIx64 "%016" PRIx64, id[0], id[1]);
}

static int descriptor(const struct mq_queue *q)
{
	return (int)load_acquire_u32(&q->fifo) - 1; // FIFO_OPEN
}

// The fifo has the permissions of the object, whatever the umask says.
static void copy_rights(struct mq_queue *q, int fd)
{
	struct stat st;
	if (fstat(q->region.fd, &st) != 0 || fchmod(fd, st.st_mode & 0777) != 0)
		return;
	// Who is not root can at most hand it to the object's group, if that is one of his.
	bool done = fchown(fd, st.st_uid, st.st_gid) == 0 || fchown(fd, (uid_t)-1, st.st_gid) == 0;
	(void)done;
}

// Everybody who has a fifo open holds a shared lock on it; who sweeps takes the exclusive one first.
static bool still_named(int fd, int dir, const char *name)
{
	struct stat open, named;
	return flock(fd, LOCK_SH | LOCK_NB) == 0 && fstat(fd, &open) == 0 &&
	       fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && open.st_ino == named.st_ino &&
	       S_ISFIFO(open.st_mode);
}

static int open_fifo_once(struct mq_queue *q, int dir, const char *name)
{
	bool made = mkfifoat(dir, name, 0600) == 0;
	if (!made && errno != EEXIST)
		return -errno;
	int fd = openat(dir, name, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT || errno == EACCES ? -EAGAIN : -errno; // not there yet
	if (!still_named(fd, dir, name)) {
		phi_close(fd);
		return -EAGAIN;
	}
	if (made)
		copy_rights(q, fd);
	fcntl(fd, F_SETPIPE_SZ, FIFO_BYTES);
	return fd;
}

static int open_fifo(struct mq_queue *q, int dir)
{
	char name[FIFO_NAME_SIZE];
	fifo_name(name, q->region.header.id);
	int fd = -EAGAIN;
	for (int i = 0; fd == -EAGAIN && i < OPEN_ROUNDS; i++) {
		fd = open_fifo_once(q, dir, name);
		if (fd == -EAGAIN)
			sched_yield();
	}
	return fd == -EAGAIN ? -EACCES : fd;
}

// A fifo that nobody has open belongs to a queue that nobody uses; if that has a name still, its next
// poller makes the fifo again.
static void sweep_one(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		unlinkat(dir, name, 0);
	phi_close(fd);
}

void phi_mq_tokens_sweep(int dir)
{
	int own = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = own < 0 ? NULL : fdopendir(own);
	if (d == NULL) {
		if (own >= 0)
			phi_close(own);
		return;
	}
	for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
		if (strncmp(e->d_name, FIFO_PREFIX, sizeof FIFO_PREFIX - 1) == 0)
			sweep_one(dir, e->d_name);
	closedir(d);
}

static int open_once(struct mq_queue *q)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	int dir = phi_namespace_open();
	int fd = dir < 0 ? dir : phi_move_aside(open_fifo(q, dir));
	if (dir >= 0) {
		phi_mq_tokens_sweep(dir);
		phi_close(dir);
	}
	pthread_setcancelstate(state, NULL);
	if (fd >= 0) {
		store_relaxed_u32(&phi_mq_has_fifos, 1);
		store_release_u32(&q->fifo, (uint32_t)fd + 1); // FIFO_OPEN
	}
	return fd < 0 ? fd : 0;
}

// Under a lock nothing may be a cancellation point: the bare system calls are none.
static void drain(int fd)
{
	char sink[FIFO_BYTES];
	while (syscall(SYS_read, fd, sink, sizeof sink) > 0)
		;
}

static bool fill(int fd, size_t bytes)
{
	static const char tokens[PAGE_BYTES];
	return syscall(SYS_write, fd, tokens, bytes) == (long)bytes;
}

static bool take(int fd, size_t bytes)
{
	char sink[PAGE_BYTES];
	return syscall(SYS_read, fd, sink, bytes) == (long)bytes;
}

static enum token content(int fd)
{
	int n = 0;
	if (ioctl(fd, FIONREAD, &n) != 0)
		return EMPTY;
	if (n == 0 || n == 1)
		return n == 0 ? EMPTY : SOME;
	if (n == 1 + PAGE_BYTES)
		return FULL;
	drain(fd); // somebody else wrote or read here
	return EMPTY;
}

// One step up or down the row EMPTY, SOME, FULL.
static bool step(int fd, enum token from, bool up)
{
	size_t bytes = (up ? from : from - 1) == EMPTY ? 1 : PAGE_BYTES;
	return up ? fill(fd, bytes) : take(fd, bytes);
}

void phi_mq_tokens_set(struct mq_queue *q, uint32_t want)
{
	uint32_t have = load_relaxed_u32(&q->c->tokens);
	int fd = descriptor(q);
	if (have == want || fd < 0)
		return;
	if (have > FULL)
		have = content(fd);
	// A refused step means that the word is wrong: ask the fifo, once.
	for (int wrong = 0; have != want && wrong < 2;) {
		bool up = have < want;
		if (step(fd, have, up)) {
			have = up ? have + 1 : have - 1;
		} else {
			have = content(fd);
			wrong++;
		}
	}
	store_relaxed_u32(&q->c->tokens, have);
}

uint32_t phi_mq_tokens_for(const struct mq_queue *q, uint64_t tail, uint64_t free_tail)
{
	uint64_t out = free_tail - tail + load_relaxed_u32(&q->c->borrowed);
	if (out >= q->g.maxmsg)
		return EMPTY; // or all borrowed: then the fifo cannot say "neither"
	return free_tail == tail ? FULL : SOME;
}

void phi_mq_tokens_resync(struct mq_queue *q)
{
	struct mq_control *c = q->c;
	if (descriptor(q) < 0 && open_once(q) < 0)
		return;
	store_relaxed_u32(&c->tokens, content(descriptor(q)));
	phi_mq_tokens_set(
		q, phi_mq_tokens_for(q, load_relaxed_u64(&c->tail), load_relaxed_u64(&c->free_tail)));
}

int phi_mq_tokens_open(struct mq_queue *q)
{
	if (__builtin_expect(descriptor(q) >= 0, 1))
		return 0;
	int r = open_once(q);
	if (r == 0)
		phi_mq_tokens_resync(q); // if we are the first, the fifo has forgotten
	return r;
}

// The public number must be pollable: the fifo goes over it, the file moves aside.
static int make_public(struct mq_queue *q)
{
	if (q->fifo_is_public)
		return 0;
	int aside = phi_copy_aside(q->region.fd);
	if (aside < 0)
		return -errno;
	if (dup3(descriptor(q), q->handle.fd, O_CLOEXEC) < 0) {
		int e = -errno;
		phi_close(aside);
		return e;
	}
	q->region.fd = aside;
	q->fifo_is_public = true;
	return 0;
}

static int switch_to_one_lock(struct mq_op *op)
{
	struct mq_queue *q = op->q;
	int r = phi_mq_lock_recv(op);
	if (r < 0)
		return r;
	store_release_u32(&q->c->polled, 1); // ONE_LOCK
	phi_mq_unlock(op);
	r = phi_mq_lock_send(op);
	if (r < 0)
		return r;
	r = phi_mq_tokens_open(q);
	if (r == 0)
		phi_mq_tokens_resync(q);
	phi_mq_unlock(op);
	return r;
}

// What dead borrowers had is readable.
static int reap_for_poller(struct mq_queue *q)
{
	struct mq_op op;
	if (load_relaxed_u32(&q->c->loans) == 0)
		return 0;
	phi_mq_begin(&op, q);
	op.nonblock = true;
	op.abstime = NULL;
	phi_mq_reap(&op);
	return phi_mq_end(&op, 0);
}

int phi_mq_tokens_polled(struct phi_handle *h)
{
	struct mq_queue *q = (struct mq_queue *)h;
	if (q->fifo_is_public)
		return reap_for_poller(q);
	// A number that was the queue's, closed behind our back and used again, is not ours to touch.
	if (!phi_region_has_fd(&q->region, q->region.fd))
		return 0;
	struct mq_op op;
	phi_mq_begin(&op, q);
	op.nonblock = true;
	op.abstime = NULL;
	pthread_mutex_lock(&q->change);
	int r = switch_to_one_lock(&op);
	if (r == 0)
		r = make_public(q);
	pthread_mutex_unlock(&q->change);
	if (r == 0)
		r = reap_for_poller(q);
	return phi_mq_end(&op, r);
}

int phi_mq_glance(struct phi_handle *h)
{
	struct mq_queue *q = (struct mq_queue *)h;
	if (q->fifo_is_public || !phi_region_has_fd(&q->region, q->region.fd) || reap_for_poller(q) < 0)
		return -1;
	uint64_t tail = load_acquire_u64(&q->c->tail);             // TAIL
	uint64_t room = load_acquire_u64(&q->c->free_tail) - tail; // FREE_TAIL
	return (phi_mq_count(q) > 0 ? POLLIN : 0) | (room > 0 ? POLLOUT : 0);
}

// The public number, if the program has not closed it behind our back and used it for something else.
void phi_mq_tokens_unpublish(struct mq_queue *q)
{
	struct stat ours;
	struct stat there;
	if (q->fifo_is_public && fstat(descriptor(q), &ours) == 0 && fstat(q->handle.fd, &there) == 0 &&
	    ours.st_dev == there.st_dev && ours.st_ino == there.st_ino)
		phi_close(q->handle.fd);
	q->fifo_is_public = false;
}

void phi_mq_tokens_close(struct mq_queue *q)
{
	phi_mq_tokens_unpublish(q);
	if (descriptor(q) >= 0)
		phi_close(descriptor(q));
	store_release_u32(&q->fifo, 0);
}
