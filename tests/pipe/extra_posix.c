// SPDX-License-Identifier: MIT
//
// tests/pipe/extra_posix.c - <posthaste/posix.h> as existing sources use what it maps: function pointers,
// variadic calls with and without their last argument, members and variables of the same names, fortified
// and large-file names, descriptors that are no pipes.
#include <posthaste/posix.h>

#include "flow.h"

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

static struct {
	ssize_t (*read)(int, void *, size_t);
	ssize_t (*write)(int, const void *, size_t);
	int (*close)(int);
	int (*open)(const char *, int, ...);
	int (*fcntl)(int, int, ...);
	int (*ioctl)(int, unsigned long, ...);
	int (*pipe)(int *);
	int (*dup2)(int, int);
} const calls = {read, write, close, open, fcntl, ioctl, pipe, dup2};

TEST(functions_have_addresses)
{
	int fds[2], bytes = -1;
	char buf[8];

	CHECK_OK(calls.pipe(fds));
	CHECK_EQ(calls.write(fds[1], "text", 4), 4);
	CHECK_OK(calls.ioctl(fds[0], FIONREAD, &bytes));
	CHECK_EQ(bytes, 4);
	CHECK_EQ(calls.dup2(fds[0], 77), 77);
	CHECK_EQ(calls.read(77, buf, sizeof(buf)), 4);
	CHECK_EQ(calls.fcntl(fds[0], F_GETFD), 0);
	CHECK_OK(calls.fcntl(fds[0], F_SETFD, FD_CLOEXEC));
	CHECK_EQ(calls.fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	CHECK_OK(calls.close(77));
	CHECK_OK(calls.close(fds[0]));
	CHECK_OK(calls.close(fds[1]));
}

TEST(open_takes_a_mode_or_none)
{
	const char *path = place("file");

	umask(022);
	int fd = (int)CHECK_OK(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640));
	struct stat st;
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_mode & 07777, 0640);
	CHECK(S_ISREG(st.st_mode));
	CHECK_EQ(write(fd, "text", 4), 4);
	CHECK_OK(close(fd));
	CHECK_ERR(open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640), EEXIST);
	fd = (int)CHECK_OK(openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC));
	CHECK_OK(close(fd));
	CHECK_ERR(open(place("none"), O_RDONLY), ENOENT);
	CHECK_ERR(openat(-1, "none", O_RDONLY), EBADF);
	drop_place("file");
	fd = (int)CHECK_OK(open(place_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0604));
	CHECK_OK(fstat(fd, &st));
	CHECK_EQ(st.st_mode & 07777, 0604);
	CHECK_OK(close(fd));
	drop_place(NULL);
}

TEST(fcntl_takes_what_its_command_takes)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	struct f_owner_ex owner = {F_OWNER_PID, getpid()}, back = {0, 0};
	struct ends e = make_pipe();
	const int file = make_catch();

	CHECK_OK(fcntl(file, F_SETLK, &lock));
	CHECK_OK(fcntl(file, F_GETLK, &lock));
	CHECK_EQ(lock.l_type, F_UNLCK);
	CHECK_OK(fcntl(e.r, F_SETOWN_EX, &owner));
	CHECK_OK(fcntl(e.r, F_GETOWN_EX, &back));
	CHECK_EQ(back.pid, getpid());
	CHECK_EQ(fcntl(e.r, F_GETFL) & O_ACCMODE, O_RDONLY);
	CHECK_EQ(fcntl(e.w, F_GETFL) & O_ACCMODE, O_WRONLY);
	CHECK_ERR(fcntl(e.r, 123456), EINVAL);
	CHECK_ERR(fcntl(-1, F_GETFD), EBADF);
	const int copy = (int)CHECK_OK(fcntl(e.w, F_DUPFD, 40));
	CHECK(copy >= 40);
	CHECK_OK(close(copy));
	CHECK_OK(close(file));
	drop_pipe(e);
}

TEST(vectors_of_many_pieces)
{
	enum { PIECES = 300 };
	struct iovec iov[PIECES];
	char data[PIECES * 7], back[sizeof(data)];
	struct ends e = make_pipe();

	pattern_fill(data, 0, sizeof(data));
	for (int i = 0; i < PIECES; i++)
		iov[i] = (struct iovec){data + i * 7, i % 5 == 4 ? 0 : 7};
	CHECK_EQ(writev(e.w, iov, PIECES), PIECES / 5 * 4 * 7);
	for (int i = 0; i < PIECES; i++)
		iov[i].iov_base = back + i * 7;
	CHECK_EQ(readv(e.r, iov, PIECES), PIECES / 5 * 4 * 7);
	for (int i = 0; i < PIECES; i++)
		CHECK(memcmp(data + i * 7, back + i * 7, iov[i].iov_len) == 0);
	CHECK_ERR(writev(e.w, iov, -1), EINVAL);
	CHECK_ERR(writev(e.w, iov, IOV_MAX + 1), EINVAL);
	CHECK_EQ(writev(e.w, iov, 0), 0);
	drop_pipe(e);
}

// Everything that is no pipe is passed on.
TEST(files_and_sockets_are_what_they_were)
{
	const int file = make_catch();
	struct stat st;
	int socks[2], bytes;
	char buf[20];

	CHECK_EQ(write(file, "0123456789", 10), 10);
	CHECK_EQ(lseek(file, 2, SEEK_SET), 2);
	CHECK_EQ(read(file, buf, 3), 3);
	CHECK(memcmp(buf, "234", 3) == 0);
	CHECK_OK(fstat(file, &st));
	CHECK_EQ(st.st_size, 10);
	CHECK_OK(ioctl(file, FIONREAD, &bytes));
	CHECK_EQ(bytes, 5);
	CHECK_OK(close(file));
	CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks));
	CHECK_EQ(write(socks[0], "text", 4), 4);
	CHECK_OK(ioctl(socks[1], FIONREAD, &bytes));
	CHECK_EQ(bytes, 4);
	CHECK_EQ(read(socks[1], buf, sizeof(buf)), 4);
	CHECK_OK(dup2(socks[0], socks[1]));
	CHECK_OK(close(socks[0]));
	CHECK_OK(close(socks[1]));
	CHECK_ERR(close(socks[1]), EBADF);
	CHECK_ERR(read(socks[1], buf, 1), EBADF);
	CHECK_ERR(write(socks[1], buf, 1), EBADF);
	CHECK_ERR(dup(socks[1]), EBADF);
	CHECK_ERR(fstat(socks[1], &st), EBADF);
	CHECK_ERR(ioctl(socks[1], FIONREAD, &bytes), EBADF);
}

TEST(directory_and_device_open_plainly)
{
	char buf[4] = "xxx";
	int fd = (int)CHECK_OK(open("/dev/zero", O_RDONLY | O_CLOEXEC));

	CHECK_EQ(read(fd, buf, 3), 3);
	CHECK_EQ(buf[0] | buf[1] | buf[2], 0);
	CHECK_OK(close(fd));
	fd = (int)CHECK_OK(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	CHECK_ERR(read(fd, buf, 1), EISDIR);
	CHECK_OK(close(fd));
	fd = (int)CHECK_OK(open("/", O_PATH | O_CLOEXEC));
	CHECK_ERR(read(fd, buf, 1), EBADF);
	CHECK_OK(close(fd));
}

TEST(message_queues_close_and_double_as_descriptors_do)
{
	struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 8};
	const mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT, 0600, &attr);
	char buf[8];

	CHECK_OK(q);
	CHECK_OK(mq_send(q, "text", 4, 0));
	CHECK_EQ(mq_receive(q, buf, sizeof(buf), NULL), 4);
	CHECK_OK(close((int)q));
	CHECK_OK(mq_unlink(test_name()));
}
