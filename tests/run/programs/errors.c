// SPDX-License-Identifier: MIT
//
// errors - what the calls say to all that can be wrong with their arguments: a line for each, the same with the
// C library and by `posthaste run`. Only what the system does not bound is left out.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void say(long r, const char *call)
{
	printf("%s = %s\n", call, r == -1 ? strerrorname_np(errno) : "ok");
}
#define SAY(call) (errno = 0, say((long)(call), #call))
#define SAY_SEM(call) (errno = 0, say((call) == SEM_FAILED ? -1 : 0, #call))

static char longest[NAME_MAX + 3], longer[NAME_MAX + 4], name[64];
static const struct timespec past = {1, 0}, early = {-1, 0}, none = {0, 1000000000},
							 below = {0, -1};

static struct mq_attr attr_of(long depth, long size)
{
	return (struct mq_attr){.mq_maxmsg = depth, .mq_msgsize = size};
}

static mqd_t make(const char *n, int flags, long depth, long size)
{
	struct mq_attr attr = attr_of(depth, size);
	return mq_open(n, O_RDWR | O_CREAT | flags, 0600, &attr);
}

static void queue_names(void)
{
	static const char *const names[] = {"", "/", "//", "a", "/.", "/..", "/a/b", "//a", "/a/"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		printf("[%s]\n", names[i]);
		SAY(mq_open(names[i], O_RDWR));
		SAY(make(names[i], O_EXCL, 1, 1));
		SAY(mq_unlink(names[i]));
	}
	SAY(make(longest, 0, 1, 1));
	SAY(mq_unlink(longest));
	SAY(make(longer, 0, 1, 1));
	SAY(mq_unlink(longer));
}

static void queue_opens(void)
{
	SAY(mq_open(name, O_RDWR));
	SAY(make(name, 0, 0, 1));
	SAY(make(name, 0, 1, 0));
	SAY(make(name, 0, -1, 1));
	SAY(make(name, 0, 1, -1));
	SAY(make(name, O_EXCL, 1, 16));
	SAY(make(name, O_EXCL, 1, 16));
	SAY(make(name, O_EXCL, 0, 16));
	SAY(make(name, 0, 0, -1));
	SAY(mq_open(name, O_WRONLY | O_RDWR));
}

static void queue_messages(void)
{
	char text[16];
	mqd_t q = mq_open(name, O_RDWR | O_NONBLOCK), reader = mq_open(name, O_RDONLY);
	mqd_t writer = mq_open(name, O_WRONLY);
	SAY(mq_send(q, text, 17, 0));
	SAY(mq_send(q, text, 1, 32767));
	SAY(mq_send(q, text, 1, 32768));
	SAY(mq_send(q, text, 1, UINT_MAX));
	SAY(mq_send(reader, text, 1, 0));
	SAY(mq_send(reader, text, 1, 32768));
	SAY(mq_send(-1, text, 1, 32768));
	SAY(mq_send(0, text, 1, 0));
	SAY(mq_send(q, text, 1, 0));
	SAY(mq_timedsend(writer, text, 1, 0, &past));
	SAY(mq_timedsend(writer, text, 1, 0, &early));
	SAY(mq_timedsend(writer, text, 1, 0, &none));
	SAY(mq_timedsend(q, text, 1, 0, &below));
	SAY(mq_receive(writer, text, 16, NULL));
	SAY(mq_receive(q, text, 15, NULL));
	SAY(mq_receive(q, text, 16, NULL));
	SAY(mq_receive(q, text, 16, NULL));
	SAY(mq_timedreceive(reader, text, 16, NULL, &past));
	SAY(mq_timedreceive(reader, text, 16, NULL, &early));
	SAY(mq_timedreceive(q, text, 16, NULL, &none));
	SAY(mq_timedreceive(-1, text, 16, NULL, &none));
	SAY(mq_receive(0, text, 16, NULL));
	SAY(mq_close(q));
	SAY(mq_close(q));
	SAY(mq_close(reader));
	SAY(mq_close(writer));
	SAY(mq_close(-1));
}

static void queue_rest(void)
{
	struct mq_attr attr = attr_of(1, 1), old;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
	mqd_t q = mq_open(name, O_RDWR);
	SAY(mq_getattr(-1, &old));
	SAY(mq_getattr(0, &old));
	SAY(mq_setattr(0, &attr, &old));
	attr.mq_flags = O_APPEND;
	SAY(mq_setattr(q, &attr, &old));
	SAY(mq_setattr(-1, &attr, &old));
	attr.mq_flags = O_NONBLOCK;
	SAY(mq_setattr(q, &attr, &old));
	printf("%ld %ld %ld %ld\n", old.mq_flags, old.mq_maxmsg, old.mq_msgsize, old.mq_curmsgs);
	SAY(mq_notify(q, &event));
	SAY(mq_notify(-1, &event));
	event.sigev_signo = -1;
	SAY(mq_notify(q, &event));
	event.sigev_notify = 77;
	SAY(mq_notify(q, &event));
	SAY(mq_notify(-1, &event));
	event.sigev_notify = SIGEV_NONE;
	SAY(mq_notify(-1, &event));
	SAY(mq_notify(0, &event));
	SAY(mq_notify(q, &event));
	SAY(mq_notify(q, &event));
	SAY(mq_notify(q, NULL));
	SAY(mq_notify(q, NULL));
	SAY(mq_notify(-1, NULL));
	SAY(mq_close(q));
	SAY(mq_unlink(name));
	SAY(mq_unlink(name));
}

static void semaphore_names(void)
{
	static const char *const names[] = {"", "/", "//", "/a/b", "a/"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		printf("[%s]\n", names[i]);
		SAY_SEM(sem_open(names[i], 0));
		SAY_SEM(sem_open(names[i], O_CREAT, 0600, 1));
		SAY(sem_unlink(names[i]));
	}
	SAY_SEM(sem_open(longest, O_CREAT, 0600, 1));
	SAY(sem_unlink(longest));
	SAY_SEM(sem_open(longer, O_CREAT, 0600, 1));
	SAY(sem_unlink(longer));
	SAY_SEM(sem_open(name, 0));
	SAY_SEM(sem_open(name, O_EXCL));
	SAY_SEM(sem_open(name, O_CREAT, 0600, (unsigned)SEM_VALUE_MAX + 1));
	SAY_SEM(sem_open(name, O_CREAT | O_EXCL, 0600, SEM_VALUE_MAX));
	SAY_SEM(sem_open(name, O_CREAT | O_EXCL, 0600, 1));
	SAY_SEM(sem_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, 1));
}

static void semaphore_units(void)
{
	sem_t *named = sem_open(name, O_RDWR), sem, nothing;
	int value = 42;
	memset(&nothing, 0, sizeof nothing);
	SAY(sem_post(named));
	SAY(sem_trywait(named));
	SAY(sem_getvalue(named, &value));
	printf("%d\n", value);
	SAY(sem_close(named));
	SAY(sem_close(named)); // opened three times in all
	SAY(sem_close(named));
	SAY(sem_close(named));
	SAY(sem_close(&sem));
	SAY(sem_unlink(name));
	SAY(sem_unlink(name));
	SAY(sem_init(&sem, 0, (unsigned)SEM_VALUE_MAX + 1));
	SAY(sem_init(&sem, 0, 1));
	SAY(sem_timedwait(&sem, &below));
	SAY(sem_timedwait(&sem, &past));
	SAY(sem_timedwait(&sem, &past));
	SAY(sem_timedwait(&sem, &early));
	SAY(sem_timedwait(&sem, &none));
	SAY(sem_clockwait(&sem, CLOCK_MONOTONIC, &past));
	SAY(sem_clockwait(&sem, CLOCK_MONOTONIC, &none));
	SAY(sem_clockwait(&sem, CLOCK_THREAD_CPUTIME_ID, &past));
	SAY(sem_clockwait(&sem, 99, &past));
	SAY(sem_trywait(&sem));
	SAY(sem_trywait(&nothing));
	SAY(sem_timedwait(&nothing, &past));
	SAY(sem_destroy(&sem));
	SAY(sem_destroy(&nothing));
}

static void memory_names(void)
{
	static const char *const names[] = {"", "/", "//", ".", "..", "/..", "/a/b", "a/"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		printf("[%s]\n", names[i]);
		SAY(shm_open(names[i], O_RDWR, 0));
		SAY(shm_open(names[i], O_RDWR | O_CREAT, 0600));
		SAY(shm_unlink(names[i]));
	}
	SAY(shm_open(longer, O_RDWR | O_CREAT, 0600));
	SAY(shm_unlink(longer));
	SAY(shm_open(name, O_RDWR, 0));
	SAY(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
	SAY(shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600));
	SAY(shm_open(name, O_RDONLY | O_TRUNC, 0600));
	SAY(shm_unlink(name));
	SAY(shm_unlink(name));
}

int main(void)
{
	memset(longest, 'n', sizeof longest - 2);
	memset(longer, 'n', sizeof longer - 2);
	longest[0] = longer[0] = '/';
	longest[NAME_MAX + 1] = '\0';
	snprintf(name, sizeof name, "/posthaste-errors-%d", (int)getpid());
	queue_names();
	queue_opens();
	queue_messages();
	queue_rest();
	semaphore_names();
	semaphore_units();
	memory_names();
	return 0;
}
