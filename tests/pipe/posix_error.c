// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_error.c - calls that must fail, with which error, and that they change nothing.
#include "ends.h"

#include <sys/resource.h>

enum { CLOSED = 555 };

TEST(closed_and_impossible_numbers_are_ebadf)
{
	const int bad[] = {-1, CLOSED, INT_MAX, INT_MIN};
	char c;
	int bytes;
	struct stat st;
	struct iovec iov = {&c, 1};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_ERR(read(bad[i], &c, 1), EBADF);
		CHECK_ERR(write(bad[i], &c, 1), EBADF);
		CHECK_ERR(readv(bad[i], &iov, 1), EBADF);
		CHECK_ERR(writev(bad[i], &iov, 1), EBADF);
		CHECK_ERR(close(bad[i]), EBADF);
		CHECK_ERR(dup(bad[i]), EBADF);
		CHECK_ERR(dup2(bad[i], 100), EBADF);
		CHECK_ERR(dup3(bad[i], 100, 0), EBADF);
		CHECK_ERR(fcntl(bad[i], F_GETFL), EBADF);
		CHECK_ERR(fcntl(bad[i], F_GETPIPE_SZ), EBADF);
		CHECK_ERR(ioctl(bad[i], FIONREAD, &bytes), EBADF);
		CHECK_ERR(fstat(bad[i], &st), EBADF);
	}
}

TEST(numbers_of_closed_ends_are_ebadf)
{
	int p[2];
	char c;

	make_pipe(p);
	flow_from_child(p, FLOW);
	drop_pipe(p);
	CHECK_ERR(read(p[R], &c, 1), EBADF);
	CHECK_ERR(write(p[W], &c, 1), EBADF);
	CHECK_ERR(close(p[R]), EBADF);
	CHECK_ERR(close(p[W]), EBADF);
	CHECK_ERR(fcntl(p[R], F_GETFL), EBADF);
}

TEST(wrong_end_is_ebadf)
{
	int p[2];
	char c;
	struct iovec iov = {&c, 1};

	make_pipe(p);
	for (int round = 0; round < 2; round++) {
		put(p[W], "kept");
		CHECK_ERR(read(p[W], &c, 1), EBADF);
		CHECK_ERR(write(p[R], &c, 1), EBADF);
		CHECK_ERR(readv(p[W], &iov, 1), EBADF);
		CHECK_ERR(writev(p[R], &iov, 1), EBADF);
		CHECK_ERR(read(p[W], &c, 0), EBADF);
		CHECK_ERR(write(p[R], &c, 0), EBADF);
		expect(p[R], "kept");
		flow_from_child(p, FLOW);
	}
	drop_pipe(p);
}

TEST(invalid_flags_are_einval_and_make_nothing)
{
	const int bad[] = {O_APPEND, O_CREAT, O_NONBLOCK | O_TRUNC, O_RDWR, -1};
	int p[2] = {-7, -8};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERR(pipe2(p, bad[i]), EINVAL);
	CHECK(p[R] == -7 && p[W] == -8);
}

TEST(no_place_for_the_numbers_is_efault_and_makes_nothing)
{
	int *volatile nowhere = NULL; // or the compiler sees through it
	int before = (int)CHECK_OK(dup(0));

	CHECK_OK(close(before));
	CHECK_ERR(pipe(nowhere), EFAULT);
	int after = (int)CHECK_OK(dup(0));
	CHECK_EQ(after, before);
	CHECK_OK(close(after));
}

static void run_out_of_numbers(void *arg)
{
	struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};
	int p[2] = {-7, -8}, last, count = 0;

	(void)arg;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
	while ((last = dup(0)) != -1)
		count++;
	CHECK_EQ(errno, EMFILE);
	CHECK(count > 0);
	CHECK_ERR(pipe(p), EMFILE);
	CHECK_OK(close(63));
	CHECK_ERR(pipe(p), EMFILE);
	CHECK(p[R] == -7 && p[W] == -8);
	CHECK_EQ(dup(0), 63);
	CHECK_OK(close(63));
	CHECK_OK(close(62));
	CHECK_OK(pipe(p));
	put(p[W], "fits");
	expect(p[R], "fits");
}

TEST(no_free_numbers_are_emfile_and_one_is_not_enough)
{
	test_join(test_fork(run_out_of_numbers, NULL));
}

// Not one descriptor may be needed beside the two: full flow with none left.
static void flow_without_a_number_left(void *arg)
{
	const int *p = arg;
	struct rlimit limit = {.rlim_cur = 64, .rlim_max = 64};

	CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
	while (dup(0) != -1)
		;
	CHECK_EQ(errno, EMFILE);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(take_number(p[R]), i);
	take_flow(p[R], 20, FLOW - 20);
	expect_empty(p[R]);
}

TEST(pipe_flows_in_a_process_without_a_free_number)
{
	int p[2];

	make_pipe(p);
	pid_t pid = test_fork(flow_without_a_number_left, p);
	send_flow(p[W], 0, FLOW);
	test_join(pid);
	drop_pipe(p);
}

TEST(pipe_calls_on_other_files)
{
	char c = 'x';
	int zero = (int)CHECK_OK(open("/dev/zero", O_RDONLY | O_CLOEXEC));
	int null = (int)CHECK_OK(open("/dev/null", O_WRONLY | O_CLOEXEC));

	CHECK_ERR(fcntl(zero, F_GETPIPE_SZ), EBADF);
	CHECK_ERR(fcntl(zero, F_SETPIPE_SZ, 4096), EBADF);
	CHECK_EQ(read(zero, &c, 1), 1);
	CHECK_EQ(c, 0);
	CHECK_EQ(write(null, &c, 1), 1);
	CHECK_ERR(write(zero, &c, 1), EBADF);
	CHECK_ERR(read(null, &c, 1), EBADF);
	CHECK_OK(close(zero));
	CHECK_OK(close(null));
}

TEST(files_and_sockets_get_the_plain_calls)
{
	char path[] = "/tmp/posthaste-test-XXXXXX", buf[8];
	struct iovec iov[2] = {{buf, 2}, {buf + 2, 3}};
	struct stat st;

	int file = (int)CHECK_OK(mkstemp(path));
	CHECK_OK(unlink(path));
	put(file, "hello");
	CHECK_EQ(lseek(file, 0, SEEK_SET), 0);
	CHECK_EQ(readv(file, iov, 2), 5);
	CHECK(memcmp(buf, "hello", 5) == 0);
	expect_eof(file);
	CHECK_OK(fstat(file, &st));
	CHECK(S_ISREG(st.st_mode));
	CHECK_EQ(st.st_size, 5);
	int second = (int)CHECK_OK(fcntl(file, F_DUPFD_CLOEXEC, 0));
	CHECK_OK(close(file));
	CHECK_EQ(lseek(second, 0, SEEK_SET), 0);
	CHECK_EQ(available(second), 5);
	expect(second, "hello");
	CHECK_OK(close(second));
}

TEST(unknown_commands_and_requests_are_refused)
{
	int p[2];

	make_pipe(p);
	CHECK_ERR(fcntl(p[R], 54321), EINVAL);
	CHECK_ERR(ioctl(p[R], 0x54545454, NULL), ENOTTY);
	put(p[W], "fine");
	expect(p[R], "fine");
	drop_pipe(p);
}

// Locks, owners and the like belong to the kernel and work as on any descriptor.
TEST(other_commands_go_to_the_kernel)
{
	int p[2];
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	make_pipe(p);
	CHECK_OK(fcntl(p[R], F_SETOWN, getpid()));
	CHECK_EQ(fcntl(p[R], F_GETOWN), getpid());
	CHECK_OK(fcntl(p[R], F_SETSIG, SIGUSR1));
	CHECK_EQ(fcntl(p[R], F_GETSIG), SIGUSR1);
	CHECK_OK(fcntl(p[W], F_GETLK, &lock));
	CHECK_EQ(lock.l_type, F_UNLCK);
	drop_pipe(p);
}

static atomic_int announced;

static void note_io(int sig)
{
	(void)sig;
	atomic_fetch_add(&announced, 1);
}

// O_ASYNC: the kernel signals the owner when bytes arrive.
TEST(owner_is_signalled_when_bytes_arrive)
{
	int p[2];
	struct sigaction sa = {.sa_handler = note_io, .sa_flags = SA_RESTART};

	CHECK_OK(sigaction(SIGIO, &sa, NULL));
	make_pipe(p);
	CHECK_OK(fcntl(p[R], F_SETOWN, getpid()));
	set_flag(p[R], O_ASYNC, true);
	CHECK_EQ(atomic_load(&announced), 0);
	put(p[W], "x");
	wait_count(&announced, 1);
	expect(p[R], "x");
	drop_pipe(p);
}
