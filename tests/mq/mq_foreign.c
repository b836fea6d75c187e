// SPDX-License-Identifier: MIT
//
// tests/mq/mq_foreign.c - what else may stand in the namespace directory under a queue's name: links, other
// kinds of files, files of another content. All of it is refused, quickly and without harm to it.
#include <posthaste/posix.h>

#include "queue.h"

#include <sys/socket.h>
#include <sys/un.h>

static const char *path_of_queue(void)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/mq.%s", getenv("POSTHASTE_DIR"), test_name() + 1);
	return path;
}

static const char *path_of(const char *file)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", getenv("POSTHASTE_DIR"), file);
	return path;
}

static void expect_refused(int error)
{
	struct ph_mq_info info;

	CHECK_ERR(mq_open(test_name(), O_RDWR), error);
	CHECK_ERR(mq_open(test_name(), O_RDONLY), error);
	CHECK_ERR(mq_open(test_name(), O_WRONLY | O_NONBLOCK), error);
	CHECK_ERR(mq_open(test_name(), O_RDWR | O_CREAT, 0600, NULL), error);
	CHECK_ERR(ph_mq_info(test_name(), &info), error);
}

static void write_file(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	CHECK_OK(fd);
	CHECK_EQ(write(fd, data, size), size);
	CHECK_OK(close(fd));
}

TEST(file_of_a_queue_is_mq_dot_its_name)
{
	mqd_t q = make_queue(1, SMALL);
	struct stat st;

	CHECK_OK(lstat(path_of_queue(), &st));
	CHECK(S_ISREG(st.st_mode));
	CHECK_OK(unlink(path_of_queue()));
	CHECK_ERR(mq_unlink(test_name()), ENOENT);
	CHECK_OK(mq_close(q));
}

TEST(empty_file_is_refused)
{
	write_file(path_of_queue(), "", 0);
	expect_refused(EBADMSG);
	CHECK_OK(unlink(path_of_queue()));
}

TEST(file_with_text_is_refused_and_left_alone)
{
	const char text[] = "not a queue, but somebody's text\n";
	char back[sizeof(text)];

	write_file(path_of_queue(), text, sizeof(text));
	expect_refused(EBADMSG);
	int fd = open(path_of_queue(), O_RDONLY | O_CLOEXEC);
	CHECK_EQ(read(fd, back, sizeof(back)), sizeof(text));
	CHECK(memcmp(back, text, sizeof(text)) == 0);
	CHECK_OK(close(fd));
	CHECK_OK(unlink(path_of_queue()));
}

TEST(large_file_of_any_content_is_refused)
{
	enum { SIZE = 1 << 20 };
	char *data = malloc(SIZE);
	unsigned seed = 1;

	CHECK(data != NULL);
	for (int fill = 0; fill < 3; fill++) {
		for (int i = 0; i < SIZE; i++)
			data[i] = fill == 0 ? 0 : fill == 1 ? (char)0xff : (char)rand_r(&seed);
		write_file(path_of_queue(), data, SIZE);
		expect_refused(EBADMSG);
	}
	free(data);
	CHECK_OK(unlink(path_of_queue()));
}

// A queue's file, cut to any length, is refused; whole again, it works.
TEST(truncated_queue_is_refused)
{
	mqd_t q = make_queue(4, SMALL);
	struct stat st;

	put(q, "kept", 0);
	CHECK_OK(mq_close(q));
	CHECK_OK(stat(path_of_queue(), &st));
	char *whole = malloc((size_t)st.st_size);
	CHECK(whole != NULL);
	int fd = open(path_of_queue(), O_RDONLY | O_CLOEXEC);
	CHECK_EQ(read(fd, whole, (size_t)st.st_size), st.st_size);
	CHECK_OK(close(fd));
	for (off_t cut = st.st_size - 1; cut > 0; cut = cut > 4096 ? cut - 4096 : cut / 2) {
		CHECK_OK(truncate(path_of_queue(), cut));
		expect_refused(EBADMSG);
	}
	write_file(path_of_queue(), whole, (size_t)st.st_size);
	q = open_queue(O_RDWR);
	expect(q, "kept", 0);
	free(whole);
	drop_queue(q);
}

TEST(directory_is_refused)
{
	CHECK_OK(mkdir(path_of_queue(), 0700));
	expect_refused(EBADMSG);
	CHECK_OK(rmdir(path_of_queue()));
}

TEST(fifo_is_refused_without_blocking)
{
	CHECK_OK(mkfifo(path_of_queue(), 0600));
	expect_refused(EBADMSG);
	CHECK_OK(unlink(path_of_queue()));
}

TEST(socket_is_refused)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK_OK(fd);
	CHECK(strlen(path_of_queue()) < sizeof(addr.sun_path));
	strcpy(addr.sun_path, path_of_queue());
	CHECK_OK(bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	expect_refused(EBADMSG);
	CHECK_OK(close(fd));
	CHECK_OK(unlink(path_of_queue()));
}

TEST(device_is_refused)
{
	if (mknod(path_of_queue(), S_IFCHR | 0600, 0x103) == -1)
		SKIP("needs the privilege to make a device");
	expect_refused(EBADMSG);
	CHECK_OK(unlink(path_of_queue()));
}

TEST(existing_file_of_any_kind_is_eexist_for_exclusive_creation)
{
	write_file(path_of_queue(), "x", 1);
	CHECK_ERR(mq_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
	CHECK_OK(unlink(path_of_queue()));
	CHECK_OK(symlink("nowhere", path_of_queue()));
	CHECK_ERR(mq_open(test_name(), O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
	CHECK_OK(unlink(path_of_queue()));
}

TEST(symbolic_link_to_a_queue_is_refused)
{
	mqd_t q = make_queue(1, SMALL);

	CHECK_OK(rename(path_of_queue(), path_of("real")));
	CHECK_OK(symlink("real", path_of_queue()));
	expect_refused(ELOOP);
	CHECK_OK(unlink(path_of_queue()));
	CHECK_OK(unlink(path_of("real")));
	CHECK_OK(mq_close(q));
}

TEST(symbolic_link_to_nothing_is_refused_and_makes_nothing)
{
	struct stat st;

	CHECK_OK(symlink("target", path_of_queue()));
	expect_refused(ELOOP);
	CHECK_ERR(stat(path_of("target"), &st), ENOENT);
	CHECK_OK(unlink(path_of_queue()));
}

TEST(queue_of_another_layout_is_refused)
{
	mqd_t q = make_queue(1, SMALL);
	uint32_t head[16];

	CHECK_OK(mq_close(q));
	int fd = open(path_of_queue(), O_RDWR | O_CLOEXEC);
	CHECK_OK(fd);
	CHECK_EQ(pread(fd, head, sizeof(head), 0), sizeof(head));
	// Whatever the first words of the stamp mean, none may be another value.
	for (int i = 0; i < 2; i++) {
		uint32_t changed = head[i] ^ 0x01010101;
		CHECK_EQ(pwrite(fd, &changed, 4, i * 4), 4);
		expect_refused(EBADMSG);
		CHECK_EQ(pwrite(fd, &head[i], 4, i * 4), 4);
	}
	CHECK_OK(close(fd));
	q = open_queue(O_RDWR);
	drop_queue(q);
}

static void use_a_copy(void *arg)
{
	(void)arg;
	mqd_t q = open_queue(O_RDWR);
	expect(q, "copied", 0);
	put(q, "works", 1);
	expect(q, "works", 1);
}

// cp of an idle queue's file is a queue of its own.
TEST(copy_of_an_idle_queue_is_a_queue)
{
	mqd_t q = make_queue(2, SMALL);
	struct stat st;

	put(q, "copied", 0);
	CHECK_OK(mq_close(q));
	CHECK_OK(stat(path_of_queue(), &st));
	char *whole = malloc((size_t)st.st_size);
	CHECK(whole != NULL);
	int fd = open(path_of_queue(), O_RDONLY | O_CLOEXEC);
	CHECK_EQ(read(fd, whole, (size_t)st.st_size), st.st_size);
	CHECK_OK(close(fd));
	CHECK_OK(mq_unlink(test_name()));
	write_file(path_of_queue(), whole, (size_t)st.st_size);
	free(whole);
	test_join(test_fork(use_a_copy, NULL));
	CHECK_OK(mq_unlink(test_name()));
}
