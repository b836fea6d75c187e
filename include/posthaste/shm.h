// SPDX-License-Identifier: MIT
//
// posthaste/shm.h - shared memory by name or descriptor, and an arena to allocate in it.
//
// ph_shm_open and ph_shm_unlink are POSIX's: a descriptor for ftruncate and mmap. ph_shm_map does the whole
// thing: complete objects only, memory reserved (ENOSPC instead of a later SIGBUS), growth, huge pages, seals,
// removal when the last user is gone. The user brings the mutual exclusion, as POSIX says: a semaphore of
// <posthaste/semaphore.h>, for instance (examples/shared.c).
//
// What holds for every call of this header, unless it says otherwise:
//
//   result        0; -1 (or NULL, or an offset of 0) with errno set on failure, and then nothing was changed.
//   threads       thread-safe. Unmapping what another thread uses is the caller's race.
//   signals       not async-signal-safe. Nothing here waits for a peer.
//   fork          mappings and descriptors are inherited, as with mmap(2).
//   exec          mappings go; descriptors are close-on-exec.
//   kill -9       at any instruction: no name leads to a half-made object, and no lock stays locked.
//   cut files     a peer with write permission can truncate an object. Then what was cut off reads as zeros in
//                 this process, private to it, instead of SIGBUS, and ph_shm_info tells of the damage. So far
//                 as this process knew of it: what a peer added is known from the next ph_shm_size or ph_shm_grow.
//
// Names are those of shm_open(3): at most NAME_MAX bytes after leading slashes, which may be left out, and no
// further slash; not "." and not "..". The object is a file in the namespace directory (POSTHASTE_DIR, else /dev/shm/posthaste, else
// /dev/shm/posthaste-<uid>), with the bytes of the object and nothing else in it, and its permissions.
#ifndef POSTHASTE_SHM_H
#define POSTHASTE_SHM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

// Open or create the object NAME (POSIX shm_open): a close-on-exec descriptor for fstat, ftruncate, mmap,
// read-only or not. oflag is O_RDONLY or O_RDWR with any of O_CREAT, O_EXCL, O_TRUNC; mode counts with
// O_CREAT, less the umask. A new object has no bytes. The descriptor and what is mapped from it count as a
// user of the object (PH_SHM_RECLAIM). With O_CREAT, an object to be reclaimed that has no user any more is not there.
//
// EACCES   no permission; O_TRUNC without permission to write
// EEXIST   O_CREAT|O_EXCL and NAME exists
// EINVAL   NAME is empty or holds a further slash, or leads to what is no regular file
// EMFILE, ENFILE, ENAMETOOLONG, ENOENT, ENOSPC, ELOOP   as shm_open
int ph_shm_open(const char *name, int oflag, mode_t mode);

// Remove a name (POSIX shm_unlink). Mappings and descriptors go on; the memory goes with the last.
//
// EACCES   no permission
// ENAMETOOLONG, ENOENT   as for ph_shm_open; a name that cannot be one does not exist
int ph_shm_unlink(const char *name);

// Flags of ph_shm_map.
#define PH_SHM_CREATE 0x01  // make it if it is not there (mode is used)
#define PH_SHM_EXCL 0x02    // with PH_SHM_CREATE: it must not be there (EEXIST)
#define PH_SHM_TRUNC 0x04   // its bytes become zeros; it is not cut, so nobody's access fails
#define PH_SHM_RDONLY 0x08  // a view that cannot be written; read permission is enough
#define PH_SHM_HUGE 0x10    // huge pages as far as the machine has them: aligned and advised
#define PH_SHM_RECLAIM 0x20 // with PH_SHM_CREATE: a new name goes with its last user, killed or not
#define PH_SHM_SEALED 0x40  // ph_shm_map_fd: refuse what its sender could still cut (EPERM)

// Map the object NAME, whole. With PH_SHM_CREATE and no such object: `size` bytes of zeros, every page
// reserved, visible to others only when complete. An object that is there has at least `size` bytes
// afterwards: a smaller one grows, if this is no PH_SHM_RDONLY (EINVAL). size 0: whatever it has.
// NAME NULL: an anonymous object (a memfd) that is handed over by descriptor, ph_shm_fd.
//
// `reach` is how far this mapping can follow growth, in bytes (0: not beyond the size it begins with): so much
// address space is set aside, and what a peer adds below it can be accessed without a further call.
// The address is that of the first byte, aligned to a page (to 2 MiB with PH_SHM_HUGE).
//
// PH_SHM_RECLAIM: who calls ph_shm_unmap last removes the name. What users leave that exit or are killed instead is
// removed by the next ph_shm_map with PH_SHM_CREATE, or ph_shm_sweep. The mark is the file's sticky bit (chmod +t).
//
// Access beyond the object's size is a fault as with any mapping (SIGBUS).
//
// EACCES, EEXIST, EMFILE, ENFILE, ENAMETOOLONG, ENOENT, ELOOP   as ph_shm_open
// EINVAL   NAME is empty or holds a further slash; unknown flags; PH_SHM_EXCL or PH_SHM_RECLAIM without
//          PH_SHM_CREATE; PH_SHM_TRUNC and PH_SHM_RDONLY; size 0 for a new object, or for an empty one without reach; an
//          object smaller than `size` and PH_SHM_RDONLY
// ENOMEM   no address space, or no memory (a limit, a cgroup)
// ENOSPC   the file system of the namespace cannot hold it: nothing was made, or it has its old size
// EBADMSG  NAME is no regular file, or a peer denies its use by a lock for a second
void *ph_shm_map(const char *name, size_t size, int flags, mode_t mode, size_t reach);

// The same for an object whose descriptor was received or inherited. The descriptor stays the caller's.
// PH_SHM_RDONLY, PH_SHM_HUGE and PH_SHM_SEALED count. A descriptor without write permission needs PH_SHM_RDONLY,
// and so does one that is sealed against writing.
//
// EINVAL   it leads to what is no regular file; other flags; size and reach 0, and no bytes; too small and PH_SHM_RDONLY
// EBADF, EACCES, EBADMSG, EMFILE, ENOMEM, ENOSPC, EPERM   as above; EPERM: sealed against what is asked, too
void *ph_shm_map_fd(int fd, size_t size, int flags, size_t reach);

// Unmap what ph_shm_map or ph_shm_map_fd returned. If this was the last user of a PH_SHM_RECLAIM object,
// its name goes.
//
// EINVAL   addr is no such address
int ph_shm_unmap(void *addr);

// The size of the object now, in bytes: what may be accessed at addr, as far as this mapping reaches. 0 with
// errno EINVAL if addr is not a mapping. Sees growth by peers.
size_t ph_shm_size(const void *addr);

// Make the object larger: `size` bytes in all, the new ones zeros and reserved. Peers see it at once, as far
// as they reach. A smaller size changes nothing.
//
// EINVAL   addr is no mapping, or `size` is beyond its reach
// EACCES   a read-only view
// ENOSPC, ENOMEM, EPERM (sealed)   the object has its old size
int ph_shm_grow(void *addr, size_t size);

// The mapping's descriptor, to hand over or to fstat; it belongs to the mapping: do not close it. -1 with EINVAL.
int ph_shm_fd(const void *addr);

// Seal an anonymous object: any of PH_SHM_SEAL_*. Irreversible. EBUSY: PH_SHM_SEAL_WRITE, and it is mapped
// writable somewhere (this mapping included: map its descriptor with PH_SHM_RDONLY, unmap this one, seal that). EINVAL: a named object; EPERM: sealed.
#define PH_SHM_SEAL_SEAL 0x01         // no further seals
#define PH_SHM_SEAL_SHRINK 0x02       // it cannot be cut
#define PH_SHM_SEAL_GROW 0x04         // it cannot grow
#define PH_SHM_SEAL_WRITE 0x08        // nobody can write
#define PH_SHM_SEAL_FUTURE_WRITE 0x10 // who maps it from now on cannot write; present mappings can
int ph_shm_seal(void *addr, int seals);

struct ph_shm_info {
	uint64_t bytes;     // its size
	uint64_t allocated; // bytes that have memory
	uint64_t huge;      // of this mapping, bytes in huge pages; ph_shm_info only
	int mapped;         // whether anybody has it open through this library
	int reclaim;        // PH_SHM_RECLAIM
	int damaged;        // it was cut while this process had it mapped
	int seals;          // PH_SHM_SEAL_*
	mode_t mode;
	uid_t uid;
	gid_t gid;
};

// Look at a mapping, or at the object NAME (read permission is enough, no trace is left).
//
// EINVAL, EACCES, ENAMETOOLONG, ENOENT
int ph_shm_info(const void *addr, struct ph_shm_info *info);
int ph_shm_look(const char *name, struct ph_shm_info *info);

// Remove the names of PH_SHM_RECLAIM objects whose every user is gone: their number. ph_shm_map with
// PH_SHM_CREATE does so by itself now and then, and always for its own NAME.
int ph_shm_sweep(void);

// ---- arena ----
//
// Allocate and free within a piece of shared memory, from any number of processes, each of which may be killed at
// any instruction. Places are told by offset from the arena's beginning, since processes map it at different
// addresses; 0 is no place. What a killed process was just being given is found and reclaimed by
// ph_arena_check, and by allocation when memory runs short.
//
//   memory        what is shared by the processes, MAP_SHARED, from ph_shm_map or anywhere else. 3.5 percent of it
//                 are the arena's own.
//   signals       not async-signal-safe: EDEADLK, or a thread's own work disturbed, if a handler interrupts a call.
//   stopped peers small blocks are allocated and freed beside a peer that is stopped (SIGSTOP, a debugger) in the
//                 middle of a call. Larger ones, names and checks need a lock: EAGAIN from any of them after two
//                 seconds if somebody who lives keeps it.
//   fork          a child goes on with what its parent attached.
//   exec          threads that end by another thread's exec in the middle of a call count as killed; but the
//                 number of the first thread lives on, so what that one was being given is lost until the
//                 program ends that was exec'ed.
//   containers    all users are in one pid namespace: EXDEV from the others, as long as one is attached, or ended
//                 without detaching and nobody has checked since.
//
// EBADMSG from any call: the arena's own bytes are damaged. A peer that writes into the arena can spoil its
// contents, but cannot make a call here crash, loop or touch memory outside the arena.

struct ph_arena; // the private side of an attached arena

// Make the `bytes` bytes at addr (aligned to 4096, at least PH_ARENA_MIN) an empty arena. Nobody may use them
// meanwhile: who creates the object does it, and others attach when it is told to them; or all call
// ph_arena_attach until it stops failing with EAGAIN.
//
// EINVAL   addr or bytes
#define PH_ARENA_MIN 65536
int ph_arena_make(void *addr, size_t bytes);

// Use the arena at addr, of which `bytes` bytes are mapped here. The result is for this process, and for a child
// that it forks; for any of its threads. Detach before unmapping, while no thread is in a call with it; what was
// allocated stays.
//
// EAGAIN   it is not an arena (yet)
// EBADMSG  it is damaged, of another version, or larger than `bytes`
// EINVAL   addr or bytes
// ENOMEM   no memory for the private side
// EXDEV    it is in use from another pid namespace
struct ph_arena *ph_arena_attach(void *addr, size_t bytes);
int ph_arena_detach(struct ph_arena *arena);

// Allocate at least `bytes` bytes, aligned to 16 (to 4096 from 4096 bytes on): the offset, or 0 with ENOMEM, EINVAL
// (0 bytes), EAGAIN or EBADMSG. The bytes are not cleared. If the process is killed before the call returns, the
// block is reclaimed; later it is the caller's to account for.
uint64_t ph_arena_alloc(struct ph_arena *arena, size_t bytes);

// The same, and the offset is stored at `where`, an aligned uint64_t in a block of the arena, as part of the call:
// if the process is killed, either it stands there or the block is reclaimed. Until the call has returned nobody
// else may write there, and if its process was killed not before ph_arena_check: who finds another number there
// takes the block for never handed over. EINVAL: where.
uint64_t ph_arena_alloc_to(struct ph_arena *arena, size_t bytes, uint64_t *where);

// Free a block, of whichever process. It is freed or not, whenever the process is killed. EINVAL: offset is not
// that of an allocated block, or freed already; nothing is changed. (Two who free the same block at the same time,
// while a third is given it, cannot all be told apart.)
int ph_arena_free(struct ph_arena *arena, uint64_t offset);

// How many bytes the block at offset has, at least what was asked for. 0 with EINVAL.
size_t ph_arena_usable(struct ph_arena *arena, uint64_t offset);

// From offset to address (NULL for 0, and for what lies outside) and back (0 for what lies outside).
void *ph_arena_at(const struct ph_arena *arena, uint64_t offset);
uint64_t ph_arena_offset(const struct ph_arena *arena, const void *at);

// The directory: names of 1 to 255 bytes for offsets.
//
// ph_arena_bind    give the name to an offset. EEXIST if it has one; EINVAL, ENAMETOOLONG, ENOMEM
// ph_arena_find    the offset, or 0 with ENOENT
// ph_arena_unbind  take the name away; the block stays. The offset, or 0 with ENOENT
// ph_arena_names   call fn for each name until it returns other than 0, and return that. No lock is held: fn may use
//                  the arena, and a name that comes or goes meanwhile is shown or not. ENOMEM
//
// If the process is killed, a name is bound or not. An entry of the directory takes a block of 24 bytes and the name.
int ph_arena_bind(struct ph_arena *arena, const char *name, uint64_t offset);
uint64_t ph_arena_find(struct ph_arena *arena, const char *name);
uint64_t ph_arena_unbind(struct ph_arena *arena, const char *name);
int ph_arena_names(struct ph_arena *arena, int (*fn)(const char *name, uint64_t offset, void *arg),
                   void *arg);

struct ph_arena_report {
	uint64_t bytes;      // of the arena
	uint64_t used_bytes; // in allocated blocks, as rounded
	uint64_t used_blocks;
	uint64_t free_bytes;    // what could still be allocated in small pieces
	uint64_t largest_bytes; // what could be allocated in one piece
	uint64_t names;
	uint64_t
		reclaimed_blocks; // of killed processes, found now; allocation may have found some before
	uint64_t reclaimed_bytes;
};

// Check the arena's own bytes, reclaim what killed processes were being given, and report (report may be
// NULL). EBADMSG: damaged beyond what can be put right.
int ph_arena_check(struct ph_arena *arena, struct ph_arena_report *report);

#ifdef __cplusplus
}
#endif
#endif
