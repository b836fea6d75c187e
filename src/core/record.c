// SPDX-License-Identifier: MIT
//
// A process's recording: made at its first operation, given a ring for each thread that has one, gone with its normal end.
// It stays when the process is killed, or becomes another program: the newest of those are kept.
//
// Its life is told by a lock that the mapping keeps (docs/decisions/0017), and no child inherits. What may be called by a
// signal handler is made without malloc and without waiting: where this thread or another is just making the recording,
// an operation is not noted.
#include "core/record.h"

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/fork.h"
#include "base/guard.h"
#include "base/random.h"
#include "core/file.h"
#include "core/handle.h"
#include "core/life.h"
#include "core/namespace.h"
#include "core/record_names.h"
#include "sync/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEPTH 256
#define PERIOD_NS 2500 // between two times; a clock costs a hundredth of it
#define FRESH 8        // rings that are used before those of threads that have ended
#define KEPT 32        // recordings of the dead

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

static struct phi_recorder nowhere;  // of threads that have recorded nothing yet
static struct phi_recorder unwanted; // of threads that are not recorded

__thread struct phi_recorder *phi_recorder = &nowhere;
__thread uint64_t phi_record_slept_ns;

static struct {
	uint32_t begun;   // generation that makes it, has made it, or cannot
	uint32_t made;    // generation that has
	uint32_t refused; // generation that cannot
	uint32_t depth;
	uint8_t *base;
	struct phi_recorder *recorder; // of each ring; wiped in a child
	uint64_t device, inode;
	int32_t pid;
	uint32_t damaged;
	struct phi_guarded guarded;
} own;

static void file_name(char name[32], int32_t pid)
{
	snprintf(name, 32, RECORD_PREFIX "%d", pid);
}

// ---- making it ----

// A power of two; 0 = nothing is to be recorded.
static uint32_t wanted_depth(void)
{
	const char *text = getenv("POSTHASTE_TRACE");
	long wanted = text != NULL && *text != '\0' ? strtol(text, NULL, 10) : DEPTH;
	uint32_t depth = RECORD_DEPTH_MIN;
	if (wanted <= 0)
		return 0;
	while (depth < wanted && depth < RECORD_DEPTH_MAX)
		depth *= 2;
	return depth;
}

static void fill_header(uint8_t *base, uint32_t depth)
{
	struct phi_region_header *h = (struct phi_region_header *)base;
	struct record_process *p = (struct record_process *)(base + PHI_REGION_BODY);
	h->magic = PHI_REGION_MAGIC;
	h->kind = PHI_KIND_RECORD;
	h->layout = RECORD_LAYOUT;
	h->bytes = RECORD_BYTES(depth);
	phi_random_id(h->id);
	h->pid_ns = phi_life_pid_ns();
	h->created_s = (int64_t)time(NULL);
	h->creator = own.pid;
	h->geometry[0] = depth;
	h->geometry[1] = RECORD_THREADS;
	h->geometry[2] = RECORD_NAMES;
	file_name(h->name, own.pid);
	p->began_ns = phi_now_ns();
	strncpy(p->command, program_invocation_short_name, sizeof p->command - 1);
}

static int map(int fd, uint32_t depth)
{
	struct stat st;
	size_t bytes = RECORD_BYTES(depth);
	if (fstat(fd, &st) != 0)
		return -errno;
	void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	madvise(base, bytes, MADV_DONTFORK);
	store_relaxed_u32(&own.damaged, 0);
	int r = phi_guard_add_own(&own.guarded, base, bytes, &own.damaged);
	if (r < 0) {
		munmap(base, bytes);
		return r;
	}
	own.base = base;
	own.depth = depth;
	own.device = st.st_dev;
	own.inode = st.st_ino;
	fill_header(base, depth);
	phi_record_names_show((struct record_name *)(own.base + RECORD_NAMES_AT));
	return 0;
}

static void unmap(void)
{
	store_release_ptr(&own.guarded.base, 0);
	munmap(own.base, RECORD_BYTES(own.depth));
}

static int link_in(int fd, int dir, const char *temp)
{
	char name[32];
	file_name(name, own.pid);
	int r = phi_file_link(fd, dir, temp, name);
	// A dead process of this number has left its own, or this one before an exec.
	if (r == -EEXIST && phi_file_remove_unused(dir, name, NULL))
		r = phi_file_link(fd, dir, temp, name);
	return r;
}

// The threads' places, kept over forks.
static int make_places(void)
{
	size_t bytes = RECORD_THREADS * sizeof(struct phi_recorder);
	if (own.recorder != NULL) {
		memset(own.recorder, 0, bytes);
		return 0;
	}
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (at == MAP_FAILED)
		return -errno;
	madvise(at, bytes, MADV_WIPEONFORK);
	own.recorder = at;
	return 0;
}

static int make_in(int dir, uint32_t depth)
{
	char temp[PHI_FILE_TEMP];
	int fd = phi_file_new(dir, 0600, temp);
	if (fd < 0)
		return fd;
	int r = make_places();
	if (r == 0)
		r = phi_file_size(fd, RECORD_BYTES(depth),
		                  RECORD_RINGS_AT + depth * sizeof(struct record_entry));
	if (r == 0)
		r = phi_life_attach(fd);
	if (r == 0)
		r = map(fd, depth);
	if (r == 0) {
		r = link_in(fd, dir, temp);
		if (r < 0)
			unmap();
	}
	phi_file_drop_temp(dir, temp);
	phi_close(fd);
	return r;
}

static int make(void)
{
	uint32_t depth = wanted_depth();
	int dir = depth == 0 ? -ENOTSUP : phi_namespace_open();
	if (dir < 0)
		return dir;
	own.pid = phi_self()->pid;
	phi_record_sweep(dir, KEPT);
	int r = make_in(dir, depth);
	phi_close(dir);
	return r;
}

// One thread of this process, once.
static bool begin(uint32_t generation)
{
	uint32_t begun = load_relaxed_u32(&own.begun);
	return begun != generation && cas_acq_rel_u32(&own.begun, begun, generation);
}

static void make_once(uint32_t generation)
{
	if (!begin(generation))
		return;
	int r = make();
	if (r == 0)
		store_release_u32(&own.made, generation); // RECORD_MADE
	else if (r == -EBUSY)
		store_relaxed_u32(&own.begun, 0); // the guard is busy: with the next operation
	else
		store_relaxed_u32(&own.refused, generation);
}

// ---- a ring for a thread ----

static struct record_thread *thread_at(uint32_t i)
{
	return (struct record_thread *)(own.base + RECORD_THREADS_AT) + i;
}

static size_t ring_at(uint32_t i)
{
	return RECORD_RINGS_AT + (size_t)i * own.depth * sizeof(struct record_entry);
}

// By the file, which has no descriptor any more. That of another process, or none, is as if there were no memory.
static bool reserve_by_name(uint32_t i)
{
	char name[32];
	struct stat st;
	file_name(name, own.pid);
	int dir = phi_namespace_open();
	int fd = dir < 0 ? -1 : openat(dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	bool reserved = fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == own.device &&
	                st.st_ino == own.inode && phi_file_reserve(fd, ring_at(i), ring_at(i + 1)) == 0;
	if (fd >= 0)
		phi_close(fd);
	if (dir >= 0)
		phi_close(dir);
	return reserved;
}

// A thread that uses nothing but a semaphore may not be allowed to open files. Linux 5.14 needs none.
static bool reserve_ring(uint32_t i)
{
	if (madvise(own.base + ring_at(i), ring_at(i + 1) - ring_at(i), MADV_POPULATE_WRITE) == 0)
		return true;
	return errno == EINVAL && reserve_by_name(i);
}

static struct record_thread *take_fresh(uint32_t from, uint32_t to, uint32_t tid)
{
	for (uint32_t i = from; i < to; i++) {
		struct record_thread *s = thread_at(i);
		if (load_relaxed_u32(&s->tid) != 0 || !cas_acq_rel_u32(&s->tid, 0, tid))
			continue;
		if (i == 0 || reserve_ring(i))
			return s;
		store_release_u32(&s->tid, 0);
		return NULL;
	}
	return NULL;
}

#ifdef PHI_TSAN // which does not see that who is not there any more has come to an end before
#define HAS_ENDED(tid) false
#else
#define HAS_ENDED(tid) phi_tid_dead(tid)
#endif

static struct record_thread *take_over(uint32_t tid)
{
	for (uint32_t i = 0; i < RECORD_THREADS; i++) {
		struct record_thread *s = thread_at(i);
		uint32_t before = load_relaxed_u32(&s->tid);
		if (before == 0 || (before != tid && !HAS_ENDED(before)) ||
		    !cas_acq_rel_u32(&s->tid, before, tid))
			continue;
		store_relaxed_u64((uint64_t *)&s->since_ns, 0);
		store_relaxed_u64(&s->first, load_relaxed_u64(&s->next));
		return s;
	}
	return NULL;
}

static struct record_thread *claim(uint32_t tid)
{
	struct record_thread *s = take_fresh(0, FRESH, tid);
	if (s == NULL)
		s = take_over(tid);
	if (s == NULL)
		s = take_fresh(FRESH, RECORD_THREADS, tid);
	if (s == NULL)
		add_acq_rel_u32(&((struct record_process *)(own.base + PHI_REGION_BODY))->unrecorded, 1);
	return s;
}

// ---- this thread's place ----

static void settle(struct record_thread *s)
{
	struct phi_recorder *t = &own.recorder[s - thread_at(0)];
	t->shown = s;
	t->next = t->timed = load_relaxed_u64(&s->next);
	t->mask = own.depth - 1;
	t->ring = (uintptr_t)own.base + ring_at((uint32_t)(s - thread_at(0)));
	t->timed_ns = 0;
	t->due = 0;
	phi_recorder = t;
}

static void settle_in(uint32_t generation)
{
	make_once(generation);
	if (load_acquire_u32(&own.made) == generation) { // RECORD_MADE
		struct record_thread *s = claim(phi_self()->tid);
		if (s != NULL)
			settle(s);
		else
			phi_recorder = &unwanted;
	} else if (load_relaxed_u32(&own.refused) == generation) {
		phi_recorder = &unwanted;
	}
}

// With whatever a signal handler or a cancellation must not see in between.
static bool find_place(void)
{
	sigset_t block, before;
	int state;
	phi_guard_blockable(&block);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	settle_in(phi_process_generation());
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_setcancelstate(state, NULL);
	return phi_recorder->shown != NULL;
}

// ---- an entry with its time ----

// Operations that follow each other closely share a time: docs/trace.md, "When".
static uint64_t gap_after(const struct phi_recorder *t, uint64_t n, int64_t now)
{
	uint64_t passed = (uint64_t)(now - t->timed_ns);
	if (passed >= RECORD_AHEAD * (uint64_t)PERIOD_NS)
		return 1;
	uint32_t gap = (uint32_t)(n + 1 - t->timed) * PERIOD_NS / ((uint32_t)passed + 1);
	return gap < 1 ? 1 : gap > RECORD_AHEAD ? RECORD_AHEAD : gap;
}

// Up to the end of the ring, where it has to be begun again.
static void plan_next(struct phi_recorder *t, uint64_t n, int64_t now, bool slept)
{
	uint64_t due = n + (slept ? 1 : gap_after(t, n, now));
	uint64_t end = (n | t->mask) + 1;
	t->entries = t->ring - (end - t->mask - 1) * sizeof(struct record_entry);
	t->timed_ns = now;
	t->timed = n + 1;
	t->due = due < end ? due : end;
}

// The words are made wrong first: a reader that copies meanwhile sees them change.
static void put_timed(struct record_entry *e, const uint64_t word[2], int64_t now, uint64_t slept)
{
	store_relaxed_u64(&e->outcome, ~word[1]);
	store_release_u64((uint64_t *)&e->when_ns, (uint64_t)now); // RECORD_ENTRY
	store_relaxed_u64(&e->waited_ns, slept);
	store_relaxed_u64(&e->object, word[0]);
	store_release_u64(&e->outcome, word[1]); // RECORD_ENTRY
}

static void record_timed(enum record_op op, uint64_t key, int64_t result, uint64_t slept_ns)
{
	struct phi_recorder *t = phi_recorder;
	int64_t now = phi_now_ns();
	uint64_t n = load_relaxed_u64(&t->next);
	store_relaxed_u64(&t->next, n + 1);
	compiler_barrier(); // a handler takes another number
	plan_next(t, n, now, slept_ns != 0);
	const uint64_t word[2] = {
		key << 16 | (uint16_t)n,
		(uint64_t)result << 24 | RECORD_TIMED | (uint64_t)op << 16 | (uint16_t)n,
	};
	put_timed((struct record_entry *)(t->entries + n * sizeof(struct record_entry)), word, now,
	          slept_ns);
	store_release_u64(&t->shown->next, n + 1); // RECORD_ENTRY
}

void phi_record_timed(enum record_op op, uint64_t key, int64_t result, uint64_t slept_ns)
{
	if (phi_recorder == &unwanted)
		return;
	int saved = errno;
	if (phi_recorder->shown != NULL || find_place())
		record_timed(op, key, result, slept_ns);
	errno = saved;
}

// ---- asleep ----

static void show_wait(struct record_thread *s, uint32_t op, uint64_t key, int64_t since_ns)
{
	store_relaxed_u32(&s->waits_in, op);
	store_relaxed_u64(&s->waits_for, key);
	store_release_u64((uint64_t *)&s->since_ns, (uint64_t)since_ns); // RECORD_ASLEEP
}

static int64_t now_by(bool exact)
{
	return exact ? phi_now_ns() : phi_now_coarse_ns();
}

struct phi_nap phi_record_asleep(enum record_op op, uint64_t key, bool exact)
{
	struct record_thread *s = phi_recorder->shown;
	struct phi_nap nap = {.exact = exact, .since_ns = now_by(exact)};
	if (s == NULL)
		return nap; // this thread's first operation
	nap.outer_op = load_relaxed_u32(&s->waits_in);
	nap.outer_key = load_relaxed_u64(&s->waits_for);
	nap.outer_ns = (int64_t)load_relaxed_u64((uint64_t *)&s->since_ns);
	store_relaxed_u64((uint64_t *)&s->since_ns, 0);
	show_wait(s, op, key, nap.since_ns);
	return nap;
}

void phi_record_awake(const struct phi_nap *nap)
{
	struct record_thread *s = phi_recorder->shown;
	phi_record_slept_ns += (uint64_t)(now_by(nap->exact) - nap->since_ns);
	if (s == NULL)
		return;
	store_relaxed_u64((uint64_t *)&s->since_ns, 0);
	if (nap->outer_ns != 0)
		show_wait(s, nap->outer_op, nap->outer_key, nap->outer_ns);
}

// ---- the end ----

// By the kernel's word: the child of a vfork has the parent's memory.
void phi_record_exit(void)
{
	char name[32];
	struct stat st;
	if (load_acquire_u32(&own.made) != phi_process_generation() || // RECORD_MADE
	    own.pid != (int32_t)syscall(SYS_getpid))
		return;
	int dir = phi_namespace_open();
	file_name(name, own.pid);
	if (dir >= 0 && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == own.device &&
	    st.st_ino == own.inode)
		unlinkat(dir, name, 0);
	if (dir >= 0)
		phi_close(dir);
}

// Where the kernel has not wiped it: emulators.
static void forget_in_child(void)
{
	struct phi_recorder *t = phi_recorder;
	if (t != &nowhere && t != &unwanted && t->shown != NULL)
		memset(t, 0, sizeof *t);
}

// Here, where malloc may be called: what is done at a fork must be known before the guard is used.
__attribute__((constructor)) static void at_start(void)
{
	static const struct phi_fork_steps steps = {.in_child = forget_in_child};
	phi_handle_arrange_for_fork();
	phi_fork_arrange(&steps);
}

__attribute__((destructor)) static void at_exit(void)
{
	phi_record_exit();
}
