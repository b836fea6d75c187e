// SPDX-License-Identifier: MIT
//
// tests/mq/posix_open.c - mq_open: flags, names, attributes, and that a failure leaves nothing behind.
//
// Who may open what is in posix_access.c; what a name means over time is in posix_lifetime.c.
#include "queue.h"

#include <sys/resource.h>

TEST(open_of_a_missing_name_is_enoent)
{
	CHECK_ERR(mq_open(test_name(), O_RDWR), ENOENT);
	CHECK_ERR(mq_open(test_name(), O_RDWR | O_EXCL), ENOENT);
}

TEST(open_with_creat_makes_the_queue)
{
	mqd_t q = make_queue(3, 32);
	struct mq_attr attr;

	CHECK_OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_maxmsg, 3);
	CHECK_EQ(attr.mq_msgsize, 32);
	CHECK_EQ(attr.mq_curmsgs, 0);
	CHECK_EQ(attr.mq_flags, 0);
	drop_queue(q);
}

TEST(open_with_creat_and_excl_of_an_existing_name_is_eexist)
{
	mqd_t q = make_queue(1, SMALL);

	CHECK_ERR(mq_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
	drop_queue(q);
}

TEST(open_with_creat_of_an_existing_name_opens_it_and_ignores_mode_and_attr)
{
	mqd_t q = make_queue(3, 32);
	struct mq_attr attr = {.mq_maxmsg = 5, .mq_msgsize = 50};

	put(q, "first", 1);
	mqd_t again = mq_open(test_name(), O_RDWR | O_CREAT, 0, &attr);
	CHECK_OK(again);
	CHECK_OK(mq_getattr(again, &attr));
	CHECK_EQ(attr.mq_maxmsg, 3);
	CHECK_EQ(attr.mq_msgsize, 32);
	expect(again, "first", 1);
	CHECK_OK(mq_close(again));
	again = open_queue(O_RDWR);
	CHECK_OK(mq_close(again));
	drop_queue(q);
}

static long default_of(const char *what, long fallback)
{
	char path[64];
	long value = fallback;

	snprintf(path, sizeof(path), "/proc/sys/fs/mqueue/%s", what);
	FILE *f = fopen(path, "re");
	if (f) {
		CHECK_EQ(fscanf(f, "%ld", &value), 1);
		fclose(f);
	}
	return value;
}

TEST(open_without_attributes_takes_the_systems_defaults)
{
	struct mq_attr attr;
	mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT, 0600, NULL);

	CHECK_OK(q);
	CHECK_OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_maxmsg, default_of("msg_default", 10));
	CHECK_EQ(attr.mq_msgsize, default_of("msgsize_default", 8192));
	drop_queue(q);
}

static void refuse_attr(long depth, long size)
{
	struct mq_attr attr = {.mq_maxmsg = depth, .mq_msgsize = size};

	CHECK_ERR(mq_open(test_name(), O_RDWR | O_CREAT, 0600, &attr), EINVAL);
	CHECK_ERR(mq_open(test_name(), O_RDWR), ENOENT);
}

TEST(open_with_attributes_that_are_not_positive_is_einval_and_makes_nothing)
{
	refuse_attr(0, 0);
	refuse_attr(0, 10);
	refuse_attr(10, 0);
	refuse_attr(-1, 10);
	refuse_attr(10, -1);
	refuse_attr(-10, -10);
}

TEST(open_ignores_the_flags_and_the_count_in_the_attributes)
{
	struct mq_attr attr = {
		.mq_flags = O_NONBLOCK, .mq_maxmsg = 2, .mq_msgsize = 8, .mq_curmsgs = 77};
	mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT, 0600, &attr);

	CHECK_OK(q);
	CHECK_OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_flags, 0);
	CHECK_EQ(attr.mq_curmsgs, 0);
	drop_queue(q);
}

TEST(open_with_nonblock_sets_the_flag)
{
	struct mq_attr attr;
	mqd_t q = mq_open(test_name(), O_RDWR | O_CREAT | O_NONBLOCK, 0600, NULL);

	CHECK_OK(q);
	CHECK_OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_flags, O_NONBLOCK);
	drop_queue(q);
}

TEST(open_twice_gives_two_descriptions_with_their_own_flag)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t other = open_queue(O_RDWR | O_NONBLOCK);
	struct mq_attr attr;

	CHECK(q != other);
	CHECK_OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_flags, 0);
	CHECK_OK(mq_getattr(other, &attr));
	CHECK_EQ(attr.mq_flags, O_NONBLOCK);
	CHECK_OK(mq_close(other));
	drop_queue(q);
}

TEST(open_with_an_access_mode_that_does_not_exist_is_einval)
{
	mqd_t q = make_queue(1, SMALL);

	CHECK_ERR(mq_open(test_name(), O_RDWR | O_WRONLY), EINVAL);
	drop_queue(q);
}

/* ---- names ---- */

TEST(name_without_a_leading_slash_is_einval)
{
	CHECK_ERR(mq_open("posthaste-test-noslash", O_RDWR | O_CREAT, 0600, NULL), EINVAL);
	CHECK_ERR(mq_open("", O_RDWR | O_CREAT, 0600, NULL), EINVAL);
	CHECK_ERR(mq_unlink("posthaste-test-noslash"), EINVAL);
}

TEST(name_with_a_second_slash_is_eacces)
{
	CHECK_ERR(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	CHECK_ERR(mq_open("/a/", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	CHECK_ERR(mq_open("//a", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	CHECK_ERR(mq_open("/../a", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	CHECK_ERR(mq_open("/a/b", O_RDWR), EACCES);
}

TEST(name_of_a_slash_alone_is_enoent)
{
	CHECK_ERR(mq_open("/", O_RDWR), ENOENT);
	CHECK_ERR(mq_open("/", O_RDWR | O_CREAT, 0600, NULL), ENOENT);
	CHECK_ERR(mq_unlink("/"), ENOENT);
}

TEST(name_dot_and_dot_dot_are_eacces)
{
	CHECK_ERR(mq_open("/.", O_RDWR | O_CREAT, 0600, NULL), EACCES);
	CHECK_ERR(mq_open("/..", O_RDWR | O_CREAT, 0600, NULL), EACCES);
}

// A slash and `bytes` more, of which the first are this test's own.
static const char *long_name(size_t bytes)
{
	static char name[512];
	size_t used = strlen(test_name());

	memset(name, 'n', sizeof(name));
	memcpy(name, test_name(), used);
	name[bytes + 1] = 0;
	return name;
}

TEST(name_of_name_max_bytes_works)
{
	const char *name = long_name(NAME_MAX);
	mqd_t q = make_named(name, 1, SMALL);
	mqd_t other = mq_open(name, O_RDWR);

	CHECK_OK(other);
	put(q, "long", 0);
	expect(other, "long", 0);
	CHECK_ERR(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
	CHECK_OK(mq_close(other));
	CHECK_OK(mq_close(q));
	CHECK_OK(mq_unlink(name));
	CHECK_ERR(mq_open(name, O_RDWR), ENOENT);
}

TEST(names_that_differ_in_the_last_of_name_max_bytes_are_two_queues)
{
	char one[NAME_MAX + 2];
	char two[NAME_MAX + 2];

	strcpy(one, long_name(NAME_MAX));
	strcpy(two, one);
	two[NAME_MAX] = 'x';
	mqd_t p = make_named(one, 1, SMALL);
	mqd_t q = make_named(two, 1, SMALL);
	put(p, "one", 0);
	CHECK_EQ(current(q), 0);
	CHECK_OK(mq_close(p));
	CHECK_OK(mq_close(q));
	CHECK_OK(mq_unlink(one));
	CHECK_OK(mq_unlink(two));
}

TEST(name_of_more_than_name_max_bytes_is_enametoolong)
{
	CHECK_ERR(mq_open(long_name(NAME_MAX + 1), O_RDWR), ENAMETOOLONG);
	CHECK_ERR(mq_open(long_name(NAME_MAX + 1), O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
	CHECK_ERR(mq_open(long_name(NAME_MAX + 200), O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
	CHECK_ERR(mq_unlink(long_name(NAME_MAX + 1)), ENAMETOOLONG);
}

TEST(name_may_hold_any_byte_but_slash_and_zero)
{
	char name[128];

	snprintf(name, sizeof(name), "%s \n%%s*?'\"\\.\x01\xc3\xa4\xff~", test_name());
	mqd_t q = make_named(name, 1, SMALL);
	put(q, "odd", 0);
	expect(q, "odd", 0);
	CHECK_OK(mq_close(q));
	CHECK_OK(mq_unlink(name));
}

TEST(name_may_begin_with_dots)
{
	char name[128];

	snprintf(name, sizeof(name), "/...%s", test_name() + 1);
	mqd_t q = make_named(name, 1, SMALL);
	put(q, "dots", 0);
	expect(q, "dots", 0);
	CHECK_OK(mq_close(q));
	CHECK_OK(mq_unlink(name));
}

/* ---- descriptors ---- */

TEST(descriptor_is_closed_on_exec_by_flag)
{
	mqd_t q = make_queue(1, SMALL);

	CHECK_EQ(fcntl(q, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	drop_queue(q);
	q = mq_open(test_name(), O_RDWR | O_CREAT | O_CLOEXEC, 0600, NULL);
	CHECK_EQ(fcntl(q, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	drop_queue(q);
}

TEST(close_of_what_is_not_open_is_ebadf)
{
	mqd_t q = make_queue(1, SMALL);

	CHECK_ERR(mq_close(-1), EBADF);
	drop_queue(q);
	CHECK_ERR(mq_close(q), EBADF);
}

TEST(calls_on_a_closed_descriptor_are_ebadf)
{
	mqd_t q = make_queue(1, SMALL);
	struct mq_attr attr = {0};
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	char buf[SMALL];

	drop_queue(q);
	CHECK_ERR(mq_send(q, "x", 1, 0), EBADF);
	CHECK_ERR(mq_receive(q, buf, sizeof(buf), NULL), EBADF);
	CHECK_ERR(mq_getattr(q, &attr), EBADF);
	CHECK_ERR(mq_setattr(q, &attr, NULL), EBADF);
	CHECK_ERR(mq_notify(q, &event), EBADF);
	CHECK_ERR(mq_notify(q, NULL), EBADF);
}

TEST(calls_on_a_descriptor_that_is_no_queue_are_ebadf)
{
	int fds[2];
	char buf[SMALL];
	struct mq_attr attr = {0};
	struct sigevent event = {.sigev_notify = SIGEV_NONE};

	CHECK_OK(pipe(fds));
	CHECK_ERR(mq_send(fds[1], "x", 1, 0), EBADF);
	CHECK_ERR(mq_receive(fds[0], buf, sizeof(buf), NULL), EBADF);
	CHECK_ERR(mq_getattr(fds[0], &attr), EBADF);
	CHECK_ERR(mq_setattr(fds[0], &attr, NULL), EBADF);
	CHECK_ERR(mq_notify(fds[0], &event), EBADF);
	CHECK_OK(close(fds[0]));
	CHECK_OK(close(fds[1]));
}

TEST(calls_on_a_number_out_of_range_are_ebadf)
{
	struct mq_attr attr = {0};
	const mqd_t bad[] = {-1, -2, 1 << 20, 0x7fffffff, (mqd_t)0x80000000};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_ERR(mq_getattr(bad[i], &attr), EBADF);
		CHECK_ERR(mq_send(bad[i], "x", 1, 0), EBADF);
		CHECK_ERR(mq_close(bad[i]), EBADF);
	}
}

// A number that was a queue and is now an ordinary file must not reach the queue.
TEST(descriptor_number_reused_by_another_file_is_not_a_queue)
{
	mqd_t q = make_queue(1, SMALL);
	int fds[2];

	drop_queue(q);
	CHECK_OK(pipe(fds));
	CHECK(fds[0] == q || fds[1] == q);
	CHECK_ERR(mq_send(q, "x", 1, 0), EBADF);
	CHECK_OK(close(fds[0]));
	CHECK_OK(close(fds[1]));
}

static mqd_t open_without_room(int oflag)
{
	struct rlimit old;
	struct rlimit tight;
	int next = dup(0);

	CHECK_OK(next);
	CHECK_OK(close(next));
	CHECK_OK(getrlimit(RLIMIT_NOFILE, &old));
	tight = old;
	tight.rlim_cur = (rlim_t)next;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &tight));
	mqd_t q = mq_open(test_name(), oflag, 0600, NULL);
	int error = errno;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &old));
	errno = error;
	return q;
}

TEST(open_without_a_free_descriptor_is_emfile_and_makes_nothing)
{
	CHECK_ERR(open_without_room(O_RDWR | O_CREAT), EMFILE);
	CHECK_ERR(mq_open(test_name(), O_RDWR), ENOENT);
	mqd_t q = make_queue(1, SMALL);
	CHECK_ERR(open_without_room(O_RDWR), EMFILE);
	put(q, "works", 0);
	expect(q, "works", 0);
	drop_queue(q);
}

TEST(open_and_close_many_times_leaves_no_descriptor)
{
	mqd_t q = make_queue(1, SMALL);
	mqd_t first = open_queue(O_RDWR);

	CHECK_OK(mq_close(first));
	for (int i = 0; i < 500; i++) {
		mqd_t again = open_queue(O_RDWR);
		CHECK_EQ(again, first);
		CHECK_OK(mq_close(again));
	}
	drop_queue(q);
}

TEST(one_process_holds_many_queues_at_once)
{
	enum { MANY = 60 };
	mqd_t q[MANY];
	char name[MANY][128];

	for (int i = 0; i < MANY; i++) {
		snprintf(name[i], sizeof(name[i]), "%s-%d", test_name(), i);
		q[i] = make_named(name[i], 2, SMALL);
		put_number(q[i], (uint64_t)i, 0);
	}
	for (int i = 0; i < MANY; i++) {
		CHECK_EQ(take_number(q[i]), i);
		CHECK_OK(mq_close(q[i]));
		CHECK_OK(mq_unlink(name[i]));
	}
}
