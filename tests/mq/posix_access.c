// SPDX-License-Identifier: MIT
//
// tests/mq/posix_access.c - who may open, use and remove a queue: access modes, permission bits, umask.
//
// Root passes over permission bits, so these tests give up root in a child; without root there is no
// second user to play, and the tests that need one are skipped.
#include "queue.h"

static void need_root(void)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
}

static mqd_t make_with_mode(mode_t mode)
{
	mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT | O_EXCL, mode, NULL);

	CHECK_OK(q);
	return q;
}

static mode_t mode_of(mqd_t q)
{
	struct stat st;

#ifdef TEST_KERNEL
	CHECK_OK(fstat(q, &st));
#else
	char path[512];

	(void)q;
	snprintf(path, sizeof(path), "%s/mq.%s", getenv("POSTHASTE_DIR"), test_name() + 1);
	CHECK_OK(stat(path, &st));
#endif
	return st.st_mode & 07777;
}

/* ---- access modes ---- */

TEST(send_on_a_read_only_descriptor_is_ebadf)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t reader = open_queue(O_RDONLY);

	CHECK_ERR(mq_send(reader, "x", 1, 0), EBADF);
	put(q, "x", 0);
	expect(reader, "x", 0);
	CHECK_OK(mq_close(reader));
	drop_queue(q);
}

TEST(receive_on_a_write_only_descriptor_is_ebadf)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t writer = open_queue(O_WRONLY);
	char buf[SMALL];

	put(writer, "x", 0);
	CHECK_ERR(mq_receive(writer, buf, sizeof(buf), NULL), EBADF);
	expect(q, "x", 0);
	CHECK_OK(mq_close(writer));
	drop_queue(q);
}

TEST(timed_calls_judge_the_access_mode_too)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t reader = open_queue(O_RDONLY);
	mqd_t writer = open_queue(O_WRONLY);
	struct timespec past = in_ms(-1000);
	char buf[SMALL];

	CHECK_ERR(mq_timedsend(reader, "x", 1, 0, &past), EBADF);
	CHECK_ERR(mq_timedreceive(writer, buf, sizeof(buf), NULL, &past), EBADF);
	CHECK_OK(mq_close(reader));
	CHECK_OK(mq_close(writer));
	drop_queue(q);
}

TEST(attributes_need_no_access_mode)
{
	mqd_t q = make_queue(3, SMALL);
	mqd_t one[] = {open_queue(O_RDONLY), open_queue(O_WRONLY)};
	struct mq_attr attr = {.mq_flags = O_NONBLOCK};

	for (int i = 0; i < 2; i++) {
		CHECK_OK(mq_setattr(one[i], &attr, NULL));
		CHECK_OK(mq_getattr(one[i], &attr));
		CHECK_EQ(attr.mq_maxmsg, 3);
		CHECK_EQ(attr.mq_flags, O_NONBLOCK);
		CHECK_OK(mq_close(one[i]));
	}
	drop_queue(q);
}

TEST(create_read_only_or_write_only_works)
{
	mqd_t reader = mq_open(test_name(), O_RDONLY | O_CREAT | O_EXCL, 0600, NULL);
	mqd_t writer = mq_open(test_name(), O_WRONLY | O_CREAT, 0600, NULL);

	CHECK_OK(reader);
	CHECK_OK(writer);
	CHECK_ERR(mq_send(reader, "x", 1, 0), EBADF);
	put(writer, "y", 3);
	expect(reader, "y", 3);
	CHECK_OK(mq_close(writer));
	drop_queue(reader);
}

/* ---- permission bits ---- */

TEST(umask_takes_bits_away_from_the_mode)
{
	mode_t old = umask(027);
	mqd_t q = make_with_mode(0666);

	CHECK_EQ(mode_of(q), 0640);
	drop_queue(q);
	umask(0);
	q = make_with_mode(0666);
	CHECK_EQ(mode_of(q), 0666);
	drop_queue(q);
	umask(old);
}

TEST(umask_of_the_process_is_left_alone)
{
	umask(013);
	mqd_t q = make_with_mode(0666);

	CHECK_EQ(umask(022), 013);
	drop_queue(q);
}

static void open_every_way_is_refused(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_ERR(mq_open(test_name(), O_RDONLY), EACCES);
	CHECK_ERR(mq_open(test_name(), O_WRONLY), EACCES);
	CHECK_ERR(mq_open(test_name(), O_RDWR), EACCES);
	CHECK_ERR(mq_open(test_name(), O_RDWR | O_CREAT, 0600, NULL), EACCES);
	CHECK_ERR(mq_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
}

TEST(queue_of_mode_0600_is_closed_to_another_user)
{
	need_root();
	open_namespace_to_all();
	mqd_t q = make_with_mode(0600);
	test_join(test_fork(open_every_way_is_refused, NULL));
	drop_queue(q);
}

TEST(queue_closed_by_umask_is_closed_to_another_user)
{
	need_root();
	open_namespace_to_all();
	umask(077);
	mqd_t q = make_with_mode(0666);
	test_join(test_fork(open_every_way_is_refused, NULL));
	drop_queue(q);
}

static void answer_as_nobody(void *arg)
{
	(void)arg;
	become_nobody();
	mqd_t reader = open_queue(O_RDONLY);
	mqd_t writer = open_queue(O_WRONLY);
	expect(reader, "question", 1);
	put(writer, "answer", 2);
	CHECK_OK(mq_close(mq_open(test_name(), O_RDWR | O_CREAT, 0600, NULL)));
}

TEST(queue_of_mode_0666_is_open_to_another_user)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	mqd_t q = make_with_mode(0666);
	put(q, "question", 1);
	test_join(test_fork(answer_as_nobody, NULL));
	expect(q, "answer", 2);
	drop_queue(q);
}

static void read_only_is_allowed(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_ERR(mq_open(test_name(), O_RDWR), EACCES);
	CHECK_ERR(mq_open(test_name(), O_WRONLY), EACCES);
#ifdef TEST_KERNEL
	CHECK_OK(mq_close(open_queue(O_RDONLY)));
#else
	// Receiving writes to the shared object: one bit alone cannot be kept, so it opens nothing.
	CHECK_ERR(mq_open(test_name(), O_RDONLY), EACCES);
#endif
}

TEST(queue_of_mode_0644_is_at_most_readable_for_another_user)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	mqd_t q = make_with_mode(0644);
	test_join(test_fork(read_only_is_allowed, NULL));
	drop_queue(q);
}

static void write_only_is_allowed(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_ERR(mq_open(test_name(), O_RDWR), EACCES);
	CHECK_ERR(mq_open(test_name(), O_RDONLY), EACCES);
#ifdef TEST_KERNEL
	CHECK_OK(mq_close(open_queue(O_WRONLY)));
#else
	// As above: whoever may write the object could read it as well.
	CHECK_ERR(mq_open(test_name(), O_WRONLY), EACCES);
#endif
}

TEST(queue_of_mode_0622_is_at_most_writable_for_another_user)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	mqd_t q = make_with_mode(0622);
	test_join(test_fork(write_only_is_allowed, NULL));
	drop_queue(q);
}

static void use_own_queue_of_mode_zero(void *arg)
{
	(void)arg;
	become_nobody();
	mqd_t q = make_with_mode(0);
	put(q, "mine", 0);
	expect(q, "mine", 0);
	CHECK_ERR(mq_open(test_name(), O_RDWR), EACCES);
	drop_queue(q);
}

TEST(mode_does_not_bind_the_descriptor_that_creates)
{
	need_root();
	open_namespace_to_all();
	test_join(test_fork(use_own_queue_of_mode_zero, NULL));
}

static void open_as_group(void *arg)
{
	(void)arg;
	CHECK_OK(setresgid(0, 0, 0));
	CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
	CHECK_OK(mq_close(open_queue(O_RDWR)));
}

static void open_as_other(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_ERR(mq_open(test_name(), O_RDWR), EACCES);
}

TEST(group_bits_count_for_the_group_only)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	mqd_t q = make_with_mode(0660);
	test_join(test_fork(open_as_group, NULL));
	test_join(test_fork(open_as_other, NULL));
	drop_queue(q);
}

static void refused_by_class(void *arg)
{
	(void)arg;
	CHECK_OK(setresgid(0, 0, 0));
	CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
	CHECK_ERR(mq_open(test_name(), O_RDWR), EACCES);
}

TEST(group_without_bits_is_refused_though_others_have_them)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	mqd_t q = make_with_mode(0606);
	test_join(test_fork(refused_by_class, NULL));
	test_join(test_fork(answer_as_nobody, (put(q, "question", 1), NULL)));
	expect(q, "answer", 2);
	drop_queue(q);
}

/* ---- unlink ---- */

static void unlink_is_refused(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_ERR(mq_unlink(test_name()), EACCES);
}

TEST(unlink_of_another_users_queue_is_eacces)
{
	need_root();
	open_namespace_to_all();
	umask(0);
	mqd_t q = make_with_mode(0666);
	test_join(test_fork(unlink_is_refused, NULL));
	CHECK_OK(mq_close(open_queue(O_RDWR)));
	drop_queue(q);
}

static void make_as_nobody(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_OK(mq_close(make_with_mode(0600)));
}

TEST(root_may_open_and_remove_what_another_user_made)
{
	need_root();
	open_namespace_to_all();
	test_join(test_fork(make_as_nobody, NULL));
	// With O_CREAT too: fs.protected_regular must not stand in the way.
	mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT, 0600, NULL);
	CHECK_OK(q);
	put(q, "root", 0);
	expect(q, "root", 0);
	drop_queue(q);
}
