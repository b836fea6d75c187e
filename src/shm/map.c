// SPDX-License-Identifier: MIT
//
// Mappings: made of a name, of nothing, or of a descriptor; found again by address. A new object is sized, reserved,
// marked, locked and mapped before it gets its name. What can fail comes before what others see.
#include "shm/shm.h"

#include "base/atomic.h"
#include "base/descriptor.h"
#include "base/fork.h"
#include "base/guard.h"
#include "core/file.h"
#include "core/handle.h"
#include "core/life.h"
#include "core/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define ROUNDS 10000
#define SWEEP_EVERY 64
#define BUCKETS 256

#define KNOWN                                                                                    \
	(PH_SHM_CREATE | PH_SHM_EXCL | PH_SHM_TRUNC | PH_SHM_RDONLY | PH_SHM_HUGE | PH_SHM_RECLAIM | \
	 PH_SHM_SEALED)

// ---- by address ----

// Nothing else is locked while this is held.
static pthread_mutex_t change = PTHREAD_MUTEX_INITIALIZER;
static struct shm_mapping *buckets[BUCKETS];
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static void hold(void)
{
	pthread_mutex_lock(&change);
}

static void let_go(void)
{
	pthread_mutex_unlock(&change);
}

static void arrange_for_fork(void)
{
	static const struct phi_fork_steps steps = {hold, let_go, let_go};
	phi_handle_arrange_for_fork();
	phi_fork_arrange(&steps);
}

static struct shm_mapping **bucket_of(const void *addr)
{
	return &buckets[((uintptr_t)addr >> 12 ^ (uintptr_t)addr >> 21) % BUCKETS];
}

static struct shm_mapping **place_of(const void *addr)
{
	struct shm_mapping **m = bucket_of(addr);
	while (*m != NULL && (*m)->base != addr)
		m = &(*m)->next;
	return m;
}

struct shm_mapping *phi_shm_find(const void *addr)
{
	hold();
	struct shm_mapping *m = *place_of(addr);
	let_go();
	return m;
}

static void enter(struct shm_mapping *m)
{
	hold();
	struct shm_mapping **bucket = bucket_of(m->base);
	m->next = *bucket;
	*bucket = m;
	let_go();
}

static struct shm_mapping *take_out(const void *addr)
{
	hold();
	struct shm_mapping **place = place_of(addr);
	struct shm_mapping *m = *place;
	if (m != NULL)
		*place = m->next;
	let_go();
	return m;
}

static struct shm_mapping *new_mapping(const struct shm_wish *wish)
{
	pthread_once(&fork_once, arrange_for_fork);
	struct shm_mapping *m = calloc(1, sizeof *m);
	if (m != NULL) {
		m->flags = wish->flags;
		m->fd = -1;
	}
	return m;
}

// Back to how it was before a try.
static void undo(struct shm_mapping *m)
{
	phi_shm_displace(m);
	if (m->fd >= 0)
		phi_close(m->fd);
	m->fd = -1;
	m->damaged = 0;
}

static int finish(struct shm_mapping *m, int r, void **addr)
{
	if (r < 0) {
		undo(m);
		free(m);
		return r;
	}
	m->fd = phi_move_aside(m->fd);
	enter(m);
	*addr = m->base;
	return 0;
}

// ---- a new object ----

// A description that cannot write: of a view that shall be none to write, and not hinder a seal.
static void give_up_writing(struct shm_mapping *m)
{
	char path[32];
	snprintf(path, sizeof path, "/proc/self/fd/%d", m->fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (phi_life_attach(fd) < 0) {
		phi_close(fd);
		return;
	}
	phi_close(m->fd);
	m->fd = fd;
}

static int mark(struct shm_mapping *m)
{
	struct stat st;
	if (!(m->flags & PH_SHM_RECLAIM) || m->file[0] == '\0')
		return 0;
	if (fstat(m->fd, &st) != 0 || fchmod(m->fd, (st.st_mode & 0777) | SHM_RECLAIMED) != 0)
		return -errno;
	return 0;
}

static int fill_huge(struct shm_mapping *m, size_t size)
{
	int flags = m->flags;
	int r = phi_file_size(m->fd, size, 0);
	if (r < 0)
		return r;
	m->flags &= ~PH_SHM_RDONLY;
	r = phi_shm_place(m, size);
	m->flags = flags;
	if (r < 0)
		return r;
	phi_shm_populate_huge(m, size);
	r = phi_file_size(m->fd, size, size);
	if (r == 0)
		phi_shm_collapse(m, size);
	if (flags & PH_SHM_RDONLY)
		phi_shm_displace(m);
	return r;
}

// m->fd is a file without a name: make it complete, and m its mapping.
static int complete(struct shm_mapping *m, const struct shm_wish *wish)
{
	m->reach = wish->reach > wish->size ? wish->reach : wish->size;
	int r = m->flags & PH_SHM_HUGE ? fill_huge(m, wish->size)
	                               : phi_file_size(m->fd, wish->size, wish->size);
	if (r == 0)
		r = mark(m);
	if (r == 0)
		r = phi_life_attach(m->fd);
	if (r == 0 && (m->flags & PH_SHM_RDONLY))
		give_up_writing(m);
	return r < 0 || m->base != NULL ? r : phi_shm_place(m, wish->size);
}

static uint32_t objects_made;

static void sweep_now_and_then(int dir)
{
	uint32_t n = add_acq_rel_u32(&objects_made, 1);
	if ((n & (n - 1)) == 0 || n % SWEEP_EVERY == 0)
		phi_shm_sweep(dir, false);
}

static int create(struct shm_mapping *m, int dir, const char *file, const struct shm_wish *wish)
{
	char temp[PHI_FILE_TEMP];
	if (wish->size == 0)
		return -EINVAL;
	sweep_now_and_then(dir);
	m->fd = phi_file_new(dir, wish->mode & 0777, temp);
	if (m->fd < 0)
		return m->fd;
	int r = complete(m, wish);
	if (r == 0)
		r = phi_file_link(m->fd, dir, temp, file);
	phi_file_drop_temp(dir, temp);
	return r;
}

static int create_anonymous(struct shm_mapping *m, const struct shm_wish *wish)
{
	if (wish->size == 0)
		return -EINVAL;
	m->fd = memfd_create("posthaste", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (m->fd < 0)
		return -errno;
	return complete(m, wish);
}

// ---- one that is there ----

// At least `size` bytes, and memory for all of them: what somebody made by ftruncate has none yet.
static int make_fit(const struct shm_mapping *m, const struct stat *st, size_t size)
{
	size_t has = (size_t)st->st_size;
	bool holes = (uint64_t)st->st_blocks * 512 < has;
	if (m->flags & PH_SHM_RDONLY)
		return size > has ? -EINVAL : 0;
	return phi_file_reserve(m->fd, holes ? 0 : has, size > has ? size : has);
}

static int use(struct shm_mapping *m, const struct shm_wish *wish)
{
	struct stat st;
	if (fstat(m->fd, &st) != 0)
		return -errno;
	size_t size = wish->size > (size_t)st.st_size ? wish->size : (size_t)st.st_size;
	m->reach = wish->reach > size ? wish->reach : size;
	if (m->reach == 0)
		return -EINVAL;
	int r = make_fit(m, &st, wish->size);
	if (r == 0)
		r = phi_shm_place(m, size);
	if (r < 0)
		return r;
	if (m->flags & PH_SHM_HUGE)
		phi_shm_collapse(m, size);
	if (m->flags & PH_SHM_TRUNC)
		phi_shm_zero(m, size);
	return 0;
}

static int open_there(struct shm_mapping *m, int dir, const char *file)
{
	int r = phi_shm_open_there(dir, file, m->flags & PH_SHM_RDONLY ? O_RDONLY : O_RDWR);
	if (r >= 0)
		m->fd = r;
	return r < 0 ? r : 0;
}

static int map_once(struct shm_mapping *m, int dir, const char *file, const struct shm_wish *wish)
{
	struct stat st;
	if (wish->flags & PH_SHM_CREATE) {
		bool there = fstatat(dir, file, &st, AT_SYMLINK_NOFOLLOW) == 0;
		if (there && (st.st_mode & SHM_RECLAIMED) && phi_shm_reclaim(dir, file))
			there = false;
		if (there && (wish->flags & PH_SHM_EXCL))
			return -EEXIST;
		if (!there) {
			int r = create(m, dir, file, wish);
			return r == -EEXIST && !(wish->flags & PH_SHM_EXCL) ? -EAGAIN : r;
		}
	}
	int r = open_there(m, dir, file);
	if (r == -ENOENT && (wish->flags & PH_SHM_CREATE))
		return -EAGAIN;
	return r < 0 ? r : use(m, wish);
}

static int map_named(struct shm_mapping *m, const char *name, const struct shm_wish *wish)
{
	int r = phi_shm_file(name, m->file);
	if (r < 0)
		return r;
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	r = map_once(m, dir, m->file, wish);
	for (int i = 0; r == -EAGAIN && i < ROUNDS; i++) {
		undo(m);
		r = map_once(m, dir, m->file, wish);
	}
	phi_close(dir);
	return r;
}

// ---- the calls ----

int phi_shm_map(const char *name, const struct shm_wish *wish, void **addr)
{
	int flags = wish->flags;
	if ((flags & ~KNOWN) ||
	    (flags & (PH_SHM_TRUNC | PH_SHM_RDONLY)) == (PH_SHM_TRUNC | PH_SHM_RDONLY) ||
	    ((flags & (PH_SHM_EXCL | PH_SHM_RECLAIM)) && !(flags & PH_SHM_CREATE)))
		return -EINVAL;
	if (wish->size > PTRDIFF_MAX || wish->reach > PTRDIFF_MAX)
		return wish->size > PTRDIFF_MAX ? -ENOSPC : -ENOMEM;
	struct shm_mapping *m = new_mapping(wish);
	if (m == NULL)
		return -ENOMEM;
	return finish(m, name == NULL ? create_anonymous(m, wish) : map_named(m, name, wish), addr);
}

static int check_received(int fd, int flags)
{
	struct stat st;
	int access = fcntl(fd, F_GETFL);
	if (access < 0 || fstat(fd, &st) != 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if ((access & O_PATH) || (access & O_ACCMODE) == O_WRONLY)
		return -EACCES;
	if ((access & O_ACCMODE) == O_RDONLY && !(flags & PH_SHM_RDONLY))
		return -EACCES;
	if ((flags & PH_SHM_SEALED) && !(phi_shm_seals(fd) & PH_SHM_SEAL_SHRINK))
		return -EPERM;
	return (access & O_ACCMODE) == O_RDONLY ? 0 : 1;
}

// The sender's description, which counts as a user's from now on, as long as anything is mapped from it.
static int take_over(struct shm_mapping *m, int fd, bool can_write)
{
	m->fd = phi_copy_aside(fd);
	if (m->fd < 0)
		return -errno;
	if (can_write && (m->flags & PH_SHM_RDONLY))
		give_up_writing(m);
	return phi_life_attach(m->fd) == -EBADMSG ? -EBADMSG : 0;
}

int phi_shm_map_fd(int fd, const struct shm_wish *wish, void **addr)
{
	if (wish->flags & ~(PH_SHM_RDONLY | PH_SHM_HUGE | PH_SHM_SEALED))
		return -EINVAL;
	if (wish->size > PTRDIFF_MAX || wish->reach > PTRDIFF_MAX)
		return wish->size > PTRDIFF_MAX ? -ENOSPC : -ENOMEM;
	int r = check_received(fd, wish->flags);
	if (r < 0)
		return r;
	struct shm_mapping *m = new_mapping(wish);
	if (m == NULL)
		return -ENOMEM;
	r = take_over(m, fd, r > 0);
	return finish(m, r < 0 ? r : use(m, wish), addr);
}

// Who has mapped it by descriptor knows no name, and looks for it.
static void reclaim(const char *file)
{
	int dir = phi_namespace_open();
	if (dir < 0)
		return;
	if (file[0] != '\0')
		phi_shm_reclaim(dir, file);
	else
		phi_shm_sweep(dir, false);
	phi_close(dir);
}

int phi_shm_unmap(void *addr)
{
	struct shm_mapping *m = addr == NULL ? NULL : take_out(addr);
	if (m == NULL)
		return -EINVAL;
	bool reclaimed = phi_shm_is_reclaimed(m->fd);
	undo(m);
	if (reclaimed)
		reclaim(m->file);
	free(m);
	return 0;
}
