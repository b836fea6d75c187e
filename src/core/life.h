// SPDX-License-Identifier: MIT
//
// Who lives, by the kernel's word alone: open-file-description locks on bytes of the object's file.
// They end with the last descriptor of that open - by close, exit, exec or kill -9 - need no pid and
// hold across pid namespaces. A forked child shares its parent's opens; room code replaces them in the
// child (phi_life_reopen) where the parent held something.
#ifndef PHI_CORE_LIFE_H
#define PHI_CORE_LIFE_H

#include <stdbool.h>
#include <stdint.h>

// The inode of this process's pid namespace; 0 = cannot tell.
uint64_t phi_life_pid_ns(void);

// Mark the open as attached. 0, -EBADMSG if somebody denies it (a hostile lock).
int phi_life_attach(int fd);

// The same, for an object whose lock words hold thread numbers of the namespace *ns: -EXDEV if it is
// in use from another one; if nobody uses it, *ns becomes ours.
int phi_life_attach_ns(int fd, uint64_t *ns);

// Whether any open is attached, other than this one.
bool phi_life_attached(int fd);

// Become a holder: its number, or -ENOBUFS. With `by_process` the lock is the process's instead of the
// open's: for a child that could not get an open of its own (it gave up the right to).
int phi_life_claim(int fd, bool by_process);

// Stop being the holder.
void phi_life_unclaim(int fd, uint32_t holder);

// Whether the holder lives. `fd` is not the holder's own open.
bool phi_life_holder(int fd, uint32_t holder);

// An open of the same file with a description of its own, at the same descriptor number: 0 or -errno.
// Needed after fork, and after mmap: a mapping keeps the description that it was made from, with its
// locks, and a forked child inherits mappings as well.
int phi_life_reopen(int fd);

#endif
