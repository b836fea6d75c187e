// SPDX-License-Identifier: MIT
//
// tests/pipe/place.c - FIFOs where unrelated processes meet: programs with the library, without it (cat
// FIFO, seq > FIFO), of another user, before, after and in the middle of full flow.
#include <posthaste/posix.h>

#include "flow.h"

static const char *make_fifo(mode_t mode)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s", place("fifo"));
	CHECK_OK(mkfifo(path, mode));
	return path;
}

static void drop_fifo(void)
{
	drop_place("fifo");
	drop_place(NULL);
}

/* ---- programs at both ends ---- */

static void meet(const char *writer, const char *reader)
{
	const char *path = make_fifo(0600);
	pid_t w = start_peer(-1, -1, writer, text_of("open %s pattern 0 20000000", path));
	pid_t r = start_peer(-1, -1, reader, text_of("open %s match 0 20000000", path));

	test_join(w);
	test_join(r);
	drop_fifo();
}

TEST(unrelated_programs_with_the_library_meet)
{
	for (int round = 0; round < 5; round++)
		meet("peer", "peer");
}

TEST(unrelated_programs_with_and_without_the_library_meet)
{
	meet("peer", "stranger");
	meet("stranger", "peer");
	meet("stranger", "stranger");
}

static void run_shell(const char *script, const char *path)
{
	char *const argv[] = {
		"sh",         "-ec", (char *)script, (char *)program("peer"), (char *)program("stranger"),
		(char *)path, NULL};

	test_join(start_program(-1, -1, argv)); // $0 is the peer, $1 the stranger, $2 the FIFO
}

TEST(cat_of_a_fifo_gets_what_the_library_writes)
{
	const char *path = make_fifo(0600);

	run_shell("\"$0\" open \"$2\" lines 0 100000 & cat \"$2\" | \"$1\" expect 0 100000; wait $!",
	          path);
	run_shell("cat \"$2\" | \"$1\" expect 0 100000 & \"$0\" open \"$2\" lines 0 100000; wait $!",
	          path);
	run_shell("\"$0\" lines 0 100000 >\"$2\" & cat <\"$2\" | \"$1\" expect 0 100000; wait $!",
	          path);
	drop_fifo();
}

TEST(library_reads_what_the_shell_writes_into_a_fifo)
{
	const char *path = make_fifo(0600);

	run_shell("seq 0 99999 >\"$2\" & \"$0\" open \"$2\" expect 0 100000; wait $!", path);
	run_shell("\"$0\" open \"$2\" expect 0 100000 & seq 0 99999 >\"$2\"; wait $!", path);
	run_shell("(seq 0 99; echo 100; seq 101 999) >\"$2\" & \"$0\" expect 0 1000 <\"$2\"; wait $!",
	          path);
	drop_fifo();
}

TEST(programs_write_into_a_fifo_one_after_the_other)
{
	const char *path = make_fifo(0600);

	run_shell("\"$0\" open \"$2\" expect 0 90000 & exec 9>\"$2\";"
	          " \"$0\" open \"$2\" lines 0 30000; seq 30000 30999 >\"$2\";"
	          " \"$0\" open \"$2\" lines 31000 60000; echo 60000 >&9; \"$0\" lines 60001 90000 >&9;"
	          " exec 9>&-; wait $!",
	          path);
	drop_fifo();
}

/* ---- this process in full flow, and others that come ---- */

static int open_end(const char *path, int flags)
{
	return (int)CHECK_OK(open(path, flags | O_CLOEXEC));
}

struct meeting {
	const char *path;
	struct shape shape;
	unsigned writers;
	uint32_t count;
};

static void read_by_name(void *arg)
{
	const struct meeting *m = arg;
	struct records r = {.shape = m->shape};
	const int fd = open_end(m->path, O_RDONLY);

	read_records(fd, &r);
	CHECK(records_complete(&r, m->writers, m->count));
	CHECK_OK(close(fd));
}

TEST(writers_of_all_kinds_open_a_fifo_in_full_flow)
{
	for (int round = 0; round < 4; round++) {
		struct meeting m = {make_fifo(0600), {.size = 200, .vary = true}, 4, 20000};
		pid_t reader = test_fork(read_by_name, &m);
		const int w = open_end(m.path, O_WRONLY);
		struct warming warm = {0};
		unsigned char buf[RECORD_MAX];
		pid_t pid[4];
		uint32_t n = 0;

		while (n < m.count / 2 && !is_warm(&warm, w)) {
			const size_t size = record_make(m.shape, 0, n++, buf);
			CHECK_EQ(write(w, buf, size), size);
		}
		for (unsigned i = 1; i < 4; i++)
			pid[i] = start_peer(-1, -1, i == 1 ? "peer" : "stranger",
			                    text_of("open %s write %u %u v200", m.path, i, m.count));
		while (n < m.count) {
			const size_t size = record_make(m.shape, 0, n++, buf);
			CHECK_EQ(write(w, buf, size), size);
		}
		for (unsigned i = 1; i < 4; i++)
			test_join(pid[i]);
		CHECK_OK(close(w));
		test_join(reader);
		drop_fifo();
	}
}

// Readers share a FIFO: two of the library, and cats that come in full flow.
enum { SHARED = 150000, SIZE = 64 };

static const struct shape whole = {.size = SIZE};

static void tally_record(unsigned char *seen, const char *record, int64_t *last)
{
	unsigned char want[RECORD_MAX];
	uint32_t n;

	memcpy(&n, record + 1, sizeof(n));
	CHECK(n < SHARED);
	record_make(whole, 0, n, want);
	CHECK(memcmp(record, want, SIZE) == 0);
	CHECK((int64_t)n > *last);
	*last = n;
	seen[n]++;
}

struct sharer {
	const char *path;
	unsigned char *seen;
};

static void share_by_name(void *arg)
{
	const struct sharer *s = arg;
	const int fd = open_end(s->path, O_RDONLY);
	int64_t last = -1;
	char buf[SIZE];
	ssize_t n;

	while ((n = read(fd, buf, SIZE)) > 0) {
		CHECK_EQ(n, SIZE);
		tally_record(s->seen, buf, &last);
	}
	CHECK_EQ(n, 0);
	CHECK_OK(close(fd));
}

static void tally_caught(int out, unsigned char *seen)
{
	int64_t last = -1;
	size_t bytes;
	char *data = caught(out, &bytes);

	for (size_t at = 0; at < bytes; at += SIZE)
		tally_record(seen, data + at, &last);
	free(data);
	CHECK_OK(close(out));
}

TEST(cats_that_open_a_fifo_in_full_flow_share_it)
{
	struct sharer s = {make_fifo(0600), share(SHARED)};
	pid_t pid[4];
	int out[2];
	char buf[RECORD_MAX];

	for (int i = 0; i < 2; i++)
		pid[i] = test_fork(share_by_name, &s);
	const int w = open_end(s.path, O_WRONLY);
	for (uint32_t n = 0; n < SHARED; n++) {
		if (n == SHARED / 3 || n == SHARED / 3 * 2) {
			const int i = n > SHARED / 2;
			out[i] = make_catch();
			pid[2 + i] = START(-1, out[i], "cat", (char *)s.path);
		}
		record_make(whole, 0, n, (unsigned char *)buf);
		CHECK_EQ(write(w, buf, SIZE), SIZE);
	}
	CHECK_OK(close(w));
	for (int i = 0; i < 4; i++)
		test_join(pid[i]);
	for (int i = 0; i < 2; i++)
		tally_caught(out[i], s.seen);
	for (int n = 0; n < SHARED; n++)
		CHECK_EQ(s.seen[n], 1);
	drop_fifo();
}

/* ---- generations of users ---- */

struct generation {
	const char *path;
	uint64_t from, to;
};

static void write_generation(void *arg)
{
	const struct generation *g = arg;
	const int fd = open_end(g->path, O_WRONLY);

	write_lines(fd, g->from, g->to);
	CHECK_OK(close(fd));
}

static void read_generation(void *arg)
{
	const struct generation *g = arg;
	struct lines l = {.next = g->from};
	const int fd = open_end(g->path, O_RDONLY);

	read_lines(fd, &l, g->to);
	expect_end(fd);
	CHECK_OK(close(fd));
}

TEST(fifo_serves_one_pair_after_the_other)
{
	struct generation g = {.path = make_fifo(0600)};

	for (int i = 0; i < 60; i++) {
		g.from = (uint64_t)i * 2000;
		g.to = g.from + 2000;
		pid_t w = test_fork(write_generation, &g);
		pid_t r = test_fork(read_generation, &g);
		test_join(w);
		test_join(r);
	}
	drop_fifo();
}

// What nobody has read when the last one closes is gone.
TEST(fifo_forgets_what_was_not_read)
{
	const char *path = make_fifo(0600);

	for (int i = 0; i < 20; i++) {
		const int both = open_end(path, O_RDWR);
		struct lines l = {.next = (uint64_t)i * 100};
		write_lines(both, l.next, l.next + 100);
		if (i % 2)
			read_lines(both, &l, l.next + 40);
		CHECK_OK(close(both));
		const int r = open_end(path, O_RDONLY | O_NONBLOCK);
		expect_end(r);
		CHECK_OK(close(r));
	}
	drop_fifo();
}

TEST(writers_come_and_go_while_the_reader_stays)
{
	struct generation g = {.path = make_fifo(0600)};
	const int both = open_end(g.path, O_RDWR);
	struct lines l = {0};

	for (int i = 0; i < 40; i++) {
		g.from = l.next;
		g.to = g.from + 3000;
		pid_t pid = i % 2 ? test_fork(write_generation, &g)
		                  : start_peer(-1, -1, i % 4 ? "stranger" : "peer",
		                               text_of("open %s lines %llu %llu", g.path, (long long)g.from,
		                                       (long long)g.to));
		read_lines(both, &l, g.to);
		test_join(pid);
	}
	CHECK_OK(close(both));
	drop_fifo();
}

TEST(two_fifos_of_one_name_are_two)
{
	const char *path = make_fifo(0600);
	const int old = open_end(path, O_RDWR);
	struct lines l = {0}, m = {.next = 500};

	CHECK_OK(unlink(path));
	CHECK_OK(mkfifo(path, 0600));
	const int new = open_end(path, O_RDWR);
	write_lines(old, 0, 500);
	write_lines(new, 500, 1000);
	read_lines(new, &m, 1000);
	read_lines(old, &l, 500);
	CHECK_OK(close(old));
	CHECK_OK(close(new));
	drop_fifo();
}

TEST(removed_fifo_serves_those_who_have_it)
{
	struct meeting m = {make_fifo(0600), {.size = 200, .vary = true}, 1, 100000};
	pid_t reader = test_fork(read_by_name, &m);
	const int w = open_end(m.path, O_WRONLY);

	CHECK_OK(unlink(m.path));
	CHECK(write_records(write, w, m.shape, 0, m.count));
	CHECK_OK(close(w));
	test_join(reader);
	drop_place(NULL);
}

TEST(fifo_of_two_hard_links_is_one)
{
	struct meeting m = {make_fifo(0600), {.size = 200, .vary = true}, 1, 100000};
	pid_t reader = test_fork(read_by_name, &m);
	const char *other = place("link");

	CHECK_OK(link(m.path, other));
	const int w = open_end(other, O_WRONLY);
	CHECK(write_records(write, w, m.shape, 0, m.count));
	CHECK_OK(close(w));
	test_join(reader);
	drop_place("link");
	drop_fifo();
}

/* ---- another user ---- */

enum { NOBODY = 65534 };

static void become_nobody(void)
{
	CHECK_OK(setresgid(NOBODY, NOBODY, NOBODY));
	CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
}

static void read_as_nobody(void *arg)
{
	become_nobody();
	read_by_name(arg);
}

static void write_as_nobody(void *arg)
{
	const struct meeting *m = arg;

	become_nobody();
	const int fd = open_end(m->path, O_WRONLY);
	CHECK(write_records(write, fd, m->shape, 1, m->count));
	CHECK_OK(close(fd));
}

static const char *make_fifo_for_all(void)
{
	if (geteuid() != 0)
		SKIP("needs root to act as a second user");
	CHECK_OK(chmod(getenv("POSTHASTE_DIR"), 01777));
	umask(0);
	const char *path = make_fifo(0666);
	CHECK_OK(chmod(place_dir, 0755));
	return path;
}

TEST(another_user_reads_what_this_one_writes)
{
	struct meeting m = {make_fifo_for_all(), {.size = 200, .vary = true}, 1, 100000};
	pid_t reader = test_fork(read_as_nobody, &m);
	const int w = open_end(m.path, O_WRONLY);

	CHECK(write_records(write, w, m.shape, 0, m.count));
	CHECK_OK(close(w));
	test_join(reader);
	drop_fifo();
}

TEST(writers_of_two_users_and_a_reader_of_one_meet)
{
	struct meeting m = {make_fifo_for_all(), {.size = 200, .vary = true}, 2, 60000};
	pid_t reader = test_fork(read_by_name, &m);
	const int w = open_end(m.path, O_WRONLY);
	pid_t writer = test_fork(write_as_nobody, &m);

	CHECK(write_records(write, w, m.shape, 0, m.count));
	test_join(writer);
	CHECK_OK(close(w));
	test_join(reader);
	drop_fifo();
}
