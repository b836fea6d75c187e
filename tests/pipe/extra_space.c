// SPDX-License-Identifier: MIT
//
// tests/pipe/extra_space.c - what pipes cost and leave behind: nothing before they are used in earnest, nothing
// after the last descriptor is gone; what the killed leave goes with the next use.
#include <posthaste/posix.h>

#include "flow.h"

#include <dirent.h>
#include <sys/resource.h>

static int count_entries(const char *path, const char *prefix)
{
	DIR *dir = opendir(path);
	int count = 0;

	CHECK(dir != NULL);
	for (struct dirent *e; (e = readdir(dir));)
		count += e->d_name[0] != '.' && !strncmp(e->d_name, prefix, strlen(prefix));
	CHECK_EQ(closedir(dir), 0);
	return count;
}

static int names(void)
{
	return count_entries(getenv("POSTHASTE_DIR"), "");
}

static int descriptors(void)
{
	return count_entries("/proc/self/fd", "");
}

static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	int lines = 0;

	CHECK(f != NULL);
	for (int c; (c = getc(f)) != EOF;)
		lines += c == '\n';
	CHECK_EQ(fclose(f), 0);
	return lines;
}

#ifndef __has_feature // gcc has no such thing, and no such builds
#define __has_feature(x) 0
#endif

#if __has_feature(address_sanitizer)
// What was freed stays in quarantine.
static long memory_kib(void)
{
	return 0;
}
#else
static long memory_kib(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[200];
	long kib = -1;

	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "RssAnon:", 8))
			kib = strtol(line + 8, NULL, 10);
	CHECK_EQ(fclose(f), 0);
	return kib;
}
#endif

static void use_quietly(struct ends e)
{
	char buf[8];

	CHECK_EQ(write(e.w, "some", 4), 4);
	CHECK_EQ(read(e.r, buf, sizeof(buf)), 4);
}

TEST(pipe_costs_no_file_before_it_is_used_by_two)
{
	const int before = descriptors();
	struct ends e = make_pipe();

	CHECK_EQ(names(), 0);
	CHECK_EQ(descriptors(), before + 2);
	CHECK_EQ(write(e.w, "text", 4), 4);
	CHECK_EQ(names(), 0);
	drop_pipe(e);
	CHECK_EQ(names(), 0);
	CHECK_EQ(descriptors(), before);
}

static void make_use_and_drop(int rounds)
{
	for (int i = 0; i < rounds; i++) {
		struct ends e = make_pipe();
		use_quietly(e);
		drop_pipe(e);
	}
}

TEST(thousand_pipes_made_and_closed_leave_nothing)
{
	make_use_and_drop(50);
	const int fds = descriptors(), maps = mappings();
	const long kib = memory_kib();
	make_use_and_drop(1000);
	CHECK_EQ(names(), 0);
	CHECK_EQ(descriptors(), fds);
	CHECK(mappings() <= maps + 2);
	CHECK(memory_kib() <= kib + 256);
}

TEST(thousand_pipes_at_once_leave_nothing)
{
	enum { PIPES = 1000 };
	static struct ends e[PIPES];
	struct rlimit limit = {4096, 4096};

	if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
		SKIP("needs 2000 descriptors");
	make_use_and_drop(50);
	const int maps = mappings();
	for (int i = 0; i < PIPES; i++)
		e[i] = make_pipe();
	for (int i = 0; i < PIPES; i++)
		use_quietly(e[i]);
	for (int i = 0; i < PIPES; i++)
		drop_pipe(e[i]);
	CHECK_EQ(names(), 0);
	CHECK(mappings() <= maps + 2);
}

/* ---- in full flow ---- */

static void flow_once(void)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .to = 400 * KIB, .most = 100};
	pid_t pid = test_fork(be_pattern_writer, &p);

	CHECK_OK(close(e.w));
	read_pattern(e.r, 0, p.to);
	expect_end(e.r);
	CHECK_OK(close(e.r));
	test_join(pid);
}

TEST(pipes_in_full_flow_leave_nothing)
{
	for (int i = 0; i < 20; i++)
		flow_once();
	const int fds = descriptors(), maps = mappings();
	const long kib = memory_kib();
	for (int i = 0; i < 200; i++)
		flow_once();
	CHECK_EQ(names(), 0);
	CHECK_EQ(descriptors(), fds);
	CHECK(mappings() <= maps + 2);
	CHECK(memory_kib() <= kib + 512);
}

// Ends that were closed by one process while others go on are no load on it.
TEST(process_that_closed_its_ends_has_nothing_mapped)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .until = make_until(), .most = 100};
	const int maps = mappings();
	pid_t writer = test_fork(be_endless_writer, &p);
	uint64_t at = read_pattern_until_warm(e.r, 0);

	atomic_store(p.until, at + MIB);
	read_pattern(e.r, at, at + MIB);
	test_join(writer);
	CHECK_OK(close(e.w));
	CHECK_OK(close(e.r));
	CHECK(mappings() <= maps + 2);
	CHECK_EQ(names(), 0);
}

/* ---- what the killed leave ---- */

static void flow_for_ever(void *arg)
{
	const struct ends *e = arg;
	struct party p = {.ends = *e, .until = make_until(), .most = 100};

	test_fork(be_endless_writer, &p);
	CHECK_OK(close(e->w));
	read_pattern(e->r, 0, UINT64_MAX);
}

static bool has_names(void *arg)
{
	(void)arg;
	return names() > 0;
}

// Nobody has a ring mapped any more.
static bool all_are_gone(void *arg)
{
	DIR *dir = opendir(getenv("POSTHASTE_DIR"));
	struct ph_pipe_info info;
	bool gone = true;

	(void)arg;
	CHECK(dir != NULL);
	for (struct dirent *e; (e = readdir(dir));)
		if (e->d_name[0] != '.' && ph_pipe_info_file(e->d_name, &info) == 0 && info.attached)
			gone = false;
	CHECK_EQ(closedir(dir), 0);
	return gone;
}

static void use_another(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++)
		flow_once();
}

TEST(what_the_killed_leave_goes_with_the_next_use)
{
	for (int round = 0; round < 5; round++) {
		struct ends e = make_pipe();
		pid_t pid = test_fork(flow_for_ever, &e);
		drop_pipe(e);
		test_wait_until(has_names, NULL);
		test_kill(pid); // the writer dies of SIGPIPE
		test_wait_until(all_are_gone, NULL);
		test_join(test_fork(use_another, NULL));
		CHECK_EQ(names(), 0);
	}
}

TEST(what_is_in_use_is_not_taken_for_left)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .until = make_until(), .most = 100};
	pid_t writer = test_fork(be_endless_writer, &p);
	uint64_t at = 0;

	CHECK_OK(close(e.w));
	for (int round = 0; round < 10; round++) {
		pid_t pid = test_fork(use_another, NULL);
		read_pattern(e.r, at, at + MIB);
		at += MIB;
		test_join(pid);
	}
	atomic_store(p.until, at + MIB);
	read_pattern(e.r, at, at + MIB);
	expect_end(e.r);
	CHECK_OK(close(e.r));
	test_join(writer);
	CHECK_EQ(names(), 0);
}

/* ---- no memory, no directory ---- */

static void flow_where_there_is_no_namespace(void *arg)
{
	CHECK_EQ(setenv("POSTHASTE_DIR", arg, 1), 0);
	for (int i = 0; i < 5; i++)
		flow_once();
}

TEST(pipes_work_where_there_is_no_namespace)
{
	test_join(test_fork(flow_where_there_is_no_namespace, "/proc"));
	test_join(test_fork(flow_where_there_is_no_namespace, "/nowhere/at/all"));
	test_join(test_fork(flow_where_there_is_no_namespace, "/dev/null"));
}

static void flow_without_file_size(void *arg)
{
	struct rlimit limit = {100000, 100000};

	(void)arg;
	CHECK_OK(setrlimit(RLIMIT_FSIZE, &limit));
	for (int i = 0; i < 5; i++)
		flow_once();
}

TEST(pipes_work_where_no_ring_can_be_made)
{
	test_join(test_fork(flow_without_file_size, NULL));
}

static void flow_without_descriptors(void *arg)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .to = MIB, .most = 100};
	struct rlimit limit = {(rlim_t)(e.w > e.r ? e.w : e.r) + 1, 4096};

	(void)arg;
	CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
	pid_t pid = test_fork(be_pattern_writer, &p);
	read_pattern(e.r, 0, p.to);
	test_join(pid);
	drop_pipe(e);
}

TEST(pipes_work_where_no_descriptor_is_left)
{
	test_join(test_fork(flow_without_descriptors, NULL));
}
