// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_stream.c - the pipe, its records and what is read of them. See pipe_stream.h;
// pipe_party.c has the parties.
#include "pipe_stream.h"

#include "pipe/pipe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MARK = 0xff, HEAD = 4, FILLS = 0xfb };

int rd = -1;
int wr = -1;
size_t victim_size;
unsigned char victim_data[LARGE];
unsigned char victim_buffer[USUAL];
unsigned char survivors_page[PAGE];

static struct tape *tapes;
static int parcel[2] = {-1, -1}; // what was given away lies in here
static unsigned descriptors;     // of pipes, before there was ours

// ---- what stays of a pipe ----

static bool is_of_a_pipe(const char *number)
{
	char target[512];
	char path[300];

	snprintf(path, sizeof(path), "/proc/self/fd/%s", number);
	const ssize_t n = readlink(path, target, sizeof(target) - 1);
	target[n < 0 ? 0 : n] = 0;
	return strstr(target, "pipe") || strstr(target, kill_scratch());
}

// The namespace directory may stay open; what is in it must not.
static unsigned count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct dirent *e;
	struct stat st;
	unsigned n = 0;

	while (dir && (e = readdir(dir)))
		n += is_of_a_pipe(e->d_name) && fstatat(dirfd(dir), e->d_name, &st, 0) == 0 &&
		     !S_ISDIR(st.st_mode);
	if (dir)
		closedir(dir);
	return n;
}

unsigned count_names(void)
{
	DIR *dir = opendir(kill_scratch());
	struct dirent *e;
	unsigned n = 0;

	while (dir && (e = readdir(dir)))
		n += strncmp(e->d_name, "pipe.", 5) == 0 || strncmp(e->d_name, "fifo.", 5) == 0;
	if (dir)
		closedir(dir);
	return n;
}

// Whoever was killed, or ended without closing, may leave a name behind, which anybody can remove.
static void sweep_names(void)
{
	const int dir = open(kill_scratch(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	phi_pipe_sweep(dir);
	close(dir);
}

void expect_no_traces(void)
{
	const unsigned now = count_descriptors();

	KILL_CHECK(now == descriptors, "%u descriptors of pipes are open, %u were before", now,
	           descriptors);
	if (count_names() != 0)
		sweep_names();
	KILL_CHECK(count_names() == 0, "%u names are left over, and somebody seems to have them mapped",
	           count_names());
}

// ---- making ----

void prepare_round(void)
{
	signal(SIGPIPE, SIG_IGN);
	descriptors = count_descriptors();
	tapes = mmap(NULL, TAPES * sizeof(*tapes), PROT_READ | PROT_WRITE,
	             MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	KILL_CHECK(tapes != MAP_FAILED, "the harness: no memory");
	fill_record(victim_data, victim_size, VICTIMS);
	fill_record(survivors_page, PAGE, SURVIVORS);
}

void make_pipe(size_t bytes)
{
	int fds[2];

	prepare_round();
	KILL_CHECK(ph_pipe(fds) == 0, "cannot make a pipe: %s", strerror(errno));
	rd = fds[0];
	wr = fds[1];
	if (bytes != 0)
		KILL_CHECK(ph_fcntl(wr, F_SETPIPE_SZ, (int)bytes) >= 0, "F_SETPIPE_SZ fails: %s",
		           strerror(errno));
}

static bool has_lease(void)
{
	struct ph_pipe_info info;

	return ph_pipe_info(rd, &info) == 0 && info.reader == (int32_t)gettid();
}

void take_lease(void)
{
	const int r = phi_pipe_force_lease(rd);

	KILL_CHECK(r >= 0, "taking the lease fails: %s", strerror(-r));
	KILL_CHECK(r == 1 || has_lease(), "the lease cannot be taken");
}

void make_ring(size_t bytes)
{
	make_pipe(bytes);
	take_lease();
}

void make_former_ring(size_t bytes)
{
	char byte;

	make_ring(bytes);
	KILL_CHECK(ph_fcntl(rd, F_SETFL, O_NONBLOCK) == 0, "O_NONBLOCK fails: %s", strerror(errno));
	KILL_CHECK(ph_read(rd, &byte, 1) == -1 && errno == EAGAIN, "an empty pipe has a byte");
	KILL_CHECK(ph_fcntl(rd, F_SETFL, 0) == 0, "fcntl fails: %s", strerror(errno));
}

void advance(size_t bytes)
{
	put(SURVIVORS, bytes);
	take(bytes);
	take_lease();
}

void close_reader(void)
{
	if (rd != -1)
		KILL_CHECK(ph_close(rd) == 0, "close fails: %s", strerror(errno));
	rd = -1;
}

void close_writer(void)
{
	if (wr != -1)
		KILL_CHECK(ph_close(wr) == 0, "close fails: %s", strerror(errno));
	wr = -1;
}

union control {
	struct cmsghdr head;
	char room[CMSG_SPACE(sizeof(int))];
};

void give_away(int *end)
{
	char byte = 0;
	union control c = {0};
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c.room)};

	c.head = (struct cmsghdr){
		.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&c.head), end, sizeof(*end));
	if (parcel[0] == -1)
		KILL_CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, parcel) == 0,
		           "the harness: socketpair: %s", strerror(errno));
	KILL_CHECK(sendmsg(parcel[0], &m, 0) == 1, "the harness: sendmsg: %s", strerror(errno));
	KILL_CHECK(ph_close(*end) == 0, "close fails: %s", strerror(errno));
	*end = -1;
}

void pick_up(int *end)
{
	char byte;
	union control c;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c.room)};

	KILL_CHECK(recvmsg(parcel[1], &m, MSG_CMSG_CLOEXEC) == 1, "the harness: recvmsg: %s",
	           strerror(errno));
	memcpy(end, CMSG_DATA(&c.head), sizeof(*end));
	ph_read(*end, NULL, 0); // the library looks at what it has not seen before
}

// ---- records ----

static unsigned char byte_of(uint32_t id, size_t i)
{
	switch (i) {
	case 0: return MARK;
	case 1: return id & 0x7f;
	case 2: return (unsigned char)(id >> 7 & 0x7f);
	case 3: return 0;
	default: return (unsigned char)((id * 31 + i * 7 + (i >> 8)) % FILLS);
	}
}

void fill_record(unsigned char *data, size_t size, uint32_t id)
{
	for (size_t i = 0; i < size; i++)
		data[i] = byte_of(id, i);
}

ssize_t put_sleeping(uint32_t id, size_t size)
{
	static unsigned char data[USUAL];

	fill_record(data, size, id);
	return ph_write(wr, data, size);
}

void put(uint32_t id, size_t size)
{
	kill_note("a survivor's write");
	const ssize_t n = put_sleeping(id, size);

	KILL_CHECK(n == (ssize_t)size, "a write of %zu bytes says %zd (%s)", size, n,
	           n < 0 ? strerror(errno) : "no error");
}

size_t bytes_inside(void)
{
	int n = 0;

	KILL_CHECK(ph_ioctl(rd != -1 ? rd : wr, FIONREAD, &n) == 0, "FIONREAD fails: %s",
	           strerror(errno));
	return (size_t)n;
}

void expect_in_ring(void)
{
	struct ph_pipe_info info;

	KILL_CHECK(ph_pipe_info(rd != -1 ? rd : wr, &info) == 0, "info fails: %s", strerror(errno));
	KILL_CHECK(info.ring_bytes == bytes_inside(), "%lu bytes of %zu are in the ring",
	           (unsigned long)info.ring_bytes, bytes_inside());
}

void victim_write(void)
{
	ph_write(wr, victim_data, victim_size);
}

void victim_read(void)
{
	ph_read(rd, victim_buffer, victim_size);
}

// ---- what has been read ----

struct tape *tape(int which)
{
	return &tapes[which];
}

static size_t room_on(const struct tape *t, size_t bytes)
{
	const size_t room = TAPE_MAX - t->count;

	KILL_CHECK(room > 0, "more bytes come out than can have gone in");
	return bytes < room ? bytes : room;
}

static ssize_t note_read(struct tape *t, ssize_t n)
{
	if (n > 0)
		t->count += (size_t)n;
	return n;
}

ssize_t read_to(struct tape *t, size_t bytes)
{
	return note_read(t, ph_read(rd, t->bytes + t->count, room_on(t, bytes)));
}

ssize_t read_raw_to(struct tape *t, size_t bytes)
{
	return note_read(t, syscall(SYS_read, rd, t->bytes + t->count, room_on(t, bytes)));
}

void take(size_t bytes)
{
	static unsigned char data[USUAL];

	for (size_t done = 0; done < bytes;) {
		const ssize_t n = ph_read(rd, data, bytes - done);
		KILL_CHECK(n > 0, "a read of what must be there says %zd (%s)", n, strerror(errno));
		done += (size_t)n;
	}
}

static void drain_by(ssize_t (*read_some)(struct tape *, size_t), struct tape *t)
{
	ssize_t n;

	kill_note("reading to the end of file");
	while ((n = read_some(t, USUAL)) != 0)
		KILL_CHECK(n > 0, "read fails: %s", strerror(errno));
}

void drain_to(struct tape *t)
{
	drain_by(read_to, t);
}

void drain_raw_to(struct tape *t)
{
	drain_by(read_raw_to, t);
}

// ---- judging ----

static size_t agreement(const struct tape *t, size_t at, const struct part *p)
{
	size_t n = 0;

	while (n < p->size && at + n < t->count && t->bytes[at + n] == byte_of(p->id, n))
		n++;
	return n < HEAD ? 0 : n;
}

static void judge_part(const struct part *p, size_t found, size_t at, size_t count)
{
	if (found == p->size || p->how == PREFIX || (found == 0 && p->how == MAYBE))
		return;
	if (found == 0)
		kill_broken("record %u is not there, at byte %zu of %zu", p->id, at, count);
	kill_broken("record %u is torn: %zu bytes of %zu, at byte %zu of %zu", p->id, found, p->size,
	            at, count);
}

size_t expect_on(const struct tape *t, const struct part *parts)
{
	size_t at = 0;
	size_t unsure = 0;
	bool seen = false;

	for (const struct part *p = parts; p->id; p++) {
		const size_t found = agreement(t, at, p);
		judge_part(p, found, at, t->count);
		if (p->how != WHOLE && !seen) {
			unsure = found;
			seen = true;
		}
		at += found;
	}
	KILL_CHECK(at == t->count, "%zu bytes from nowhere, at byte %zu", t->count - at, at);
	return unsure;
}

static void read_all_and_close(void)
{
	close_writer();
	drain_to(tape(TAPE_OWN));
	kill_note("closing");
	close_reader();
	expect_no_traces();
}

size_t expect(const struct part *parts)
{
	read_all_and_close();
	const size_t unsure = expect_on(tape(TAPE_OWN), parts);
	tape(TAPE_OWN)->count = 0;
	return unsure;
}

static size_t size_of(const struct part *parts)
{
	size_t size = 0;

	for (; parts->id; parts++)
		size += parts->size;
	return size;
}

size_t expect_rest(const struct part *parts)
{
	const struct tape *t = tape(TAPE_OWN);

	read_all_and_close();
	KILL_CHECK(t->count <= size_of(parts), "%zu bytes come out, %zu went in", t->count,
	           size_of(parts));
	const size_t missing = size_of(parts) - t->count;
	size_t pos = 0;
	for (; parts->id; parts++)
		for (size_t i = 0; i < parts->size; i++, pos++)
			KILL_CHECK(pos < missing || t->bytes[pos - missing] == byte_of(parts->id, i),
			           "byte %zu of record %u is wrong, behind %zu missing ones", i, parts->id,
			           missing);
	return missing;
}
