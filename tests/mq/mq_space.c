// SPDX-License-Identifier: MIT
//
// tests/mq/mq_space.c - depth and size as memory allows, and memory that is short: all of it is reserved
// when a queue is made, so that it fails there, whole, or never.
#include <posthaste/posix.h>

#include "queue.h"

#include <dirent.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

static int names_in_namespace(void)
{
	DIR *dir = opendir(getenv("POSTHASTE_DIR"));
	int count = 0;

	CHECK(dir != NULL);
	for (struct dirent *e; (e = readdir(dir));)
		count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
		         strncmp(e->d_name, ".rec.", 5) != 0;
	closedir(dir);
	return count;
}

/* ---- large ---- */

TEST(depth_of_100000_works)
{
	enum { DEPTH = 100000 };
	mqd_t q = make_queue(DEPTH, 16);
	struct mq_attr attr;

	CHECK_OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_maxmsg, DEPTH);
	set_nonblock(q, true);
	for (uint64_t i = 0; i < DEPTH; i++)
		put_number(q, i, (unsigned)(i % 7));
	CHECK_ERR(mq_send(q, "x", 1, 0), EAGAIN);
	CHECK_EQ(current(q), DEPTH);
	for (uint64_t prio = 7; prio-- > 0;)
		for (uint64_t i = prio; i < DEPTH; i += 7)
			CHECK_EQ(take_number(q), i);
	expect_empty(q);
	drop_queue(q);
}

static void check_large(long depth, size_t size)
{
	mqd_t q = make_queue(depth, (long)size);
	char *in = malloc(size);
	char *out = malloc(size);

	CHECK(in && out);
	for (long round = 0; round < 2 * depth; round++) {
		for (size_t i = 0; i < size; i += 509)
			in[i] = (char)(i + (size_t)round);
		in[size - 1] = (char)round;
		CHECK_OK(mq_send(q, in, size, (unsigned)round % 3));
		CHECK_EQ(mq_receive(q, out, size, NULL), size);
		for (size_t i = 0; i < size - 1; i += 509)
			CHECK(out[i] == (char)(i + (size_t)round));
		CHECK(out[size - 1] == (char)round);
	}
	free(in);
	free(out);
	drop_queue(q);
}

TEST(messages_of_64_kib_work)
{
	check_large(50, 64 << 10);
}

TEST(messages_of_16_mib_work)
{
	check_large(2, 16 << 20);
}

TEST(message_of_16_mib_in_place)
{
	enum { SIZE = 16 << 20 };
	mqd_t q = make_queue(1, SIZE);
	struct ph_mq_loan loan;

	CHECK_OK(ph_mq_reserve(q, &loan));
	CHECK_EQ(loan.size, SIZE);
	memset(loan.data, 'm', SIZE);
	CHECK_OK(ph_mq_commit(q, &loan, SIZE, 1));
	CHECK_OK(ph_mq_borrow(q, &loan));
	CHECK_EQ(loan.size, SIZE);
	CHECK(((char *)loan.data)[0] == 'm' && ((char *)loan.data)[SIZE - 1] == 'm');
	CHECK(memcmp(loan.data, (char *)loan.data + 1, SIZE - 1) == 0);
	CHECK_OK(ph_mq_release(q, &loan));
	drop_queue(q);
}

static void make_large_as_nobody(void *arg)
{
	(void)arg;
	const struct rlimit none = {0, 0};
	CHECK_OK(setrlimit(RLIMIT_MSGQUEUE, &none));
	CHECK_OK(setrlimit(RLIMIT_MEMLOCK, &none));
	if (geteuid() == 0)
		become_nobody();
	drop_queue(make_queue(20000, 1024));
}

TEST(no_privilege_and_no_resource_limit_is_needed)
{
	open_namespace_to_all();
	test_join(test_fork(make_large_as_nobody, NULL));
}

/* ---- too large ---- */

static void refuse(long depth, long size, int one, int other)
{
	struct mq_attr attr = {.mq_maxmsg = depth, .mq_msgsize = size};

	CHECK_EQ(mq_open(test_name(), O_RDWR | O_CREAT, 0600, &attr), -1);
	CHECK(errno == one || errno == other);
	CHECK_EQ(names_in_namespace(), 0);
}

TEST(size_that_overflows_is_refused_and_makes_nothing)
{
	refuse(LONG_MAX, LONG_MAX, ENOMEM, ENOSPC);
	refuse(LONG_MAX, 1, ENOMEM, ENOSPC);
	refuse(1, LONG_MAX, ENOMEM, ENOSPC);
	refuse(LONG_MAX / 2, 2, ENOMEM, ENOSPC);
	refuse(1L << 32, 1L << 32, ENOMEM, ENOSPC);
	refuse(1L << 40, 1L << 20, ENOMEM, ENOSPC);
	refuse((1L << 32) + 1, 1L << 10, ENOMEM, ENOSPC);
}

/* ---- a file system of 1 MiB as the namespace ---- */

static void mount_small(void)
{
	if (unshare(CLONE_NEWNS) == -1)
		SKIP("needs the privilege to mount");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == -1 ||
	    mount("none", getenv("POSTHASTE_DIR"), "tmpfs", 0, "size=1m,mode=1777") == -1)
		SKIP("needs the privilege to mount");
}

static void need_enospc(void *arg)
{
	(void)arg;
	mount_small();
	refuse(1000, 8192, ENOSPC, ENOSPC);
	refuse(1, 2 << 20, ENOSPC, ENOSPC);
	mqd_t q = make_queue(10, 8192);
	put(q, "fits", 0);
	expect(q, "fits", 0);
	drop_queue(q);
	CHECK_EQ(names_in_namespace(), 0);
}

TEST(full_file_system_is_enospc_and_leaves_nothing)
{
	test_join(test_fork(need_enospc, NULL));
}

static void give_space_back(void *arg)
{
	(void)arg;
	mount_small();
	for (int i = 0; i < 50; i++) {
		drop_queue(make_queue(60, 8192));
		refuse(500, 8192, ENOSPC, ENOSPC);
	}
}

TEST(space_comes_back_with_unlink_and_with_failure)
{
	test_join(test_fork(give_space_back, NULL));
}

static void fill_the_rest(void)
{
	char path[512];
	char block[4096] = {1};

	snprintf(path, sizeof(path), "%s/ballast", getenv("POSTHASTE_DIR"));
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	CHECK_OK(fd);
	while (write(fd, block, sizeof(block)) > 0)
		;
	CHECK_EQ(errno, ENOSPC);
	CHECK_OK(close(fd));
}

static void use_all_of_a_reserved_queue(void *arg)
{
	enum { DEPTH = 100, SIZE = 4096 };
	char body[SIZE];

	(void)arg;
	mount_small();
	mqd_t q = make_queue(DEPTH, SIZE);
	fill_the_rest();
	CHECK_ERR(mq_open("/no-room", O_RDWR | O_CREAT, 0600, NULL), ENOSPC);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < DEPTH; i++) {
			memset(body, i, SIZE);
			CHECK_OK(mq_send(q, body, SIZE, (unsigned)(i * 331) % PH_MQ_PRIO_MAX));
		}
		for (int i = 0; i < DEPTH; i++)
			CHECK_EQ(mq_receive(q, body, SIZE, NULL), SIZE);
	}
	const int spares = 16;
	struct ph_mq_loan loan;
	for (int i = 0; i < spares && ph_mq_reserve(q, &loan) == 0; i++)
		memset(loan.data, i, SIZE);
	mqd_t other = open_queue(O_RDWR);
	put(other, "still", 0);
	expect(q, "still", 0);
	CHECK_OK(mq_close(other));
	drop_queue(q);
}

TEST(queue_that_was_made_never_runs_out_of_memory)
{
	test_join(test_fork(use_all_of_a_reserved_queue, NULL));
}

static void race_for_space(void *arg)
{
	atomic_int *made = arg;
	struct mq_attr attr = {.mq_maxmsg = 50, .mq_msgsize = 8192};
	char name[32];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "/space-%d", getpid());
		mqd_t q = mq_open(name, O_RDWR | O_CREAT, 0600, &attr);
		if (q == -1) {
			CHECK_EQ(errno, ENOSPC);
			continue;
		}
		put(q, "x", 0);
		atomic_fetch_add(made, 1);
		CHECK_OK(mq_close(q));
		CHECK_OK(mq_unlink(name));
	}
}

static void race_in_small(void *arg)
{
	pid_t pid[4];

	mount_small();
	for (int i = 0; i < 4; i++)
		pid[i] = test_fork(race_for_space, arg);
	for (int i = 0; i < 4; i++)
		test_join(pid[i]);
	CHECK_EQ(names_in_namespace(), 0);
}

TEST(creators_that_race_for_the_last_space_get_it_or_enospc)
{
	atomic_int *made = share(sizeof(*made));

	test_join(test_fork(race_in_small, made));
	CHECK(*made > 0);
}
