// SPDX-License-Identifier: MIT
//
// The public calls of pipes and FIFOs: which descriptors are pipes, errno, cancellation. What happens
// inside is src/pipe; what each call promises stands in the header.
#include "posthaste/pipe.h"

#include "pipe/pipe.h"
#include "posix/poll.h"
#include "posix/process.h"
#include "posix/syscall.h"
#include "posthaste/mqueue.h"
#include "sync/asleep.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <unistd.h>

// Of calls that end as the C library's do.
static int ended(int r)
{
	phi_safepoint_ask(0);
	return r;
}

// ---- which descriptors are pipes ----

static struct pipe_end *take_in(int fd, const char *name, bool made)
{
	int state;
	int saved = errno;
	store_relaxed_i32(&phi_process_hooks, 1);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	struct pipe_end *e = phi_pipe_adopt(fd, name, made);
	if (e != NULL)
		phi_polls_expected(fd);
	if (e != NULL && e->p->is_fifo)
		phi_record_know(RECORD_OF_PIPE, e->p->inode, e->p->name);
	pthread_setcancelstate(state, NULL);
	errno = saved;
	return e;
}

// By which it is known in a recording.
static inline uint64_t key_of(const struct pipe_end *e)
{
	return e == NULL ? 0 : e->p->inode;
}

static inline struct pipe_end *find(int fd)
{
	struct pipe_end *e = phi_pipe_find(fd);
	if (__builtin_expect(e != NULL, 1))
		return e;
	return phi_handle_unknown(fd) ? take_in(fd, NULL, false) : NULL;
}

// ---- making ----

int ph_pipe2(int fds[2], int flags)
{
	if (pipe2(fds, flags) != 0)
		return ended(-1);
	take_in(fds[0], NULL, true);
	return (int)PHI_DONE(pipe, key_of(take_in(fds[1], NULL, true)), 0);
}

int ph_pipe(int fds[2])
{
	return ph_pipe2(fds, 0);
}

int ph_mkfifo(const char *path, mode_t mode)
{
	return ended(mkfifo(path, mode));
}

int ph_mkfifoat(int dirfd, const char *path, mode_t mode)
{
	return ended(mkfifoat(dirfd, path, mode));
}

int ph_mknod(const char *path, mode_t mode, dev_t dev)
{
	return ended(mknod(path, mode, dev));
}

static bool takes_mode(int flags)
{
	return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

static bool is_fifo(int fd, int flags)
{
	struct stat st;
	return fd >= 0 && !(flags & O_PATH) && fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

static int open_at(int dirfd, const char *path, int flags, mode_t mode)
{
	PHI_MAY_SLEEP;
	struct phi_nap nap = phi_record_asleep(RECORD_open, 0, false); // a FIFO's other end is awaited
	int fd = (int)phi_result(PHI_SAFELY(phi_kernel_openat(dirfd, path, flags, mode)));
	phi_record_awake(&nap);
	if (!is_fifo(fd, flags))
		return fd;
	struct pipe_end *e = take_in(fd, path, false);
	return (int)PHI_OVER(open, key_of(e), fd);
}

int ph_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	if (takes_mode(flags)) {
		va_list args;
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return open_at(AT_FDCWD, path, flags, mode);
}

int ph_openat(int dirfd, const char *path, int flags, ...)
{
	mode_t mode = 0;
	if (takes_mode(flags)) {
		va_list args;
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return open_at(dirfd, path, flags, mode);
}

// ---- reading and writing ----

// Whether the pipe is the kernel's for good, so far as this process needs to know.
static inline bool is_kernels(const struct pipe *p)
{
	uint32_t family = phi_description_flags(p->family);
	return (family & (FAMILY_POLLED | FAMILY_EXPORTED)) && !(family & FAMILY_RING) &&
	       phi_pipe_control(p) == NULL;
}

static inline ssize_t read_end(struct pipe_end *e, const struct iovec *iov, int count)
{
	pthread_testcancel();
	PHI_MAY_SLEEP;
	return PHI_OVER(read, key_of(e), PHI_SAFELY(phi_pipe_read(e, iov, count)));
}

// A pipe that is the kernel's.
static ssize_t read_kernels(struct pipe_end *e, void *buf, size_t bytes)
{
	PHI_MAY_SLEEP;
	struct phi_nap nap = phi_record_asleep(RECORD_read, key_of(e), false);
	ssize_t r = PHI_SAFELY(phi_kernel_read(e->handle.fd, buf, bytes));
	phi_record_awake(&nap);
	return PHI_OVER(read, key_of(e), r);
}

static ssize_t write_kernels(struct pipe_end *e, const void *buf, size_t bytes)
{
	PHI_MAY_SLEEP;
	struct phi_nap nap = phi_record_asleep(RECORD_write, key_of(e), false);
	ssize_t r = PHI_SAFELY(phi_kernel_write(e->handle.fd, buf, bytes));
	phi_record_awake(&nap);
	return PHI_OVER(write, key_of(e), r);
}

ssize_t ph_readv(int fd, const struct iovec *iov, int count)
{
	struct pipe_end *e = find(fd);
	if (e == NULL || !e->readable)
		return phi_result(PHI_SAFELY(phi_kernel_readv(fd, iov, count)));
	return read_end(e, iov, count);
}

ssize_t ph_read(int fd, void *buf, size_t bytes)
{
	struct pipe_end *e = find(fd);
	if (e == NULL || !e->readable)
		return phi_result(PHI_SAFELY(phi_kernel_read(fd, buf, bytes)));
	if (is_kernels(e->p))
		return read_kernels(e, buf, bytes);
	struct iovec iov = {buf, bytes <= SSIZE_MAX ? bytes : SSIZE_MAX};
	return read_end(e, &iov, 1);
}

static inline ssize_t do_write(int fd, const struct iovec *iov, int count, bool nosigpipe)
{
	struct pipe_end *e = find(fd);
	if (e == NULL || !e->writable) {
		struct pipe_bytes b;
		int r = phi_pipe_bytes_of(&b, iov, count);
		return phi_result(r < 0 ? r : PHI_SAFELY(phi_pipe_put(fd, &b, SSIZE_MAX, nosigpipe)));
	}
	pthread_testcancel();
	bool quiet = nosigpipe || load_relaxed_u32(&e->nosigpipe) != 0;
	PHI_MAY_SLEEP;
	return PHI_OVER(write, key_of(e), PHI_SAFELY(phi_pipe_write(e, iov, count, quiet)));
}

ssize_t ph_writev(int fd, const struct iovec *iov, int count)
{
	return do_write(fd, iov, count, false);
}

ssize_t ph_write(int fd, const void *buf, size_t bytes)
{
	struct pipe_end *e = find(fd);
	if (e == NULL)
		return phi_result(PHI_SAFELY(phi_kernel_write(fd, buf, bytes)));
	if (is_kernels(e->p) && load_relaxed_u32(&e->nosigpipe) == 0)
		return write_kernels(e, buf, bytes);
	struct iovec iov = {(void *)buf, bytes <= SSIZE_MAX ? bytes : SSIZE_MAX};
	return do_write(fd, &iov, 1, false);
}

ssize_t ph_write_nosignal(int fd, const void *buf, size_t bytes)
{
	struct iovec iov = {(void *)buf, bytes <= SSIZE_MAX ? bytes : SSIZE_MAX};
	return do_write(fd, &iov, 1, true);
}

// ---- descriptors ----

int ph_close(int fd)
{
	if (phi_handle_find(fd, PHI_KIND_MQ) != NULL)
		return ph_mq_close((mqd_t)fd);
	int state;
	uint64_t key = key_of(phi_pipe_find(fd));
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	phi_pipe_release(fd);
	pthread_setcancelstate(state, NULL);
	int r = PHI_CLOSE(fd);
	return key == 0 ? ended(r) : (int)PHI_DONE(close, key, r < 0 ? -errno : r);
}

// A new number for what stands behind an old one.
static int duplicated(int from, int to)
{
	if (to < 0 || from == to)
		return ended(to);
	struct pipe_end *e = phi_pipe_find(from);
	if (e != NULL) {
		struct pipe_end *copy = take_in(to, e->p->name, false);
		if (copy != NULL)
			copy->nosigpipe = load_relaxed_u32(&e->nosigpipe);
	} else if (!phi_handle_unknown(from)) {
		phi_handle_mark_foreign(to); // it may be polled by its other number
	}
	return ended(to);
}

int ph_dup(int fd)
{
	return duplicated(fd, dup(fd));
}

// Only a call that will close `to` may let go of it before.
static bool replaces(int fd, int to)
{
	return fd != to && fcntl(fd, F_GETFD) >= 0;
}

int ph_dup2(int fd, int to)
{
	int saved = errno;
	if (replaces(fd, to))
		phi_pipe_release(to);
	errno = saved;
	return duplicated(fd, (int)syscall(SYS_dup3, fd, to, 0) >= 0 ? to
	                      : fd == to                             ? dup2(fd, to)
	                                                             : -1);
}

int ph_dup3(int fd, int to, int flags)
{
	int saved = errno;
	if ((flags & ~O_CLOEXEC) == 0 && replaces(fd, to))
		phi_pipe_release(to);
	errno = saved;
	return duplicated(fd, (int)syscall(SYS_dup3, fd, to, flags));
}

static void set_flags(struct pipe_end *e, int flags)
{
	e->nonblock = (flags & O_NONBLOCK) != 0;
	if (flags & O_DIRECT)
		ph_export(e->handle.fd);
}

int ph_fcntl(int fd, int command, ...)
{
	va_list args;
	va_start(args, command);
	long arg = va_arg(args, long);
	va_end(args);
	struct pipe_end *e = phi_pipe_find(fd);
	if (command == PH_F_SETNOSIGPIPE || command == PH_F_GETNOSIGPIPE) {
		e = find(fd);
		if (e == NULL)
			return (int)phi_result(fcntl(fd, F_GETFD) < 0 ? -EBADF : -EINVAL);
		if (command == PH_F_SETNOSIGPIPE)
			store_relaxed_u32(&e->nosigpipe, (int)arg != 0);
		return command == PH_F_SETNOSIGPIPE ? 0 : (int)load_relaxed_u32(&e->nosigpipe);
	}
	if (command == PH_F_SETNOSTDIO) {
		e = find(fd);
		if (e != NULL)
			e->nostdio = (int)arg != 0;
		return (int)phi_result(e != NULL ? 0 : fcntl(fd, F_GETFD) < 0 ? -EBADF : -EINVAL);
	}
	if (e != NULL && command == F_SETFL)
		set_flags(e, (int)arg);
	if (e != NULL && command == F_SETPIPE_SZ && phi_pipe_ring_known(e->p) != NULL) {
		phi_pipe_leave_ring(e->p, fd, 0, false); // the next lease has the new size
		return (int)phi_result(phi_pipe_set_size(e->p, fd, (int)arg));
	}
	if (command == F_SETLKW || command == F_OFD_SETLKW)
		return (int)phi_result(PHI_SAFELY(phi_kernel_lock(fd, command, (struct flock *)arg)));
	int r = fcntl(fd, command, arg);
	struct pipe_control *c = e == NULL ? NULL : phi_pipe_control(e->p);
	if (c != NULL && command == F_GETPIPE_SZ && load_relaxed_u32(&c->asked_size) != 0)
		r = (int)load_relaxed_u32(&c->asked_size);
	return command == F_DUPFD || command == F_DUPFD_CLOEXEC ? duplicated(fd, r) : ended(r);
}

int ph_ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	va_start(args, request);
	void *arg = va_arg(args, void *);
	va_end(args);
	struct pipe_end *e = phi_pipe_find(fd);
	struct pipe_control *c = e == NULL ? NULL : phi_pipe_ring_known(e->p);
	int r = ioctl(fd, request, arg);
	if (r == 0 && c != NULL && request == FIONREAD) {
		uint64_t there = load_acquire_u64(&c->tail) - load_acquire_u64(&c->head);
		*(int *)arg += there <= PIPE_SIZE_MAX ? (int)there : 0;
	}
	if (r == 0 && e != NULL && request == FIONBIO)
		e->nonblock = *(int *)arg != 0;
	return ended(r);
}

int ph_fstat(int fd, struct stat *st)
{
	return ended(fstat(fd, st));
}

// ---- beyond POSIX ----

int ph_export(int fd)
{
	struct pipe_end *e = find(fd);
	struct stat st;
	if (e == NULL) // the kernel's already, if it is a pipe at all
		return (int)phi_result(fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) ? 0 : -EBADF);
	phi_description_raise(e->p->family, FAMILY_EXPORTED);
	phi_pipe_ring_known(e->p);
	return (int)PHI_DONE(pipe_export, key_of(e),
	                     phi_pipe_leave_ring(e->p, fd, PIPE_EXPORTED, false));
}

void ph_pipe_forget(int fd)
{
	phi_pipe_release(fd);
}

ssize_t ph_pipe_reserve(int fd, size_t bytes, struct iovec iov[2], int *count)
{
	struct pipe_end *e = find(fd);
	if (e == NULL || !e->writable)
		return phi_result(-EBADF);
	pthread_testcancel();
	PHI_MAY_SLEEP;
	return PHI_OVER(pipe_reserve, key_of(e), PHI_SAFELY(phi_pipe_reserve(e, bytes, iov, count)));
}

ssize_t ph_pipe_commit(int fd, size_t bytes)
{
	struct pipe_end *e = find(fd);
	if (e == NULL || !e->writable)
		return phi_result(-EBADF);
	PHI_MAY_SLEEP;
	return PHI_OVER(pipe_commit, key_of(e), phi_pipe_commit(e, bytes));
}

ssize_t ph_pipe_peek(int fd, struct iovec iov[2], int *count)
{
	struct pipe_end *e = find(fd);
	if (e == NULL || !e->readable)
		return phi_result(-EBADF);
	pthread_testcancel();
	PHI_MAY_SLEEP;
	return PHI_OVER(pipe_peek, key_of(e), PHI_SAFELY(phi_pipe_peek(e, iov, count)));
}

int ph_pipe_consume(int fd, size_t bytes)
{
	struct pipe_end *e = find(fd);
	if (e == NULL || !e->readable)
		return (int)phi_result(-EBADF);
	return (int)PHI_DONE(pipe_consume, key_of(e), phi_pipe_consume(e, bytes));
}

int ph_pipe_info(int fd, struct ph_pipe_info *info)
{
	return (int)phi_result(phi_pipe_info_of(fd, info));
}

int ph_pipe_info_file(const char *file, struct ph_pipe_info *info)
{
	return (int)phi_result(phi_pipe_info(file, info));
}
