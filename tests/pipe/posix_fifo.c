// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_fifo.c - FIFOs as files: making them, permissions, unlink and rename while open, the bytes
// that are gone when all have closed. Opening is in posix_fifo_open.c, many processes in posix_fifo_flow.c.
#include "fifo.h"

/* ---- the name ---- */

static mode_t mode_of(const char *path)
{
	struct stat st;

	CHECK_OK(stat(path, &st));
	CHECK(S_ISFIFO(st.st_mode));
	return st.st_mode & 07777;
}

TEST(mkfifo_makes_a_fifo_under_the_umask)
{
	make_dir();
	umask(027);
	CHECK_OK(mkfifo(in_dir("a"), 0666));
	CHECK_EQ(mode_of(in_dir("a")), 0640);
	umask(0);
	CHECK_OK(mkfifo(in_dir("b"), 0666));
	CHECK_EQ(mode_of(in_dir("b")), 0666);
	CHECK_OK(unlink(in_dir("a")));
	CHECK_OK(unlink(in_dir("b")));
	drop_dir();
}

TEST(ls_shows_a_p)
{
	char command[PATH_MAX + 10], line[100] = "";

	make_fifo();
	snprintf(command, sizeof(command), "ls -l %s", fifo_path);
	FILE *ls = popen(command, "r");
	CHECK(ls != NULL);
	CHECK(fgets(line, sizeof(line), ls) != NULL);
	CHECK_EQ(pclose(ls), 0);
	CHECK(strncmp(line, "prw-------", 10) == 0);
	drop_fifo();
}

TEST(mkfifoat_and_mknod_make_the_same)
{
	struct stat st;

	make_dir();
	int dir = (int)CHECK_OK(open(fifo_dir, O_RDONLY | O_DIRECTORY));
	CHECK_OK(mkfifoat(dir, "fifo", 0600));
	CHECK_EQ(mode_of(fifo_path), 0600);
	CHECK_OK(mkfifoat(AT_FDCWD, in_dir("b"), 0600));
	CHECK_OK(mknod(in_dir("c"), S_IFIFO | 0640, 0));
	CHECK_EQ(mode_of(in_dir("c")), 0640);
	CHECK_OK(mknod(in_dir("d"), S_IFREG | 0600, 0));
	CHECK_OK(stat(in_dir("d"), &st));
	CHECK(S_ISREG(st.st_mode));
	for (const char *name = "bcd"; *name; name++)
		CHECK_OK(unlink(in_dir((char[]){*name, 0})));
	CHECK_OK(close(dir));
	drop_fifo();
}

TEST(making_is_refused)
{
	make_fifo();
	CHECK_ERR(mkfifo(fifo_path, 0600), EEXIST);
	CHECK_ERR(mknod(fifo_path, S_IFIFO | 0600, 0), EEXIST);
	CHECK_ERR(mkfifo(in_dir("missing/fifo"), 0600), ENOENT);
	CHECK_ERR(mkfifo(in_dir("fifo/below"), 0600), ENOTDIR);
	CHECK_ERR(mkfifoat(-5, "relative", 0600), EBADF);
	drop_fifo();
}

TEST(fstat_is_the_files)
{
	int p[2];
	struct stat name, r, w;

	make_fifo();
	open_both(p);
	CHECK_OK(stat(fifo_path, &name));
	CHECK_OK(fstat(p[R], &r));
	CHECK_OK(fstat(p[W], &w));
	CHECK(S_ISFIFO(r.st_mode) && r.st_ino == name.st_ino && r.st_dev == name.st_dev);
	CHECK(w.st_ino == name.st_ino);
	CHECK_OK(chmod(fifo_path, 0644));
	CHECK_OK(fstat(p[R], &r));
	CHECK_EQ(r.st_mode & 07777, 0644);
	drop_pipe(p);
	drop_fifo();
}

TEST(fifo_has_a_pipes_size_and_count)
{
	int p[2];

	make_fifo();
	open_both(p);
	CHECK_EQ(capacity(p[R]), 65536);
	CHECK_EQ(fcntl(p[W], F_SETPIPE_SZ, 131072), 131072);
	CHECK_EQ(fill_up(p[W], 1024, 0), 131072);
	CHECK_EQ(available(p[R]), 131072);
	take_chunk(p[R], 131072, 0);
	drop_pipe(p);
	open_both(p);
	CHECK_EQ(capacity(p[R]), 65536);
	drop_pipe(p);
	drop_fifo();
}

/* ---- unlink, rename, several ---- */

TEST(unlinked_fifo_goes_on_for_those_who_have_it)
{
	int p[2], count = FLOW;

	make_fifo();
	open_both(p);
	CHECK_OK(unlink(fifo_path));
	put(p[W], "x");
	expect(p[R], "x");
	flow_from_child(p, FLOW);
	CHECK_ERR(open(fifo_path, O_RDONLY), ENOENT);
	// Another one of the same name has nothing to do with the first.
	CHECK_OK(mkfifo(fifo_path, 0600));
	pid_t pid = test_fork(write_flow_by_name, &count);
	int in = open_fifo(O_RDONLY);
	put(p[W], "old");
	take_flow(in, 0, FLOW);
	expect_eof(in);
	expect(p[R], "old");
	test_join(pid);
	CHECK_OK(close(in));
	drop_pipe(p);
	drop_fifo();
}

TEST(renamed_fifo_is_the_same)
{
	int p[2];

	make_fifo();
	open_both(p);
	flow_from_child(p, FLOW);
	put(p[W], "kept");
	CHECK_OK(rename(fifo_path, in_dir("elsewhere")));
	int in = (int)CHECK_OK(open(in_dir("elsewhere"), O_RDONLY));
	expect(in, "kept");
	CHECK_OK(rename(in_dir("elsewhere"), fifo_path));
	CHECK_OK(close(in));
	drop_pipe(p);
	drop_fifo();
}

TEST(two_fifos_are_two)
{
	int p[2], q[2];
	char first[PATH_MAX];

	make_fifo();
	strcpy(first, fifo_path);
	open_both(p);
	strcpy(fifo_path, in_dir("second"));
	CHECK_OK(mkfifo(fifo_path, 0600));
	open_both(q);
	for (int i = 0; i < 3; i++) {
		put(p[W], "first");
		put(q[W], "second");
		expect(q[R], "second");
		expect(p[R], "first");
		flow_from_child(p, FLOW);
		flow_from_child(q, FLOW);
	}
	drop_pipe(p);
	drop_pipe(q);
	CHECK_OK(unlink(first));
	drop_fifo();
}

/* ---- when all have closed ---- */

TEST(bytes_are_gone_when_all_have_closed)
{
	int p[2];

	make_fifo();
	for (int i = 0; i < 20; i++) {
		open_both(p);
		expect_empty(p[R]);
		flow_from_child(p, SHORT_FLOW);
		put(p[W], "nobody reads this");
		CHECK_EQ(available(p[R]), 17);
		drop_pipe(p);
	}
	drop_fifo();
}

static void write_and_leave_unread(void *arg)
{
	int fd = open_fifo(O_WRONLY);

	(void)arg;
	send_flow(fd, 0, SHORT_FLOW + 500);
}

static void read_most(void *arg)
{
	int fd = open_fifo(O_RDONLY);

	(void)arg;
	take_flow(fd, 0, SHORT_FLOW);
}

// Both ends in processes that end without reading to the end: the next two start afresh.
TEST(what_two_processes_left_unread_is_not_there_for_the_next_two)
{
	make_fifo();
	for (int i = 0; i < 50; i++) {
		pid_t writer = test_fork(write_and_leave_unread, NULL);
		pid_t reader = test_fork(read_most, NULL);
		int status;
		test_join(reader);
		CHECK_EQ(waitpid(writer, &status, 0), writer);
		CHECK(status == 0 || WTERMSIG(status) == SIGPIPE);
	}
	drop_fifo();
}

TEST(bytes_stay_while_anybody_has_it_open)
{
	int p[2];

	make_fifo();
	open_both(p);
	put(p[W], "kept");
	CHECK_OK(close(p[W]));
	int out = open_fifo(O_WRONLY);
	put(out, " more");
	expect(p[R], "kept more");
	CHECK_OK(close(out));
	expect_eof(p[R]);
	CHECK_OK(close(p[R]));
	drop_fifo();
}

// A reader that has seen the end of file sees bytes again when a new writer comes.
TEST(end_of_file_is_over_when_a_new_writer_comes)
{
	make_fifo();
	int in = open_fifo(O_RDONLY | O_NONBLOCK);
	set_nonblock(in, false);
	for (int i = 0; i < 20; i++) {
		int count = SHORT_FLOW;
		expect_eof(in);
		pid_t pid = test_fork(write_flow_by_name, &count);
		wait_available(in, 8);
		take_flow(in, 0, SHORT_FLOW);
		expect_eof(in);
		test_join(pid);
	}
	expect_eof(in);
	CHECK_OK(close(in));
	drop_fifo();
}

/* ---- other users ---- */

static void be_refused(void *arg)
{
	(void)arg;
	become_nobody();
	CHECK_ERR(open(fifo_path, O_RDONLY), EACCES);
	CHECK_ERR(open(fifo_path, O_WRONLY), EACCES);
	CHECK_ERR(open(fifo_path, O_RDWR), EACCES);
	CHECK_ERR(mkfifo(in_dir("mine"), 0600), EACCES);
}

static void write_only_as_nobody(void *arg)
{
	become_nobody();
	CHECK_ERR(open(fifo_path, O_RDONLY), EACCES);
	CHECK_ERR(open(fifo_path, O_RDWR), EACCES);
	write_flow_by_name(arg);
}

static void read_only_as_nobody(void *arg)
{
	become_nobody();
	CHECK_ERR(open(fifo_path, O_WRONLY), EACCES);
	read_flow_by_name(arg);
}

static void both_as_nobody(void *arg)
{
	become_nobody();
	pid_t pid = test_fork(write_flow_by_name, arg);
	read_flow_by_name(arg);
	test_join(pid);
}

TEST(mode_decides_who_may_read_and_who_may_write)
{
	int count = FLOW;

	if (geteuid() != 0)
		SKIP("only root can become somebody else");
	make_fifo();
	test_join(test_fork(be_refused, NULL));

	CHECK_OK(chmod(fifo_path, 0602));
	pid_t pid = test_fork(write_only_as_nobody, &count);
	int fd = open_fifo(O_RDONLY);
	take_flow(fd, 0, FLOW);
	expect_eof(fd);
	CHECK_OK(close(fd));
	test_join(pid);

	CHECK_OK(chmod(fifo_path, 0604));
	pid = test_fork(read_only_as_nobody, &count);
	fd = open_fifo(O_WRONLY);
	send_flow(fd, 0, FLOW);
	CHECK_OK(close(fd));
	test_join(pid);

	CHECK_OK(chmod(fifo_path, 0606));
	test_join(test_fork(both_as_nobody, &count));
	drop_fifo();
}
