// SPDX-License-Identifier: MIT
//
// tests/pipe/extra_habits.c - other people's habits under <posthaste/posix.h>: members, variables, labels, types and
// enumerators with the names that it maps, the system's own members among them, parentheses around a name, names that
// are undefined, tables of functions, old declarations, and a program's own variadic layer.
#include <posthaste/posix.h>

#include "flow.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

// ---- names that mean something else ----

struct pipe {
	int open, close, read, write, dup, ioctl, fcntl;
	struct {
		int mq_open, sem_wait, shm_open;
	} ipc;
};

enum { sem_post_count = 3 };
typedef int (*handler)(int close, int dup);

static int add(int open, int read)
{
	return open + read;
}

TEST(members_variables_labels_and_types_may_have_the_names)
{
	struct pipe pipe = {.open = 1, .close = 2, .read = 3, .write = 4, .ipc = {.sem_wait = 5}};
	struct pipe *dup = &pipe;
	handler both = add;
	int write = 0, ioctl = 1;

	goto close;
close:
	write = dup->open + pipe.close + dup->read + pipe.write + dup->ipc.sem_wait;
	CHECK_EQ(write, 15);
	CHECK_EQ(both(ioctl, 2), 3);
	CHECK_EQ(sem_post_count, 3);
}

// ---- members of the system's own types ----

static ssize_t cookie_read(void *cookie, char *buf, size_t bytes)
{
	return read(*(int *)cookie, buf, bytes);
}

static ssize_t cookie_write(void *cookie, const char *buf, size_t bytes)
{
	return write(*(int *)cookie, buf, bytes);
}

static int cookie_close(void *cookie)
{
	return close(*(int *)cookie);
}

TEST(streams_of_ones_own_may_be_made_of_pipes)
{
	const cookie_io_functions_t calls = {
		.read = cookie_read, .write = cookie_write, .close = cookie_close};
	char line[32];
	int fds[2];

	CHECK_OK(pipe(fds));
	FILE *out = fopencookie(&fds[1], "w", calls), *in = fopencookie(&fds[0], "r", calls);
	CHECK(out != NULL && in != NULL);
	CHECK(fputs("line\n", out) >= 0);
	CHECK_EQ(fclose(out), 0);
	CHECK(fgets(line, sizeof(line), in) != NULL);
	CHECK(strcmp(line, "line\n") == 0);
	CHECK(fgets(line, sizeof(line), in) == NULL);
	CHECK_EQ(fclose(in), 0);
}

// ---- calls in other shapes ----

TEST(names_in_parentheses_are_the_librarys)
{
	char c = 0;
	int fds[2];

	CHECK_OK((pipe)(fds));
	CHECK_EQ((write)(fds[1], "x", 1), 1);
	CHECK_EQ((read)(fds[0], &c, 1), 1);
	CHECK_EQ((fcntl)(fds[0], F_GETFD), 0);
	CHECK_OK((close)(fds[0]));
	CHECK_OK((close)(fds[1]));
}

static ssize_t (*const readers[])(int, void *, size_t) = {read, &read, ph_read};
static int (*const closers[])(int) = {close, ph_close};

TEST(all_ways_to_a_function_lead_to_one)
{
	for (size_t i = 0; i < sizeof(readers) / sizeof(*readers); i++)
		CHECK(readers[i] == ph_read);
	CHECK(closers[0] == closers[1]);
	int (*opener)(const char *, int, ...) = open;
	CHECK(opener == ph_open);
	__typeof__(write) *writer = write;
	CHECK(writer == ph_write);
}

// As in sources from before prototypes, which declare what they use inside of the function.
TEST(a_declaration_of_ones_own_changes_nothing)
{
	extern int close(int);
	extern ssize_t read(int, void *, size_t);
	int fds[2];
	char c;

	CHECK_OK(pipe(fds));
	CHECK_OK(close(fds[1]));
	CHECK_EQ(read(fds[0], &c, 1), 0);
	CHECK_OK(close(fds[0]));
}

// A program's own layer, which passes on what it does not look at.
static int own_open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	if (flags & O_CREAT) {
		va_list args;
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return open(path, flags, mode);
}

static int own_fcntl(int fd, int command, ...)
{
	va_list args;
	va_start(args, command);
	void *arg = va_arg(args, void *);
	va_end(args);
	return fcntl(fd, command, arg);
}

TEST(a_layer_of_the_programs_own_passes_everything_on)
{
	const char *path = place("file");
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	int fd = (int)CHECK_OK(own_open(path, O_RDWR | O_CREAT | O_EXCL, 0600));

	CHECK_OK(own_fcntl(fd, F_SETFD, FD_CLOEXEC));
	CHECK_EQ(own_fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_OK(own_fcntl(fd, F_SETLK, &lock));
	int copy = (int)CHECK_OK(own_fcntl(fd, F_DUPFD_CLOEXEC, 50));
	CHECK(copy >= 50);
	CHECK_EQ(own_fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
	CHECK_OK(own_fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND));
	CHECK_EQ(own_fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND), O_NONBLOCK | O_APPEND);
	CHECK_OK(close(copy));
	CHECK_OK(close(fd));
	fd = (int)CHECK_OK(own_open(path, O_RDONLY));
	CHECK_OK(close(fd));
	drop_place("file");
	drop_place(NULL);
}

// ---- who wants the system's ----

#undef pipe
#undef fcntl

TEST(a_name_that_is_undefined_is_the_systems)
{
	int fds[2];

	CHECK_OK(pipe(fds));
	CHECK_EQ(fcntl(fds[0], F_GETFD), 0);
	CHECK_OK(close(fds[0])); // does as ever with what is not the library's
	CHECK_OK(close(fds[1]));
}
