// SPDX-License-Identifier: MIT
//
// An object's file, mapped: created complete before it has a name, opened only after every check.
#ifndef PHI_CORE_REGION_H
#define PHI_CORE_REGION_H

#include "core/layout.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct phi_region {
	uint8_t *base;
	size_t bytes;
	int fd; // O_CLOEXEC; its open file description carries the locks of core/life.h
	struct phi_region_header header; // private copy, checked
	uint32_t damaged;                // set by the SIGBUS guard
	uint64_t device, inode;          // of the file: a program may close and reuse our number
};

struct phi_region_plan {
	enum phi_kind kind;
	uint32_t layout;
	const char *name; // with the slash
	size_t bytes;
	size_t reserved;          // how much of that gets its memory now; 0 = all
	const uint64_t *geometry; // 8 words
	mode_t mode;
	// Fill the zeroed body in. The region has no name yet, nobody else sees it.
	void (*init)(uint8_t *base, void *arg);
	void *arg;
};

// Create the file `file` in `dir` and map it. 0; -EEXIST; -ENOSPC; -ENOMEM; -EACCES; ...
int phi_region_create(struct phi_region *r, int dir, const char *file,
                      const struct phi_region_plan *plan);

// Open and map it. 0; -ENOENT; -EACCES; -ELOOP a symbolic link; -EBADMSG not an object of this kind and
// layout and name; -EXDEV in use from another pid namespace; -ENOMEM; -EMFILE; -ENFILE.
// `name` NULL accepts any. With `observe`, read permission is enough and the mapping is read-only.
int phi_region_open(struct phi_region *r, int dir, const char *file, enum phi_kind kind,
                    uint32_t layout, const char *name, bool observe);

// Whether the number `fd` still leads to this region's file.
bool phi_region_has_fd(const struct phi_region *r, int fd);

// Unmap; the descriptor is left to the caller.
void phi_region_unmap(struct phi_region *r);

#endif
