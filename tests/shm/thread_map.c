// SPDX-License-Identifier: MIT
//
// tests/shm/thread_map.c - threads that make, map, grow and unmap at once, each its own mappings of the same object.
#include <posthaste/posthaste.h>

#include "object.h"

#include <pthread.h>

enum { THREADS = 4, ROUNDS = 300 };

static char name[64];

static void *map_and_grow(void *arg)
{
	size_t step = (size_t)(uintptr_t)arg;
	for (int i = 0; i < ROUNDS; i++) {
		uint8_t *p = ph_shm_map(name, PAGE, PH_SHM_CREATE | PH_SHM_RECLAIM, 0600, 64 * PAGE);
		struct ph_shm_info info;
		CHECK(p != NULL);
		CHECK_OK(ph_shm_grow(p, step * PAGE));
		CHECK(ph_shm_size(p) >= step * PAGE);
		__atomic_store_n(&((uint64_t *)p)[step], step, __ATOMIC_RELAXED);
		CHECK_EQ(ph_shm_fd(p) >= 0, 1);
		if (i % 50 == 0)
			CHECK_OK(ph_shm_info(p, &info));
		CHECK_OK(ph_shm_unmap(p));
	}
	return NULL;
}

TEST(threads_map_grow_and_unmap_at_once)
{
	pthread_t threads[THREADS];
	snprintf(name, sizeof(name), "%s", test_name());
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, map_and_grow, (void *)(i + 1)), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(count_names(), 0);
}

static uint8_t *shared;

static void *grow_shared(void *arg)
{
	size_t step = (size_t)(uintptr_t)arg;
	for (size_t size = step; size <= 64 * PAGE; size += step) {
		CHECK_OK(ph_shm_grow(shared, size));
		CHECK(ph_shm_size(shared) >= size);
	}
	return NULL;
}

TEST(threads_grow_one_mapping_at_once)
{
	pthread_t threads[THREADS];
	shared = ph_shm_map(NULL, PAGE, 0, 0, 64 * PAGE);
	CHECK(shared != NULL);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, grow_shared, (void *)(i * PAGE + 512)), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK(ph_shm_size(shared) >= 63 * PAGE);
	CHECK_OK(ph_shm_unmap(shared));
}

static void *open_and_unlink(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		int fd = ph_shm_open(name, O_RDWR | O_CREAT, 0600);
		CHECK_OK(fd);
		CHECK(ph_shm_unlink(name) == 0 || errno == ENOENT);
		CHECK_OK(close(fd));
	}
	return NULL;
}

TEST(threads_open_and_unlink_at_once)
{
	pthread_t threads[THREADS];
	snprintf(name, sizeof(name), "%s", test_name());
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, open_and_unlink, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	ph_shm_unlink(name);
}
