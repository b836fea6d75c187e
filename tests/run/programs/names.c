// SPDX-License-Identifier: MIT
//
// names - whose functions a program gets that was linked long ago, or now: asks for the old versions and the new
// ones of the same names, and says which library has each. And whether they work.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__x86_64__)
#define OLD_SEM "GLIBC_2.2.5"
#define OLD_MQ "GLIBC_2.3.4"
#elif defined(__aarch64__)
#define OLD_SEM "GLIBC_2.17"
#define OLD_MQ "GLIBC_2.17"
#endif

#ifdef OLD_SEM
// As libpthread.so.0 and librt.so.1 had them.
#define OLD(type, name, version)        \
	extern __typeof__(type) old_##name; \
	__asm__(".symver old_" #name ", " #name "@" version)
OLD(sem_init, sem_init, OLD_SEM);
OLD(sem_wait, sem_wait, OLD_SEM);
OLD(sem_post, sem_post, OLD_SEM);
OLD(sem_open, sem_open, OLD_SEM);
OLD(mq_open, mq_open, OLD_MQ);
OLD(mq_send, mq_send, OLD_MQ);
OLD(shm_open, shm_open, OLD_SEM);
#endif

// A program built with _FORTIFY_SOURCE.
extern mqd_t __mq_open_2(const char *name, int oflag);

static int failures;

static void say(const char *name, void *function)
{
	Dl_info info;
	const char *file = dladdr(function, &info) != 0 ? strrchr(info.dli_fname, '/') : NULL;
	printf("%s %s\n", name, file == NULL ? "?" : file + 1);
}

static void check(const char *what, int holds)
{
	failures += !holds;
	if (!holds)
		printf("FAIL %s\n", what);
}

static void use_new(void)
{
	sem_t sem;
	check("sem_init", sem_init(&sem, 0, 1) == 0);
	check("sem_wait", sem_wait(&sem) == 0);
	say("sem_wait", (void *)sem_wait);
	say("sem_post", (void *)sem_post);
	say("sem_clockwait", (void *)sem_clockwait);
	say("mq_open", (void *)mq_open);
	say("__mq_open_2", (void *)__mq_open_2);
	say("shm_open", (void *)shm_open);
}

#ifdef OLD_SEM
static void use_old(void)
{
	sem_t sem;
	check("old sem_init", old_sem_init(&sem, 0, 0) == 0);
	check("old sem_post", old_sem_post(&sem) == 0);
	check("new sem_wait on it", sem_wait(&sem) == 0);
	say("old sem_wait", (void *)old_sem_wait);
	say("old sem_post", (void *)old_sem_post);
	say("old sem_open", (void *)old_sem_open);
	say("old mq_open", (void *)old_mq_open);
	say("old mq_send", (void *)old_mq_send);
	say("old shm_open", (void *)old_shm_open);
}
#else
static void use_old(void)
{
}
#endif

int main(void)
{
	use_new();
	use_old();
	return failures != 0;
}
