// SPDX-License-Identifier: MIT
//
// The C library's lock that survives its holder: a robust, process-shared pthread_mutex_t. One unit, and
// the thread that took it gives it back. Its list of locks lies in the shared memory, so a peer that
// scribbles there makes a holder write anywhere.
#include "peer.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#define BYTES 4096

static int result(int error)
{
	if (error == 0)
		return 0;
	errno = error;
	return -1;
}

static int create(struct bench_end *end)
{
	pthread_mutexattr_t attr;
	end->state = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (end->state == MAP_FAILED)
		return -1;
	int error = pthread_mutexattr_init(&attr);
	if (error == 0)
		error = pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (error == 0)
		error = pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	if (error == 0)
		error = pthread_mutex_init(end->state, &attr);
	return result(error);
}

static void destroy(struct bench_end *end)
{
	munmap(end->state, BYTES);
}

static int attach(struct bench_end *end)
{
	(void)end; // inherited
	return 0;
}

static int post(struct bench_end *end)
{
	return result(pthread_mutex_unlock(end->state));
}

static int await(struct bench_end *end)
{
	return result(pthread_mutex_lock(end->state));
}

static int pairs(struct bench_end *end, uint64_t n)
{
	int failed = 0;
	for (uint64_t i = 0; i < n; i++) {
		failed |= pthread_mutex_lock(end->state);
		failed |= pthread_mutex_unlock(end->state);
	}
	return result(failed);
}

static long units(struct bench_end *end)
{
	const long free = pthread_mutex_trylock(end->state) == 0;
	if (free)
		pthread_mutex_unlock(end->state);
	return free;
}

static bool can(const struct bench_case *c)
{
	return c->holders && c->depth == 1;
}

static const struct bench_ops ROBUST = {
	.name = "robust",
	.create = create,
	.destroy = destroy,
	.attach = attach,
	.post = post,
	.wait = await,
	.pairs = pairs,
	.units = units,
	.can = can,
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "sem", bench_sem_cases, &ROBUST);
}
