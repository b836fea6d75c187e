// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_fifo.c - FIFOs as files and as pipes: making them, permissions, unlink while open, the bytes
// that are gone when all have closed, clients that come and go, ends that are killed in full flow.
// Opening has a file of its own, posix_fifo_open.c.
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

/* ---- many ---- */

enum { CLIENTS = 200 };

static void be_client(void *arg)
{
	int fd = open_fifo(O_WRONLY);

	put_number(fd, *(uint64_t *)arg);
}

// The classic server: it holds a write end itself, so that it never sees the end of file.
TEST(server_serves_clients_that_come_and_go)
{
	bool seen[CLIENTS] = {false};
	pid_t pid[CLIENTS];

	make_fifo();
	int in = open_fifo(O_RDONLY | O_NONBLOCK), keep_open = open_fifo(O_WRONLY);
	set_nonblock(in, false);
	for (uint64_t i = 0; i < CLIENTS; i++)
		pid[i] = test_fork(be_client, &i);
	for (int i = 0; i < CLIENTS; i++) {
		const uint64_t number = take_number(in);
		CHECK(number < CLIENTS && !seen[number]);
		seen[number] = true;
	}
	for (int i = 0; i < CLIENTS; i++)
		test_join(pid[i]);
	expect_empty(in);
	CHECK_OK(close(keep_open));
	expect_eof(in);
	CHECK_OK(close(in));
	drop_fifo();
}

enum { WRITERS = 6, EACH = 10000 };

static void write_numbered(void *arg)
{
	const uint64_t writer = *(uint64_t *)arg;
	int fd = open_fifo(O_WRONLY);

	send_flow(fd, writer << 32, EACH);
}

TEST(many_writers_meet_one_reader_by_name)
{
	uint64_t next[WRITERS] = {0}, got;
	pid_t pid[WRITERS];
	ssize_t n;

	make_fifo();
	for (uint64_t i = 0; i < WRITERS; i++)
		pid[i] = test_fork(write_numbered, &i);
	int both = open_fifo(O_RDWR), in = open_fifo(O_RDONLY);
	for (int left = WRITERS * EACH; left; left--) {
		got = take_number(in);
		CHECK(got >> 32 < WRITERS);
		CHECK_EQ(got & UINT32_MAX, next[got >> 32]++);
	}
	for (int i = 0; i < WRITERS; i++)
		test_join(pid[i]);
	CHECK_OK(close(both));
	n = read(in, &got, 8);
	CHECK_EQ(n, 0);
	CHECK_OK(close(in));
	drop_fifo();
}

static void take_increasing(void *arg)
{
	atomic_int *taken = arg;
	int fd = open_fifo(O_RDONLY);
	uint64_t last = 0, got;
	ssize_t n;

	while ((n = read(fd, &got, 8)) != 0) {
		CHECK_EQ(n, 8);
		CHECK(got > last);
		last = got;
		atomic_fetch_add(taken, 1);
	}
}

TEST(many_readers_meet_one_writer_by_name)
{
	atomic_int *taken = share(sizeof(*taken));
	pid_t pid[WRITERS];

	make_fifo();
	for (int i = 0; i < WRITERS; i++)
		pid[i] = test_fork(take_increasing, taken);
	for (int i = 0; i < WRITERS; i++)
		test_wait_asleep(pid[i]);
	int out = open_fifo(O_WRONLY);
	send_flow(out, 1, 2 * FLOW);
	CHECK_OK(close(out));
	for (int i = 0; i < WRITERS; i++)
		test_join(pid[i]);
	CHECK_EQ(atomic_load(taken), 2 * FLOW);
	drop_fifo();
}

/* ---- O_RDWR between processes ---- */

static void answer_by_name(void *arg)
{
	int in = open_fifo(O_RDWR);

	(void)arg;
	strcpy(fifo_path, in_dir("back"));
	int out = open_fifo(O_RDWR);
	for (int i = 0; i < SHORT_FLOW; i++)
		put_number(out, take_number(in) + 1);
}

TEST(question_and_answer_by_two_fifos_opened_for_both)
{
	make_fifo();
	int out = open_fifo(O_RDWR);
	CHECK_OK(mkfifo(in_dir("back"), 0600));
	int in = (int)CHECK_OK(open(in_dir("back"), O_RDWR));
	pid_t pid = test_fork(answer_by_name, NULL);
	for (int i = 0; i < SHORT_FLOW; i++) {
		put_number(out, (uint64_t)i);
		CHECK_EQ(take_number(in), i + 1);
	}
	test_join(pid);
	CHECK_OK(close(in));
	CHECK_OK(close(out));
	CHECK_OK(unlink(in_dir("back")));
	drop_fifo();
}

/* ---- killed in full flow ---- */

static void read_for_ever(void *arg)
{
	int fd = open_fifo(O_RDONLY);

	(void)arg;
	for (;;)
		take_number(fd);
}

TEST(first_write_after_waitpid_of_the_killed_reader_is_epipe)
{
	ignore_sigpipe();
	make_fifo();
	for (int i = 0; i < 50; i++) {
		pid_t pid = test_fork(read_for_ever, NULL);
		int out = open_fifo(O_WRONLY);
		send_flow(out, 0, SHORT_FLOW + i * 7);
		test_kill(pid);
		CHECK_ERR(write(out, "x", 1), EPIPE);
		CHECK_OK(close(out));
	}
	drop_fifo();
}

static void write_for_ever(void *arg)
{
	int fd = open_fifo(O_WRONLY);

	(void)arg;
	for (uint64_t i = 0;; i++)
		put_number(fd, i);
}

TEST(killed_writer_leaves_whole_records_and_the_end_of_file)
{
	make_fifo();
	for (int i = 0; i < 50; i++) {
		pid_t pid = test_fork(write_for_ever, NULL);
		int in = open_fifo(O_RDONLY);
		uint64_t next = SHORT_FLOW + (uint64_t)i * 7, got;
		take_flow(in, 0, (int)next);
		test_kill(pid);
		while (read(in, &got, 8) == 8)
			CHECK_EQ(got, next++);
		expect_eof(in);
		CHECK_OK(close(in));
	}
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
