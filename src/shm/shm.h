// SPDX-License-Identifier: MIT
//
// The private side of shared memory: names and files (object.c), mappings (map.c), a look (info.c). An object has
// no bytes but the user's: what the library must know of it stands with the kernel. Who uses it: a read lock on
// a byte of the file, of the open file description that the mapping keeps (core/life.h). Whether its name
// goes with the last user: the file's sticky bit.
#ifndef PHI_SHM_SHM_H
#define PHI_SHM_SHM_H

#include "posthaste/shm.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#define SHM_PREFIX "shm."
#define SHM_RECLAIMED S_ISVTX

struct shm_mapping {
	struct shm_mapping *next; // of the bucket
	uint8_t *base;
	size_t span;      // address space, whole pages
	size_t reach;     // bytes: growth beyond is not followed
	int fd;           // its open file description is the mapping's
	int flags;        // PH_SHM_*
	uint32_t damaged; // set by the SIGBUS guard
	char file[NAME_MAX +
	          1]; // its name in the namespace; "" of one that was mapped by descriptor, or has none
};

// What ph_shm_map was asked for.
struct shm_wish {
	size_t size;
	int flags;
	mode_t mode;
	size_t reach;
};

// ---- object.c ----

// The file of a name: 0, -EINVAL, -ENAMETOOLONG.
int phi_shm_file(const char *name, char file[NAME_MAX + 1]);

// As ph_shm_open; an attached descriptor.
int phi_shm_open(const char *name, int oflag, mode_t mode);
int phi_shm_unlink(const char *name);

// Open what is there, attached: a descriptor, -ENOENT, -EBADMSG, -EAGAIN (it has just gone), ...
int phi_shm_open_there(int dir, const char *file, int access);

// Become a user of an open object that has a name: 0, -EAGAIN it has just been reclaimed, -EBADMSG denied.
int phi_shm_attach(int fd);

bool phi_shm_is_reclaimed(int fd);

// Remove the name if the last user is gone and its creator asked for that: true if it is gone by our hand.
bool phi_shm_reclaim(int dir, const char *file);

// Of all names, or of the first few.
int phi_shm_sweep(int dir, bool all);

// ---- map.c ----

int phi_shm_map(const char *name, const struct shm_wish *wish, void **addr);
int phi_shm_map_fd(int fd, const struct shm_wish *wish, void **addr);
int phi_shm_unmap(void *addr);
struct shm_mapping *phi_shm_find(const void *addr);

// ---- grow.c ----

// Put the object's `size` bytes, and its reach, into the address space.
int phi_shm_place(struct shm_mapping *m, size_t size);
void phi_shm_displace(struct shm_mapping *m);
// Huge pages as far as they are to be had, for what is placed; to allocate them at once, where it has no memory yet.
void phi_shm_populate_huge(struct shm_mapping *m, size_t size);
void phi_shm_collapse(struct shm_mapping *m, size_t size);
void phi_shm_zero(struct shm_mapping *m, size_t size);
int64_t phi_shm_size(struct shm_mapping *m);
int phi_shm_grow(struct shm_mapping *m, size_t size);

// ---- info.c ----

int phi_shm_info(struct shm_mapping *m, struct ph_shm_info *info);
int phi_shm_look(const char *name, struct ph_shm_info *info);
int phi_shm_seal(struct shm_mapping *m, int seals);
// The seals of an open object; those that cannot be sealed have none.
int phi_shm_seals(int fd);

#endif
