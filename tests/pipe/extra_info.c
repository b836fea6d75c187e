// SPDX-License-Identifier: MIT
//
// tests/pipe/extra_info.c - what ph_pipe_info shows from outside, and that two processes that run do use
// the ring.
#include <posthaste/posix.h>

#include "flow.h"

#include <poll.h>
#include <sched.h>

static struct ph_pipe_info info(int fd)
{
	struct ph_pipe_info i;

	memset(&i, 0x5a, sizeof(i));
	CHECK_OK(ph_pipe_info(fd, &i));
	return i;
}

static void need_two_cpus(void)
{
	cpu_set_t set;

	CHECK_OK(sched_getaffinity(0, sizeof(set), &set));
	if (CPU_COUNT(&set) < 2)
		SKIP("two processes cannot run at the same time");
}

// A pipe in full flow: a child writes a pattern, and this process has read up to `at`. Here the ring must be
// in use: on a machine whose CPUs are busy it may take some time.
struct flow {
	struct ends e;
	struct party p;
	pid_t writer;
	uint64_t at;
};

static void start_flow(struct flow *f)
{
	need_two_cpus();
	*f = (struct flow){.e = make_pipe()};
	f->p = (struct party){.ends = f->e, .until = make_until(), .most = 200};
	f->writer = test_fork(be_endless_writer, &f->p);
	CHECK_OK(close(f->e.w));
	const int64_t until = now_ms() + 60000;
	while (through_ring(f->e.r) < 256 * KIB) {
		CHECK(now_ms() < until);
		f->at = read_pattern_until_warm(f->e.r, f->at);
	}
}

static void end_flow(struct flow *f)
{
	atomic_store(f->p.until, f->at + MIB);
	read_pattern(f->e.r, f->at, f->at + MIB);
	expect_end(f->e.r);
	test_join(f->writer);
	CHECK_OK(close(f->e.r));
}

TEST(two_processes_that_run_use_the_ring)
{
	struct flow f;

	start_flow(&f);
	end_flow(&f);
}

TEST(info_of_what_has_no_ring)
{
	struct ends e = make_pipe();
	struct ph_pipe_info i = {.ring_size = 77};
	const int file = make_catch();

	CHECK_ERR(ph_pipe_info(e.r, &i), ENOENT);
	CHECK_ERR(ph_pipe_info(e.w, &i), ENOENT);
	CHECK_ERR(ph_pipe_info(file, &i), EBADF);
	CHECK_ERR(ph_pipe_info(-1, &i), EBADF);
	CHECK_ERR(ph_pipe_info_file("pipe.1", &i), ENOENT);
	CHECK_EQ(i.ring_size, 77);
	CHECK_OK(close(file));
	drop_pipe(e);
}

TEST(info_says_what_a_pipe_is)
{
	const time_t before = time(NULL);
	struct flow f;
	struct stat st;

	start_flow(&f);
	CHECK_OK(fstat(f.e.r, &st));
	const struct ph_pipe_info i = info(f.e.r);
	CHECK(strcmp(i.name, text_of("pipe:[%llu]", (long long)st.st_ino)) == 0);
	CHECK_EQ(i.device, st.st_dev);
	CHECK_EQ(i.inode, st.st_ino);
	CHECK_EQ(i.ring_size, fcntl(f.e.r, F_GETPIPE_SZ));
	CHECK(i.ring_bytes <= i.ring_size);
	CHECK(i.created_s >= before && i.created_s <= time(NULL));
	CHECK(i.creator == getpid() || i.creator == f.writer);
	CHECK_EQ(i.attached, 1);
	CHECK_EQ(i.damaged, 0);
	CHECK_EQ(i.polled, 0);
	CHECK_EQ(i.foreign, 0);
	CHECK_EQ(i.last_reader, getpid());
	CHECK_EQ(i.last_writer, f.writer);
	CHECK_EQ(i.uid, geteuid());
	CHECK_EQ(i.gid, getegid());
	end_flow(&f);
}

TEST(info_by_the_name_of_the_file_says_the_same)
{
	struct flow f;
	struct stat st;
	struct ph_pipe_info by_file;

	start_flow(&f);
	CHECK_OK(fstat(f.e.r, &st));
	CHECK_OK(ph_pipe_info_file(text_of("pipe.%llu", (long long)st.st_ino), &by_file));
	const struct ph_pipe_info i = info(f.e.r);
	CHECK(strcmp(i.name, by_file.name) == 0);
	CHECK_EQ(i.inode, by_file.inode);
	CHECK_EQ(i.device, by_file.device);
	CHECK_EQ(i.creator, by_file.creator);
	CHECK_EQ(i.created_s, by_file.created_s);
	CHECK(i.through_ring >= by_file.through_ring);
	end_flow(&f);
}

TEST(info_is_never_absurd_in_full_flow)
{
	struct flow f;
	struct ph_pipe_info last;
	uint64_t looks = 0;

	start_flow(&f);
	last = info(f.e.r);
	for (; looks < 20000; looks++) {
		const struct ph_pipe_info i = info(f.e.r);
		CHECK(i.through_ring >= last.through_ring);
		CHECK(i.ring_bytes <= i.ring_size);
		CHECK_EQ(i.damaged, 0);
		CHECK(i.reader == 0 || i.reader == gettid());
		last = i;
		if (looks % 4 == 0) {
			read_pattern(f.e.r, f.at, f.at + 700);
			f.at += 700;
		}
	}
	end_flow(&f);
}

static bool sealed(void *arg)
{
	const struct ph_pipe_info i = info(*(int *)arg);

	return !i.in_ring && i.reader == 0;
}

// A reader that reads no more leaves a full ring; after a while the writer goes on in the kernel's pipe.
TEST(info_shows_that_an_idle_readers_ring_is_left)
{
	struct flow f;

	start_flow(&f);
	test_wait_until(sealed, &f.e.r);
	end_flow(&f);
}

TEST(info_shows_that_somebody_polls)
{
	struct flow f;

	start_flow(&f);
	struct pollfd p = {.fd = f.e.r, .events = POLLIN};
	CHECK_EQ(poll(&p, 1, -1), 1);
	const struct ph_pipe_info i = info(f.e.r);
	CHECK_EQ(i.polled, 1);
	CHECK_EQ(i.in_ring, 0);
	end_flow(&f);
}

TEST(info_shows_that_a_stranger_was_started_with_the_pipe)
{
	struct flow f;

	start_flow(&f);
	test_join(START(f.e.r, -1, "true"));
	CHECK_EQ(info(f.e.r).foreign, 1);
	CHECK_EQ(info(f.e.r).in_ring, 0);
	end_flow(&f);
}

static void read_line_by_line(void *arg)
{
	const struct party *p = arg;
	char buf[100];

	CHECK_OK(close(p->ends.w));
	while (read(p->ends.r, buf, sizeof(buf)) > 0)
		;
	CHECK_OK(close(p->ends.r));
}

static bool one_is_asleep(void *arg)
{
	struct ph_pipe_info i;

	return ph_pipe_info(*(int *)arg, &i) == 0 && i.readers_asleep == 1;
}

TEST(info_shows_a_sleeping_reader)
{
	need_two_cpus();
	struct ends e = make_pipe();
	struct party p = {.ends = e};
	struct warming warm = {0};
	pid_t pid = test_fork(read_line_by_line, &p);

	CHECK_OK(close(e.r));
	while (!is_warm(&warm, e.w))
		CHECK(write_line(write, e.w, 1));
	test_wait_until(one_is_asleep, &e.w);
	CHECK_EQ(info(e.w).in_ring, 0);
	CHECK_OK(close(e.w));
	test_join(pid);
}

TEST(info_of_a_fifo_has_its_path)
{
	const char *path = place("fifo");
	struct ph_pipe_info i;
	struct stat st;

	CHECK_OK(mkfifo(path, 0640));
	const int fd = (int)CHECK_OK(open(path, O_RDWR | O_CLOEXEC));
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_OK(fstat(fd, &st));
	i = info(fd);
	CHECK(strcmp(i.name, path) == 0);
	CHECK_EQ(i.inode, st.st_ino);
	CHECK_EQ(i.device, st.st_dev);
	CHECK_EQ(i.attached, 1);
	CHECK_OK(close(fd));
	CHECK_ERR(ph_pipe_info_file(
				  text_of("fifo.%llx.%llu", (long long)st.st_dev, (long long)st.st_ino), &i),
	          ENOENT);
	drop_place("fifo");
	drop_place(NULL);
}

static const char *in_namespace(const char *name)
{
	return text_of("%s/%s", getenv("POSTHASTE_DIR"), name);
}

TEST(info_of_a_file_that_is_no_ring_is_refused)
{
	struct ph_pipe_info i = {.ring_size = 77};
	const int fd = (int)CHECK_OK(open(in_namespace("pipe.77"), O_RDWR | O_CREAT | O_CLOEXEC, 0600));

	CHECK_ERR(ph_pipe_info_file("pipe.77", &i), EBADMSG);
	CHECK_OK(ftruncate(fd, 2 << 20));
	CHECK_ERR(ph_pipe_info_file("pipe.77", &i), EBADMSG);
	CHECK_EQ(i.ring_size, 77);
	CHECK_OK(close(fd));
	CHECK_OK(unlink(in_namespace("pipe.77")));
}
