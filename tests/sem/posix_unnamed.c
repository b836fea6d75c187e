// SPDX-License-Identifier: MIT
//
// tests/sem/posix_unnamed.c - semaphores in the caller's memory: their beginning and end, their values, who
// may use them.
#include "sem.h"

TEST(init_sets_the_value)
{
	const unsigned values[] = {0, 1, 2, 1000, SEM_VALUE_MAX - 1, SEM_VALUE_MAX};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		for (int shared = 0; shared < 2; shared++) {
			sem_t sem;
			CHECK_OK(sem_init(&sem, shared, values[i]));
			CHECK_EQ(units_of(&sem), values[i]);
			CHECK_OK(sem_destroy(&sem));
		}
}

TEST(init_beyond_the_largest_value_is_einval)
{
	const unsigned values[] = {(unsigned)SEM_VALUE_MAX + 1, (unsigned)SEM_VALUE_MAX + 2, UINT_MAX};
	sem_t sem;

	CHECK_OK(sem_init(&sem, 0, 7));
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		CHECK_ERR(sem_init(&sem, 0, values[i]), EINVAL);
		CHECK_ERR(sem_init(&sem, 1, values[i]), EINVAL);
	}
	CHECK_EQ(units_of(&sem), 7);
	CHECK_OK(sem_destroy(&sem));
}

TEST(init_works_on_memory_of_any_content)
{
	sem_t sem;

	for (int byte = 0; byte < 256; byte += 17) {
		memset(&sem, byte, sizeof(sem));
		CHECK_OK(sem_init(&sem, byte & 1, 2));
		take(&sem);
		take(&sem);
		CHECK_ERR(sem_trywait(&sem), EAGAIN);
		give(&sem, 1);
		CHECK_EQ(units_of(&sem), 1);
		CHECK_OK(sem_destroy(&sem));
	}
}

TEST(destroyed_semaphore_may_be_made_again)
{
	sem_t sem;

	for (unsigned i = 0; i < 1000; i++) {
		CHECK_OK(sem_init(&sem, i & 1, i));
		CHECK_EQ(units_of(&sem), i);
		CHECK_OK(sem_destroy(&sem));
	}
}

TEST(semaphore_stays_within_its_type)
{
	struct {
		unsigned char before[64];
		sem_t sem;
		unsigned char behind[64];
	} s;
	struct worker w;

	memset(&s, 0xa5, sizeof(s));
	CHECK_OK(sem_init(&s.sem, 1, 0));
	start_and_block(&w, work_wait, &s.sem);
	give(&s.sem, 1);
	expect_taken(&w);
	give(&s.sem, 3);
	take(&s.sem);
	CHECK_OK(sem_destroy(&s.sem));
	for (size_t i = 0; i < sizeof(s.before); i++)
		CHECK(s.before[i] == 0xa5 && s.behind[i] == 0xa5);
}

/* ---- values ---- */

TEST(post_counts_up_and_wait_counts_down)
{
	sem_t *sem = make_shared(0);

	for (int i = 0; i < 100; i++) {
		CHECK_EQ(units_of(sem), i);
		give(sem, 1);
	}
	for (int i = 100; i > 0; i--) {
		CHECK_EQ(units_of(sem), i);
		take(sem);
	}
	CHECK_EQ(units_of(sem), 0);
	drop_shared(sem);
}

TEST(trywait_takes_what_is_there_and_no_more)
{
	sem_t *sem = make_shared(3);

	for (int i = 0; i < 3; i++)
		CHECK_OK(sem_trywait(sem));
	for (int i = 0; i < 3; i++)
		CHECK_ERR(sem_trywait(sem), EAGAIN);
	CHECK_EQ(units_of(sem), 0);
	give(sem, 1);
	CHECK_OK(sem_trywait(sem));
	CHECK_ERR(sem_trywait(sem), EAGAIN);
	drop_shared(sem);
}

TEST(post_at_the_largest_value_is_eoverflow_and_changes_nothing)
{
	sem_t *sem = make_shared(SEM_VALUE_MAX);

	CHECK_ERR(sem_post(sem), EOVERFLOW);
	CHECK_ERR(sem_post(sem), EOVERFLOW);
	CHECK_EQ(units_of(sem), SEM_VALUE_MAX);
	take(sem);
	CHECK_EQ(units_of(sem), SEM_VALUE_MAX - 1);
	give(sem, 1);
	CHECK_ERR(sem_post(sem), EOVERFLOW);
	CHECK_OK(sem_trywait(sem));
	CHECK_EQ(units_of(sem), SEM_VALUE_MAX - 1);
	drop_shared(sem);
}

static sem_t *brim;
static atomic_int refused, accepted;

static void *post_many(void *arg)
{
	for (int i = 0; i < 1000; i++)
		if (sem_post(brim) == 0)
			atomic_fetch_add(&accepted, 1);
		else if (errno == EOVERFLOW)
			atomic_fetch_add(&refused, 1);
	return arg;
}

TEST(threads_that_post_at_once_never_pass_the_largest_value)
{
	pthread_t threads[4];

	brim = make_shared(SEM_VALUE_MAX - 1234);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, post_many, NULL), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(units_of(brim), SEM_VALUE_MAX);
	CHECK_EQ(accepted, 1234);
	CHECK_EQ(refused, 4000 - 1234);
	drop_shared(brim);
}

TEST(value_is_zero_and_never_negative_while_others_wait)
{
	sem_t *sem = make_shared(0);
	struct worker w[4];

	for (int i = 0; i < 4; i++) {
		start_and_block(&w[i], work_wait, sem);
		CHECK_EQ(units_of(sem), 0);
	}
	give(sem, 4);
	for (int i = 0; i < 4; i++)
		expect_taken(&w[i]);
	CHECK_EQ(units_of(sem), 0);
	drop_shared(sem);
}

/* ---- who may use it ---- */

static void take_and_give_two(void *arg)
{
	take(arg);
	give(arg, 2);
}

TEST(shared_one_is_the_same_in_forked_children)
{
	sem_t *sem = make_shared(1);

	for (int i = 1; i <= 10; i++) {
		test_join(test_fork(take_and_give_two, sem));
		CHECK_EQ(units_of(sem), i + 1);
	}
	drop_shared(sem);
}

TEST(shared_one_wakes_over_processes)
{
	sem_t *sem = make_shared(0);

	for (int i = 0; i < 50; i++) {
		pid_t pid = fork_taker(sem);
		give(sem, 1);
		test_join(pid);
		CHECK_EQ(units_of(sem), 0);
	}
	drop_shared(sem);
}

static sem_t private_one;

static void use_the_copy(void *arg)
{
	(void)arg;
	CHECK_EQ(units_of(&private_one), 2);
	take(&private_one);
	take(&private_one);
	CHECK_ERR(sem_trywait(&private_one), EAGAIN);
	give(&private_one, 5);
}

TEST(forked_child_has_a_copy_of_a_private_one)
{
	CHECK_OK(sem_init(&private_one, 0, 2));
	test_join(test_fork(use_the_copy, NULL));
	CHECK_EQ(units_of(&private_one), 2);
	CHECK_OK(sem_destroy(&private_one));
}

static void wait_in_a_thread_of_the_child(void *arg)
{
	struct worker w;

	(void)arg;
	start_and_block(&w, work_wait, &private_one);
	give(&private_one, 1);
	expect_taken(&w);
}

TEST(copy_of_a_private_one_serves_the_threads_of_the_child)
{
	struct worker w;

	CHECK_OK(sem_init(&private_one, 0, 0));
	start_and_block(&w, work_wait, &private_one);
	test_join(test_fork(wait_in_a_thread_of_the_child, NULL));
	CHECK_EQ(atomic_load(&w.done), 0);
	give(&private_one, 1);
	expect_taken(&w);
	CHECK_OK(sem_destroy(&private_one));
}

// Two mappings of one page: the semaphore is the memory, not its address.
static int page_file(void)
{
	char path[] = "/dev/shm/posthaste-test-page-XXXXXX";
	const int fd = (int)CHECK_OK(mkstemp(path));

	CHECK_OK(unlink(path));
	CHECK_OK(ftruncate(fd, 4096));
	return fd;
}

static void *map_page(int fd)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

TEST(one_semaphore_at_two_addresses_of_one_process)
{
	const int fd = page_file();
	sem_t *here = map_page(fd);
	sem_t *there = map_page(fd);
	struct worker w;

	CHECK(here != there);
	CHECK_OK(sem_init(here, 1, 0));
	for (int i = 0; i < 50; i++) {
		start_and_block(&w, work_wait, i & 1 ? here : there);
		give(i & 1 ? there : here, 1);
		expect_taken(&w);
	}
	give(here, 3);
	CHECK_EQ(units_of(there), 3);
	CHECK_OK(sem_destroy(there));
	CHECK_OK(munmap(here, 4096));
	CHECK_OK(munmap(there, 4096));
	CHECK_OK(close(fd));
}

static void take_at_an_address_of_its_own(void *arg)
{
	sem_t *sem = map_page(*(const int *)arg);

	take(sem);
}

TEST(one_semaphore_in_a_file_that_each_process_maps_for_itself)
{
	int fd = page_file();
	sem_t *sem = map_page(fd);

	CHECK_OK(sem_init(sem, 1, 0));
	for (int i = 0; i < 20; i++) {
		pid_t pid = test_fork(take_at_an_address_of_its_own, &fd);
		if (i & 1)
			test_wait_asleep(pid);
		give(sem, 1);
		test_join(pid);
	}
	CHECK_EQ(units_of(sem), 0);
	CHECK_OK(munmap(sem, 4096));
	CHECK_OK(close(fd));
}

TEST(many_semaphores_do_not_disturb_each_other)
{
	enum { COUNT = 1000 };
	sem_t *sems = calloc(COUNT, sizeof(*sems));

	CHECK(sems != NULL);
	for (unsigned i = 0; i < COUNT; i++)
		CHECK_OK(sem_init(&sems[i], i & 1, i));
	for (unsigned i = 0; i < COUNT; i += 2)
		give(&sems[i], 1);
	for (unsigned i = 0; i < COUNT; i++) {
		CHECK_EQ(units_of(&sems[i]), i & 1 ? i : i + 1);
		CHECK_OK(sem_destroy(&sems[i]));
	}
	free(sems);
}
