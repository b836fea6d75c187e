// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_random_worker.c - a writer's and a reader's life, which may end anywhere. See
// pipe_random.c.
//
// What is written to the books brackets the call, so that after a death they say what is known for
// certain: before `begun` it was not written, after `returned` it was; outside `calling` nothing is
// missing.
#include "pipe_random.h"

#include "pipe/pipe.h"

#include <posthaste/posthaste.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LEASE_EVERY = 16, DUP_EVERY = 512, STREAM_READ = 50000 };

struct record {
	uint64_t number;
	uint64_t check;
	uint32_t writer;
	uint32_t bytes;
	unsigned char fill[RECORD_MAX - 24];
};

static uint64_t rng;

static uint64_t chance(uint64_t n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng % n;
}

static bool is_stranger(int worker)
{
	return phase->strangers && (worker == WRITERS - 1 || worker == WORKERS - 1);
}

// ---- records ----

static uint64_t check_of(const struct record *r, size_t bytes)
{
	uint64_t h = UINT64_C(1469598103934665603) ^ r->number ^ (uint64_t)r->writer << 48;
	uint64_t word;

	for (size_t i = 24; i < bytes; i += sizeof(word)) {
		memcpy(&word, (const unsigned char *)r + i, sizeof(word));
		h = (h ^ word) * UINT64_C(1099511628211);
	}
	return h;
}

static void compose(struct record *r, uint32_t writer, uint64_t number)
{
	r->number = number;
	r->writer = writer;
	r->bytes = (uint32_t)phase->record;
	memset(r->fill, (int)(number * 7 + writer), phase->record - 24);
	r->check = check_of(r, phase->record);
}

static void examine(const struct record *r)
{
	if (r->bytes != phase->record || r->writer >= WRITERS || r->number == 0 || r->number >= NUMBERS)
		broken("no record: number %#lx of writer %u, %u bytes", (unsigned long)r->number, r->writer,
		       r->bytes);
	if (r->check != check_of(r, phase->record))
		broken("record %lu of writer %u is torn", (unsigned long)r->number, r->writer);
}

static void tick_off(const struct record *r)
{
	unsigned char *byte = &books->ticked[r->writer][r->number / 8];
	const unsigned char bit = (unsigned char)(1U << r->number % 8);

	if (__atomic_fetch_or(byte, bit, __ATOMIC_SEQ_CST) & bit)
		broken("record %lu of writer %u is read twice", (unsigned long)r->number, r->writer);
}

static void expect_order(const struct record *r)
{
	static uint64_t last[WRITERS];

	if (r->number <= last[r->writer])
		broken("record %lu of writer %u after %lu", (unsigned long)r->number, r->writer,
		       (unsigned long)last[r->writer]);
	last[r->writer] = r->number;
}

// ---- writing ----

static ssize_t write_in_place(const struct record *r, size_t bytes)
{
	struct iovec room[2];
	size_t at = 0;
	int count;

	if (ph_pipe_reserve(wr, bytes, room, &count) != (ssize_t)bytes)
		return -1;
	for (int i = 0; i < count; i++) {
		memcpy(room[i].iov_base, (const unsigned char *)r + at, room[i].iov_len);
		at += room[i].iov_len;
	}
	return ph_pipe_commit(wr, bytes);
}

static ssize_t write_record(int worker, const struct record *r)
{
	if (is_stranger(worker))
		return syscall(SYS_write, wr, r, phase->record);
	if (phase->loans)
		return write_in_place(r, phase->record);
	return ph_write(wr, r, phase->record);
}

static void write_records(int worker)
{
	struct account *a = &books->account[worker];
	struct record r;

	while (!__atomic_load_n(&books->stop, __ATOMIC_RELAXED) && a->begun < NUMBERS - 2) {
		compose(&r, (uint32_t)worker, a->begun + 1);
		__atomic_store_n(&a->begun, r.number, __ATOMIC_SEQ_CST);
		const ssize_t n = write_record(worker, &r);
		if (n == -1 && errno == EPIPE && __atomic_load_n(&books->doomed, __ATOMIC_SEQ_CST))
			return;
		if (n != (ssize_t)phase->record)
			broken("a write of %zu bytes says %zd (%s)", phase->record, n,
			       n < 0 ? strerror(errno) : "no error");
		__atomic_store_n(&a->returned, r.number, __ATOMIC_SEQ_CST);
	}
}

static unsigned char byte_at(uint64_t position)
{
	return (unsigned char)(position * UINT64_C(2654435761) >> 13);
}

static void write_stream(int worker)
{
	static unsigned char data[STREAM_WRITE];
	struct account *a = &books->account[worker];
	uint64_t position = 0;

	while (!__atomic_load_n(&books->stop, __ATOMIC_RELAXED)) {
		for (size_t i = 0; i < sizeof(data); i++)
			data[i] = byte_at(position + i);
		__atomic_store_n(&a->begun, position + sizeof(data), __ATOMIC_SEQ_CST);
		const ssize_t n = ph_write(wr, data, sizeof(data));
		if (n != (ssize_t)sizeof(data) && __atomic_load_n(&books->doomed, __ATOMIC_SEQ_CST))
			return;
		if (n != (ssize_t)sizeof(data))
			broken("a write of %zu bytes says %zd (%s)", sizeof(data), n,
			       n < 0 ? strerror(errno) : "no error");
		position += sizeof(data);
		__atomic_store_n(&a->returned, position, __ATOMIC_SEQ_CST);
	}
}

// ---- reading ----

static ssize_t read_in_place(void *buffer, size_t bytes)
{
	struct iovec iov[2];
	size_t at = 0;
	int count;
	const ssize_t there = ph_pipe_peek(rd, iov, &count);

	if (there <= 0)
		return there;
	if ((size_t)there < bytes)
		bytes = (size_t)there;
	for (int i = 0; i < count && at < bytes; i++) {
		const size_t n = iov[i].iov_len < bytes - at ? iov[i].iov_len : bytes - at;
		memcpy((unsigned char *)buffer + at, iov[i].iov_base, n);
		at += n;
	}
	return ph_pipe_consume(rd, bytes) == 0 ? (ssize_t)bytes : -1;
}

static void disturb(void)
{
	if (chance(LEASE_EVERY) == 0)
		phi_pipe_force_lease(rd);
	if (chance(DUP_EVERY) == 0)
		ph_close(ph_dup(rd));
}

static ssize_t read_some(int worker, void *buffer, size_t bytes)
{
	struct pollfd p = {.fd = rd, .events = POLLIN};

	if (is_stranger(worker))
		return syscall(SYS_read, rd, buffer, bytes);
	if (phase->polls && chance(2) == 0 && poll(&p, 1, -1) == -1)
		broken("poll: %s", strerror(errno));
	if (!phase->polls)
		disturb();
	return phase->loans ? read_in_place(buffer, bytes) : ph_read(rd, buffer, bytes);
}

static void read_records(int worker)
{
	static unsigned char buffer[RECORDS_AT_ONCE * RECORD_MAX];
	static struct record r;
	struct account *a = &books->account[worker];

	for (;;) {
		__atomic_store_n(&a->calling, 1, __ATOMIC_SEQ_CST);
		const ssize_t n = read_some(worker, buffer, (1 + chance(RECORDS_AT_ONCE)) * phase->record);
		if (n < 0 || (size_t)n % phase->record != 0)
			broken("a read says %zd (%s)", n, n < 0 ? strerror(errno) : "no error");
		for (size_t at = 0; at < (size_t)n; at += phase->record) {
			memcpy(&r, buffer + at, phase->record);
			examine(&r);
			// What the library puts back, strangers' bytes may come before.
			if (!is_stranger(worker) && !is_stranger((int)r.writer))
				expect_order(&r);
			tick_off(&r);
		}
		__atomic_store_n(&a->calling, 0, __ATOMIC_SEQ_CST);
		if (n == 0)
			return;
	}
}

static void read_stream(int worker)
{
	static unsigned char buffer[STREAM_READ];
	struct account *a = &books->account[worker];
	ssize_t n;

	while ((n = read_some(worker, buffer, 1 + chance(sizeof(buffer)))) != 0) {
		if (n < 0)
			broken("a read says %s", strerror(errno));
		for (ssize_t i = 0; i < n; i++)
			if (buffer[i] != byte_at(a->got + (uint64_t)i))
				broken("byte %lu of the stream is wrong", (unsigned long)a->got + (unsigned long)i);
		a->got += (uint64_t)n;
	}
}

// ---- both ----

static int open_end(int worker, int flags)
{
	const int fd = is_stranger(worker) ? (int)syscall(SYS_openat, AT_FDCWD, fifo, flags)
	                                   : ph_open(fifo, flags);

	if (fd == -1)
		broken("open: %s", strerror(errno));
	return fd;
}

static void begin(int worker)
{
	if (rd != -1 && !is_stranger(worker))
		phi_pipe_force_lease(rd); // it has the ring mapped, and takes over when others die
	rng = ((uint64_t)getpid() * UINT64_C(0x9e3779b97f4a7c15)) | 1;
	__atomic_store_n(&books->account[worker].ready, 1, __ATOMIC_SEQ_CST);
}

void write_on(int worker)
{
	if (wr == -1)
		wr = open_end(worker, O_WRONLY);
	if (rd != -1)
		ph_close(rd);
	rd = -1;
	begin(worker);
	if (phase->stream)
		write_stream(worker);
	else
		write_records(worker);
}

void read_on(int worker)
{
	if (rd == -1)
		rd = open_end(worker, O_RDONLY);
	if (wr != -1)
		ph_close(wr);
	begin(worker);
	if (phase->stream)
		read_stream(worker);
	else
		read_records(worker);
}
