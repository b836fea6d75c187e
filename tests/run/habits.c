// SPDX-License-Identifier: MIT
//
// tests/run/habits.c - what programs do with POSIX IPC beside what POSIX says, and what is true of the C library's
// all the same. Built without this library, and run twice: as it is, and by `posthaste run`. So each test is a
// statement about both.
#include "runner.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>

static mqd_t make_queue(long depth, int flags)
{
	struct mq_attr attr = {.mq_maxmsg = depth, .mq_msgsize = 16};
	return (mqd_t)CHECK_OK(mq_open(test_name(), O_RDWR | O_CREAT | O_EXCL | flags, 0600, &attr));
}

static void drop_queue(mqd_t q)
{
	CHECK_OK(mq_close(q));
	CHECK_OK(mq_unlink(test_name()));
}

static struct timespec in_seconds(time_t s)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += s;
	return t;
}

// ---- semaphores ----

static void *post(void *sem)
{
	CHECK_OK(sem_post(sem));
	return NULL;
}

static void post_from_a_thread_and_wait(sem_t *sem)
{
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, post, sem), 0);
	CHECK_OK(sem_wait(sem));
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(a_zeroed_semaphore_works_without_sem_init)
{
	static sem_t sem;
	int value = -1;
	CHECK_OK(sem_getvalue(&sem, &value));
	CHECK_EQ(value, 0);
	CHECK_ERR(sem_trywait(&sem), EAGAIN);
	post_from_a_thread_and_wait(&sem);
	CHECK_OK(sem_destroy(&sem));
}

TEST(a_copied_semaphore_is_one_of_its_own)
{
	sem_t sem, copy;
	int value = -1;
	CHECK_OK(sem_init(&sem, 0, 3));
	memcpy(&copy, &sem, sizeof copy);
	CHECK_OK(sem_wait(&copy));
	CHECK_OK(sem_getvalue(&copy, &value));
	CHECK_EQ(value, 2);
	CHECK_OK(sem_getvalue(&sem, &value));
	CHECK_EQ(value, 3);
	while (sem_trywait(&copy) == 0)
		;
	post_from_a_thread_and_wait(&copy);
}

TEST(a_destroyed_semaphore_goes_on)
{
	sem_t sem;
	CHECK_OK(sem_init(&sem, 0, 1));
	CHECK_OK(sem_destroy(&sem));
	CHECK_OK(sem_destroy(&sem));
	CHECK_OK(sem_wait(&sem));
	post_from_a_thread_and_wait(&sem);
}

static void destroy(void *sem)
{
	CHECK_OK(sem_destroy(sem));
}

static void wait_for(void *sem)
{
	CHECK_OK(sem_wait(sem));
}

TEST(a_child_that_destroys_the_shared_semaphore_leaves_it_to_the_others)
{
	sem_t *sem = mmap(NULL, sizeof *sem, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(sem != MAP_FAILED);
	CHECK_OK(sem_init(sem, 1, 0));
	test_join(test_fork(destroy, sem));
	pid_t child = test_fork(wait_for, sem);
	test_wait_asleep(child);
	CHECK_OK(sem_post(sem));
	test_join(child);
}

TEST(a_time_that_is_none_is_refused_though_a_unit_is_there)
{
	struct timespec wrong = {0, 1000000000};
	sem_t sem;
	CHECK_OK(sem_init(&sem, 0, 1));
	CHECK_ERR(sem_timedwait(&sem, &wrong), EINVAL);
	CHECK_ERR(sem_clockwait(&sem, CLOCK_MONOTONIC, &wrong), EINVAL);
	wrong.tv_nsec = 0;
	CHECK_ERR(sem_clockwait(&sem, CLOCK_PROCESS_CPUTIME_ID, &wrong), EINVAL);
	CHECK_OK(sem_timedwait(&sem, &wrong));
	CHECK_ERR(sem_timedwait(&sem, &wrong), ETIMEDOUT);
}

TEST(a_named_semaphore_takes_none_of_the_first_descriptors)
{
	int before = (int)CHECK_OK(open("/dev/null", O_RDONLY));
	CHECK_OK(close(before));
	sem_t *sem = sem_open(test_name(), O_CREAT | O_EXCL, 0600, 1);
	CHECK(sem != SEM_FAILED);
	CHECK_EQ(CHECK_OK(open("/dev/null", O_RDONLY)), before);
	CHECK_OK(close(before));
	CHECK_OK(sem_close(sem));
	CHECK_OK(sem_unlink(test_name()));
}

TEST(a_named_semaphore_goes_on_when_all_descriptors_were_closed)
{
	sem_t *sem = sem_open(test_name(), O_CREAT | O_EXCL, 0600, 1);
	CHECK(sem != SEM_FAILED);
	CHECK_OK(sem_unlink(test_name()));
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
	int value = -1;
	CHECK_OK(sem_wait(sem));
	post_from_a_thread_and_wait(sem);
	CHECK_OK(sem_getvalue(sem, &value));
	CHECK_EQ(value, 0);
	CHECK_OK(sem_close(sem));
}

// ---- queues ----

TEST(close_is_as_good_as_mq_close)
{
	mqd_t q = make_queue(2, 0);
	CHECK_OK(close((int)q));
	CHECK_ERR(mq_send(q, "x", 1, 0), EBADF);
	CHECK_ERR(mq_close(q), EBADF);
	int fd = (int)CHECK_OK(open("/dev/null", O_RDONLY));
	CHECK_EQ(fd, (int)q);
	CHECK_ERR(mq_send(q, "x", 1, 0), EBADF);
	CHECK_OK(mq_close(fd)); // closes whatever it is
	CHECK_ERR(close(fd), EBADF);
	CHECK_OK(mq_unlink(test_name()));
}

TEST(fcntl_sees_and_sets_o_nonblock_of_a_queue)
{
	struct mq_attr attr;
	mqd_t q = make_queue(1, 0);
	int flags = (int)CHECK_OK(fcntl((int)q, F_GETFL));
	CHECK_EQ(flags & O_ACCMODE, O_RDWR);
	CHECK(!(flags & O_NONBLOCK));
	CHECK_OK(fcntl((int)q, F_SETFL, flags | O_NONBLOCK));
	CHECK_OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_flags, O_NONBLOCK);
	char text[16];
	CHECK_ERR(mq_receive(q, text, sizeof text, NULL), EAGAIN);
	attr.mq_flags = 0;
	CHECK_OK(mq_setattr(q, &attr, NULL));
	CHECK(!(CHECK_OK(fcntl((int)q, F_GETFL)) & O_NONBLOCK));
	mqd_t reader = (mqd_t)CHECK_OK(mq_open(test_name(), O_RDONLY));
	CHECK_EQ(CHECK_OK(fcntl((int)reader, F_GETFL)) & O_ACCMODE, O_RDONLY);
	CHECK_OK(mq_close(reader));
	drop_queue(q);
}

TEST(read_gives_a_line_about_the_queue)
{
	char text[256];
	int signo = -1, how = -1, pid = -1;
	unsigned long bytes = 0;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	mqd_t q = make_queue(4, 0);
	CHECK_OK(mq_send(q, "sixteen bytes ..", 16, 0));
	CHECK_OK(mq_notify(q, &event));
	ssize_t n = (ssize_t)CHECK_OK(read((int)q, text, sizeof text - 1));
	text[n] = '\0';
	CHECK_EQ(sscanf(text, "QSIZE:%lu NOTIFY:%d SIGNO:%d NOTIFY_PID:%d", &bytes, &how, &signo, &pid),
	         4);
	CHECK_EQ(bytes, 16);
	CHECK_EQ(how, SIGEV_SIGNAL);
	CHECK_EQ(signo, SIGUSR1);
	CHECK_EQ(pid, getpid());
	CHECK_EQ(CHECK_OK(read((int)q, text, sizeof text)), 0);
	CHECK_EQ(CHECK_OK(lseek((int)q, 0, SEEK_SET)), 0);
	CHECK_EQ(CHECK_OK(read((int)q, text, sizeof text)), n);
	drop_queue(q);
}

TEST(a_time_that_is_none_is_refused_before_anything_else)
{
	const struct timespec wrong = {0, -1}, past = {0, 0};
	char text[16];
	mqd_t q = make_queue(1, 0);
	CHECK_ERR(mq_timedsend(q, "x", 1, 0, &wrong), EINVAL);
	CHECK_ERR(mq_timedsend(-1, "x", 1, 0, &wrong), EINVAL);
	CHECK_ERR(mq_timedreceive(q, text, sizeof text, NULL, &wrong), EINVAL);
	CHECK_ERR(mq_timedsend(-1, "x", 1, 40000, &past), EINVAL);
	CHECK_ERR(mq_timedsend(-1, "x", 1, 0, &past), EBADF);
	CHECK_OK(mq_timedsend(q, "x", 1, 0, &past));
	CHECK_ERR(mq_timedsend(q, "x", 1, 0, &past), ETIMEDOUT);
	drop_queue(q);
}

struct worker {
	mqd_t q;
	pid_t tid;
	ssize_t first, second;
};

static void *receive_twice(void *arg)
{
	struct worker *w = arg;
	const struct timespec soon = in_seconds(1);
	char text[16];
	__atomic_store_n(&w->tid, gettid(), __ATOMIC_RELEASE);
	w->first = mq_timedreceive(w->q, text, sizeof text, NULL, &soon) < 0 ? -errno : 0;
	w->second = mq_timedreceive(w->q, text, sizeof text, NULL, &soon) < 0 ? -errno : 0;
	return NULL;
}

static bool has_tid(void *arg)
{
	const struct worker *w = arg;
	return __atomic_load_n(&w->tid, __ATOMIC_ACQUIRE) != 0;
}

TEST(a_thread_asleep_on_a_queue_outlives_its_close)
{
	struct worker w = {.q = make_queue(1, 0)};
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, receive_twice, &w), 0);
	test_wait_until(has_tid, &w);
	test_wait_asleep(w.tid);
	CHECK_OK(mq_close(w.q));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(w.first, -ETIMEDOUT);
	CHECK_EQ(w.second, -EBADF);
	CHECK_OK(mq_unlink(test_name()));
}

TEST(a_thread_asleep_on_a_closed_queue_receives_what_others_send)
{
	struct worker w = {.q = make_queue(1, 0)};
	mqd_t other = (mqd_t)CHECK_OK(mq_open(test_name(), O_WRONLY));
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, receive_twice, &w), 0);
	test_wait_until(has_tid, &w);
	test_wait_asleep(w.tid);
	CHECK_OK(mq_close(w.q));
	CHECK_OK(mq_send(other, "x", 1, 0));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(w.first, 0);
	CHECK_EQ(w.second, -EBADF);
	drop_queue(other);
}

TEST(a_child_of_vfork_closes_its_own_descriptors_only)
{
	mqd_t q = make_queue(1, 0);
	pid_t child = vfork();
	if (child == 0) {
		close((int)q);
		_exit(0);
	}
	CHECK_OK(waitpid(child, NULL, 0));
	CHECK_OK(mq_send(q, "x", 1, 0));
	drop_queue(q);
}

static short polled(mqd_t q, int timeout_ms)
{
	struct pollfd p = {.fd = (int)q, .events = POLLIN | POLLOUT};
	int n = (int)CHECK_OK(poll(&p, 1, timeout_ms));
	CHECK_EQ(n, p.revents != 0);
	return p.revents;
}

TEST(polls_that_wait_and_polls_that_do_not_say_the_same)
{
	char text[16];
	mqd_t q = make_queue(2, 0);
	for (int round = 0; round < 2; round++) { // the second with a queue that somebody has polled
		CHECK_EQ(polled(q, 0), POLLOUT);
		CHECK_OK(mq_send(q, "x", 1, 0));
		CHECK_EQ(polled(q, 0), POLLIN | POLLOUT);
		CHECK_OK(mq_send(q, "y", 1, 0));
		CHECK_EQ(polled(q, 0), POLLIN);
		CHECK_EQ(polled(q, 1000), POLLIN);
		CHECK_OK(mq_receive(q, text, sizeof text, NULL));
		CHECK_OK(mq_receive(q, text, sizeof text, NULL));
		CHECK_EQ(polled(q, 1000), POLLOUT);
	}
	drop_queue(q);
}

// ---- shared memory ----

TEST(an_object_can_be_locked_as_a_whole)
{
	struct flock lock = {.l_type = F_WRLCK};
	int fd = (int)CHECK_OK(shm_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600));
	int other = (int)CHECK_OK(shm_open(test_name(), O_RDWR, 0));
	CHECK_OK(fcntl(fd, F_SETLK, &lock));
	CHECK_OK(fcntl(other, F_SETLK, &lock));
	CHECK_OK(close(fd));
	CHECK_OK(close(other));
	CHECK_OK(shm_unlink(test_name()));
}

TEST(an_object_has_the_lowest_descriptor_and_is_closed_by_exec)
{
	int before = (int)CHECK_OK(open("/dev/null", O_RDONLY));
	CHECK_OK(close(before));
	int fd = (int)CHECK_OK(shm_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600));
	CHECK_EQ(fd, before);
	CHECK_EQ(CHECK_OK(fcntl(fd, F_GETFD)), FD_CLOEXEC);
	CHECK_OK(close(fd));
	CHECK_OK(shm_unlink(test_name()));
}

// ---- names that are looked up at run time ----

typedef int post_fn(sem_t *);

static post_fn *find_post(void *handle)
{
	post_fn *found;
	void *address = dlsym(handle, "sem_post");
	memcpy(&found, &address, sizeof found);
	CHECK(found != NULL);
	return found;
}

TEST(a_function_that_is_looked_up_is_the_one_that_is_linked)
{
	void *handle = dlopen("libc.so.6", RTLD_NOW);
	CHECK(handle != NULL);
	CHECK(find_post(handle) == find_post(RTLD_DEFAULT));
	post_fn *found = find_post(handle);
	sem_t sem;
	CHECK_OK(sem_init(&sem, 0, 0));
	CHECK_OK(found(&sem));
	CHECK_OK(sem_wait(&sem));
	dlclose(handle);
}

TEST(rtld_next_is_seen_from_who_calls)
{
	// Behind a program everything is next, so it finds what it is linked with; behind the last library nothing.
	CHECK(find_post(RTLD_NEXT) == find_post(RTLD_DEFAULT));
	CHECK(dlsym(RTLD_DEFAULT, "no_such_function") == NULL);
	CHECK(dlerror() != NULL);
}
