// SPDX-License-Identifier: MIT
//
// posthaste/pipe.h - pipes and FIFOs with the semantics of pipe(7) and fifo(7).
//
// A descriptor of this header is a real one: of a kernel pipe, or of a FIFO in the file system. The
// kernel counts who has its ends, so end of file, EPIPE, SIGPIPE, POLLHUP, inheritance and passing over
// a UNIX socket are exactly the kernel's. While a reader and a writer of this library both run, the
// bytes go through a ring in shared memory instead, and no call enters the kernel; as soon as somebody
// must wait, polls, or is not of this library, they go through the kernel's pipe (docs/pipe.md).
//
// What holds for every call of this header, unless it says otherwise:
//
//   result        0 or a count; -1 with errno set on failure, and then nothing was changed and no
//                 output parameter was written. The calls with a POSIX name have the errors of that
//                 function on Linux; only what differs is listed.
//   any descriptor   is accepted: files, sockets, terminals, and the queues of <posthaste/mqueue.h>
//                 get the plain system call.
//   threads       thread-safe. Closing a descriptor while another thread is inside a call on it is
//                 the caller's race.
//   signals       ph_read, ph_write, ph_close, ph_dup, ph_dup2, ph_fstat and ph_fcntl are
//                 async-signal-safe on pipes that the process has used before. A handler that
//                 interrupts the inner section of a read on the same pipe gets EDEADLK from ph_read.
//   fork          descriptors are shared with the child, as POSIX says. Reservations and what is
//                 looked at stay with the process that made them.
//   exec          descriptors without FD_CLOEXEC go on in the new program, whether it uses this
//                 library or not.
//   kill -9       at any instruction: the pipe stays usable for everybody else; a write of up to
//                 PIPE_BUF bytes is read whole or not at all; what a write that returned has put in is
//                 read once, or was taken by the reader that was killed.
//   bad pointers  are a fault (SIGSEGV), not EFAULT, where the bytes go through the ring.
//
// Close with ph_close, or with close: the library provides close, dup2, dup3, close_range, closefrom,
// fdopen, the exec family, posix_spawn, system and popen itself, so as to notice what happens to its
// descriptors. A program that closes by a raw system call tells with ph_pipe_forget before.
#ifndef POSTHASTE_PIPE_H
#define POSTHASTE_PIPE_H

#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

// Make a pipe: fds[0] to read from, fds[1] to write to (POSIX pipe, pipe2). flags: O_NONBLOCK,
// O_CLOEXEC, O_DIRECT (packets: each write of up to PIPE_BUF bytes is read by one read; always by the
// kernel). The shared ring is made only when it is needed, and goes with the last descriptor.
int ph_pipe(int fds[2]);
int ph_pipe2(int fds[2], int flags);

// Make a FIFO, a name in the file system (POSIX mkfifo, mkfifoat, mknod). Processes of one user that
// open it with ph_open meet in shared memory; all others meet in the kernel.
int ph_mkfifo(const char *path, mode_t mode);
int ph_mkfifoat(int dirfd, const char *path, mode_t mode);
int ph_mknod(const char *path, mode_t mode, dev_t dev);

// Open a file (POSIX open, openat). For a FIFO: waits for the other end, unless O_NONBLOCK (then a
// reader opens at once and a writer without a reader gets ENXIO) or O_RDWR (never waits). Everything
// but a FIFO is opened plainly. Cancellation points.
int ph_open(const char *path, int flags, ...);
int ph_openat(int dirfd, const char *path, int flags, ...);

// Read up to `bytes` (POSIX read, readv): 0 at the end of file, that is when the pipe is empty and
// nobody has it open for writing. Sleeps on an empty pipe, unless O_NONBLOCK (EAGAIN); a write, the
// last writer's end, a signal or a cancellation ends the sleep. A read is atomic among readers.
//
// EDEADLK  called from a signal handler that interrupted a read on the same pipe, or between
//          ph_pipe_peek and ph_pipe_consume of the same thread
// EBADMSG  the shared ring was damaged by a peer, or its file cut; what stood in it is lost, the pipe goes
//          on. Each process hears it once, by the call that reads, peeks or consumes next.
//
// Cancellation points.
ssize_t ph_read(int fd, void *buf, size_t bytes);
ssize_t ph_readv(int fd, const struct iovec *iov, int count);

// Write `bytes` (POSIX write, writev). Up to PIPE_BUF (4096) bytes are atomic among all writers; more
// may be interleaved with others'. Sleeps until all bytes are in, unless O_NONBLOCK (up to PIPE_BUF all
// or EAGAIN, above it what fits); a read, the last reader's end, a signal (the result is then what was
// written, or EINTR, or it restarts) or a cancellation ends the sleep. When nobody has the pipe open
// for reading: SIGPIPE, and EPIPE if that is survived.
//
// EBUSY    called between ph_pipe_reserve and ph_pipe_commit of the same thread
//
// Cancellation points.
ssize_t ph_write(int fd, const void *buf, size_t bytes);
ssize_t ph_writev(int fd, const struct iovec *iov, int count);

// The same without SIGPIPE: EPIPE only. For all writes on a descriptor: ph_fcntl(fd, PH_F_SETNOSIGPIPE, 1).
ssize_t ph_write_nosignal(int fd, const void *buf, size_t bytes);

// Close, duplicate (POSIX close, dup, dup2, dup3). Any descriptor, queues too.
int ph_close(int fd);
int ph_dup(int fd);
int ph_dup2(int fd, int to);
int ph_dup3(int fd, int to, int flags);

// POSIX fcntl: all commands of Linux. F_GETPIPE_SZ and F_SETPIPE_SZ count bytes of the kernel's pipe;
// the ring has the same size, up to 1 MiB. Setting O_DIRECT leaves the ring for good.
#define PH_F_SETNOSIGPIPE 0x70680001 // int: 1 = writes on this descriptor number raise no SIGPIPE
#define PH_F_GETNOSIGPIPE 0x70680002 // the result is 0 or 1
// Numbers 0 to 2 are stdio's as well, and stdio goes by the kernel: reads of 0, writes to 2, and writes to
// 1 once stdout has been used, do the same, so that both may be mixed. int: 1 = stdio is not used on this
// number, the ring may be.
#define PH_F_SETNOSTDIO 0x70680003
int ph_fcntl(int fd, int command, ...);

// ioctl(2): FIONREAD gives the bytes in the pipe, wherever they stand; other requests go to the kernel.
int ph_ioctl(int fd, unsigned long request, ...);

// POSIX fstat; the kernel's answer. S_ISFIFO holds for pipes and FIFOs.
int ph_fstat(int fd, struct stat *st);

// Give the pipe back to the kernel for good, for all its users: before a function that reads or writes
// it without this library (stdio on a number above 2, splice, io_uring) is mixed with calls of this
// header on the same pipe. What stands in the ring moves into the kernel's pipe, before
// what stands there, unless somebody holds a reservation or looks at the ring.
//
// EBADF    fd is not a pipe or FIFO
int ph_export(int fd);

// Forget what the library knows of a descriptor, without closing it: it is about to be closed or handed
// on by means that the library does not see.
void ph_pipe_forget(int fd);

// Reserve room in the pipe for up to `bytes` bytes, to be filled in place: iov gets one or two pieces
// (*count says how many) of together the result's bytes. Up to PIPE_BUF bytes are reserved whole; of
// more, as much as there is room for, at least one byte. Sleeps while the pipe is full, unless
// O_NONBLOCK. One reservation per pipe at a time: other writers wait until it is committed, or its
// process has died. Not shared with fork's child. The write side ends with ph_pipe_commit, in the same
// thread.
//
// EAGAIN, EINTR, EPIPE (with SIGPIPE): as ph_write
// EBADF    fd is not a pipe or FIFO open for writing
// EBUSY    this thread has a reservation in this pipe
// EINVAL   bytes is 0
// ENOMEM   no memory for a reservation in the kernel's pipe, which is a copy
ssize_t ph_pipe_reserve(int fd, size_t bytes, struct iovec iov[2], int *count);

// Write the first `bytes` of what is reserved, and give the rest back; 0 gives all back. Behaves as a
// write of that many bytes. The result is `bytes`, or what went in before a signal.
//
// ESTALE   this thread has no reservation in this pipe
// EINVAL   more than was reserved
// EPIPE, EINTR  as ph_write; the reservation is gone
// EBADMSG  the ring was damaged: nothing was written, the reservation is gone
ssize_t ph_pipe_commit(int fd, size_t bytes);

// Look at what stands in the pipe without taking it: iov gets one or two pieces (*count) of together
// the result's bytes; 0 at the end of file. Sleeps on an empty pipe, unless O_NONBLOCK. Other readers
// wait until ph_pipe_consume, in the same thread, or the death of the process.
//
// EAGAIN, EINTR: as ph_read
// EBADF    fd is not a pipe or FIFO open for reading
// EBUSY    this thread looks at this pipe already
// EBADMSG  as ph_read
// ENOTSUP  there can be no ring here (no memory, no namespace, another user's, damaged): read instead
ssize_t ph_pipe_peek(int fd, struct iovec iov[2], int *count);

// Take the first `bytes` of what is looked at, and let other readers go on; 0 takes nothing.
//
// ESTALE   this thread is not looking at this pipe
// EINVAL   more than is looked at
// EBADMSG  the ring was damaged, perhaps before it was looked at: nothing was taken, what stood in it is
//          lost, the pipe goes on
int ph_pipe_consume(int fd, size_t bytes);

// What can be seen of a pipe from outside, without a lock and without disturbing anybody. Values are a
// snapshot, each from one read.
struct ph_pipe_info {
	char name[264];         // a FIFO's path as first opened, or "pipe:[inode]", "fifo:[inode]"
	uint64_t device, inode; // of the pipe or FIFO
	uint64_t ring_bytes; // bytes that stand in the ring; what the kernel's pipe holds comes on top
	uint64_t ring_size;  // bytes
	uint64_t through_ring;   // bytes written through the ring since it was made
	uint32_t in_ring;        // 1 = writes go to the ring now, 0 = to the kernel's pipe
	int32_t reader;          // thread that has promised to read the ring; 0 = none
	uint32_t readers_asleep; // readers of this library asleep in the kernel's pipe
	uint32_t writers_asleep; // 1 = writers of this library sleep on the full ring
	uint32_t polled;         // 1 = somebody polls it, so that the kernel's pipe is used
	uint32_t foreign;        // 1 = somebody without this library writes or read it, so the same
	int32_t last_reader, last_writer; // pids, for display; 0 = none yet
	int64_t created_s;                // of the ring, seconds since the epoch
	int32_t creator;                  // pid
	uint32_t attached;                // 1 = some process has the ring mapped
	uint32_t damaged;                 // 1 = the state contradicts itself
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

// Look at a pipe or FIFO that this process has open, or, with ph_pipe_info_file, at one by the name of
// its file in the namespace directory ("pipe.INODE", "fifo.DEVICE.INODE").
//
// EBADF    fd is not a pipe or FIFO
// ENOENT   it has no ring (yet): the kernel has all of it
// EACCES, EBADMSG  the file is not to be read, is not a ring of this version
int ph_pipe_info(int fd, struct ph_pipe_info *info);
int ph_pipe_info_file(const char *file, struct ph_pipe_info *info);

#ifdef __cplusplus
}
#endif
#endif
