// SPDX-License-Identifier: MIT
//
// The public calls of shared memory: errno, and no cancellation. What happens inside is src/shm; what each call
// promises stands in the header.
#include "posthaste/shm.h"

#include "base/descriptor.h"
#include "core/namespace.h"
#include "posix/syscall.h"
#include "shm/shm.h"

#include <fcntl.h>
#include <string.h>

_Static_assert(PH_SHM_SEAL_SEAL == F_SEAL_SEAL && PH_SHM_SEAL_SHRINK == F_SEAL_SHRINK &&
                   PH_SHM_SEAL_GROW == F_SEAL_GROW && PH_SHM_SEAL_WRITE == F_SEAL_WRITE,
               "seals are the kernel's");

static int begin_uncancellable(void)
{
	int state;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	return state;
}

static int end_uncancellable(int state, int r)
{
	pthread_setcancelstate(state, NULL);
	return (int)phi_result(r);
}

// By which it is known in a recording: its name.
static uint64_t key_of(const char *name)
{
	const char *bare = name == NULL ? "(no name)" : name + strspn(name, "/");
	uint64_t key = phi_record_key_of(bare);
	phi_record_know(RECORD_OF_SHM, key, bare);
	return key;
}

static uint64_t key_at(const struct shm_mapping *m)
{
	return key_of(m == NULL || m->file[0] == '\0' ? NULL : m->file + strlen(SHM_PREFIX));
}

#define DONE(op, key, state, call)           \
	({                                       \
		const uint64_t of_ = (key);          \
		const int r_ = (call);               \
		pthread_setcancelstate(state, NULL); \
		(int)PHI_DONE(op, of_, r_);          \
	})

int ph_shm_open(const char *name, int oflag, mode_t mode)
{
	int state = begin_uncancellable();
	return DONE(shm_open, key_of(name), state, phi_shm_open(name, oflag, mode));
}

int ph_shm_unlink(const char *name)
{
	int state = begin_uncancellable();
	return DONE(shm_unlink, key_of(name), state, phi_shm_unlink(name));
}

void *ph_shm_map(const char *name, size_t size, int flags, mode_t mode, size_t reach)
{
	void *addr = NULL;
	struct shm_wish wish = {.size = size, .flags = flags, .mode = mode, .reach = reach};
	int state = begin_uncancellable();
	int r = DONE(shm_map, key_of(name), state, phi_shm_map(name, &wish, &addr));
	return r < 0 ? NULL : addr;
}

void *ph_shm_map_fd(int fd, size_t size, int flags, size_t reach)
{
	void *addr = NULL;
	struct shm_wish wish = {.size = size, .flags = flags, .reach = reach};
	int state = begin_uncancellable();
	int r = DONE(shm_map, key_of(NULL), state, phi_shm_map_fd(fd, &wish, &addr));
	return r < 0 ? NULL : addr;
}

int ph_shm_unmap(void *addr)
{
	int state = begin_uncancellable();
	return DONE(shm_unmap, key_at(phi_shm_find(addr)), state, phi_shm_unmap(addr));
}

size_t ph_shm_size(const void *addr)
{
	struct shm_mapping *m = phi_shm_find(addr);
	int64_t size = phi_result(m == NULL ? -EINVAL : phi_shm_size(m));
	return size < 0 ? 0 : (size_t)size;
}

int ph_shm_grow(void *addr, size_t size)
{
	struct shm_mapping *m = phi_shm_find(addr);
	int state = begin_uncancellable();
	return DONE(shm_grow, key_at(m), state, m == NULL ? -EINVAL : phi_shm_grow(m, size));
}

int ph_shm_fd(const void *addr)
{
	struct shm_mapping *m = phi_shm_find(addr);
	return (int)phi_result(m == NULL ? -EINVAL : m->fd);
}

int ph_shm_seal(void *addr, int seals)
{
	struct shm_mapping *m = phi_shm_find(addr);
	int state = begin_uncancellable();
	return DONE(shm_seal, key_at(m), state, m == NULL ? -EINVAL : phi_shm_seal(m, seals));
}

int ph_shm_info(const void *addr, struct ph_shm_info *info)
{
	struct shm_mapping *m = phi_shm_find(addr);
	int state = begin_uncancellable();
	return end_uncancellable(state, m == NULL ? -EINVAL : phi_shm_info(m, info));
}

int ph_shm_look(const char *name, struct ph_shm_info *info)
{
	int state = begin_uncancellable();
	return end_uncancellable(state, phi_shm_look(name, info));
}

int ph_shm_sweep(void)
{
	int state = begin_uncancellable();
	int dir = phi_namespace_open();
	int r = dir < 0 ? dir : phi_shm_sweep(dir, true);
	if (dir >= 0)
		phi_close(dir);
	return end_uncancellable(state, r);
}
