// SPDX-License-Identifier: MIT
//
// tests/pipe/record.h - bytes that tell on whoever loses, doubles, tears or swaps them. Three kinds, for
// tests and for the programs that they run (programs/peer.c):
//
//   pattern   one writer: the byte at position p of the stream is a function of p
//   lines     writers that take turns: the lines 0, 1, 2 ... of one number each
//   records   writers at the same time: record n of writer w has a size and bytes that follow from w and
//             n, and begins with w; a reader that knows which n comes next knows every byte of it
//
// Nothing here depends on the runner: the checks return false, and say on stderr what is wrong.
#ifndef TESTS_PIPE_RECORD_H
#define TESTS_PIPE_RECORD_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WRITERS_MAX = 16, RECORD_MAX = 4096 };

static inline uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9;
	return x ^ x >> 32;
}

/* ---- writing all, with write or a call like it ---- */

typedef ssize_t write_call(int fd, const void *buf, size_t bytes);

static inline bool write_all(write_call *call, int fd, const void *data, size_t bytes)
{
	const char *at = data;

	while (bytes) {
		const ssize_t n = call(fd, at, bytes);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		at += n;
		bytes -= (size_t)n;
	}
	return true;
}

/* ---- pattern ---- */

static inline void pattern_fill(void *buf, uint64_t position, size_t bytes)
{
	unsigned char *at = buf;
	uint64_t word = mix(position / 8 + 1) >> position % 8 * 8;

	for (size_t i = 0; i < bytes; i++) {
		at[i] = (unsigned char)word;
		word >>= 8;
		if (++position % 8 == 0)
			word = mix(position / 8 + 1);
	}
}

// What stands here instead: the bytes of another place, or garbage.
static inline void pattern_complain(const unsigned char *at, uint64_t position, size_t bytes)
{
	const uint64_t far = 4 << 20, from = position < far ? 0 : position - far;
	unsigned char want[32];
	const size_t look = bytes < sizeof(want) ? bytes : sizeof(want);

	fprintf(stderr, "byte %llu of the stream is wrong", (unsigned long long)position);
	for (uint64_t p = from; look >= 6 && p < position + far; p++) {
		pattern_fill(want, p, look);
		if (memcmp(at, want, look) == 0)
			fprintf(stderr, ", there are those from %llu on", (unsigned long long)p);
	}
	fprintf(stderr, " (%zu bytes)\n", bytes);
}

static inline bool pattern_match(const void *buf, uint64_t position, size_t bytes)
{
	const unsigned char *at = buf;
	unsigned char want[4096];

	while (bytes) {
		const size_t n = bytes < sizeof(want) ? bytes : sizeof(want);
		pattern_fill(want, position, n);
		if (memcmp(at, want, n) != 0) {
			size_t i = 0;
			while (at[i] == want[i])
				i++;
			pattern_complain(at + i, position + i, bytes - i);
			return false;
		}
		at += n;
		position += n;
		bytes -= n;
	}
	return true;
}

/* ---- lines ---- */

// Reads lines of one number each: each must be the next one.
struct lines {
	uint64_t next;
	uint64_t number; // of the line that is not complete yet
	bool begun;
};

static inline bool lines_feed(struct lines *l, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] >= '0' && bytes[i] <= '9') {
			l->number = l->number * 10 + (uint64_t)(bytes[i] - '0');
			l->begun = true;
			continue;
		}
		if (bytes[i] != '\n' || !l->begun || l->number != l->next) {
			fprintf(stderr, "line %llu%s where %llu should come\n", (unsigned long long)l->number,
			        bytes[i] == '\n' ? "" : " (garbled)", (unsigned long long)l->next);
			return false;
		}
		l->next++;
		l->number = 0;
		l->begun = false;
	}
	return true;
}

static inline bool write_line(write_call *call, int fd, uint64_t number)
{
	char text[24];
	const int n = snprintf(text, sizeof(text), "%llu\n", (unsigned long long)number);

	return write_all(call, fd, text, (size_t)n);
}

/* ---- records ---- */

// `size` bytes exactly, or, if `vary`, from 1 to `size`. Records of 8 bytes and more carry their number,
// so that several readers may share a stream whose records have one size.
struct shape {
	unsigned size;
	bool vary;
};

static inline size_t record_size(struct shape s, unsigned writer, uint32_t n)
{
	return s.vary ? 1 + mix(writer + (uint64_t)n * 64) % s.size : s.size;
}

static inline size_t record_make(struct shape s, unsigned writer, uint32_t n, unsigned char *buf)
{
	const size_t size = record_size(s, writer, n);
	uint64_t bits = 0;

	for (size_t i = 1; i < size; i++) {
		if (i % 8 == 1)
			bits = mix(writer + (uint64_t)n * 64 + (i << 40));
		buf[i] = (unsigned char)(bits >> (i % 8 * 8));
	}
	buf[0] = (unsigned char)(writer << 4 | (n & 15));
	if (size >= 8)
		memcpy(buf + 1, &n, sizeof(n));
	return size;
}

// Reads a stream of records of several writers.
struct records {
	struct shape shape;
	uint32_t next[WRITERS_MAX];
	unsigned char have[RECORD_MAX]; // of the record that is not complete yet
	size_t bytes;
};

static inline bool record_wrong(unsigned writer, uint32_t n, const char *what)
{
	fprintf(stderr, "record %u of writer %u: %s\n", n, writer, what);
	return false;
}

// Take from `bytes` what belongs to one record. Returns how much, or 0 if it is wrong.
static inline size_t records_feed_one(struct records *r, const unsigned char *bytes, size_t n)
{
	unsigned char want[RECORD_MAX];
	const unsigned writer = (r->bytes ? r->have[0] : bytes[0]) >> 4;
	const uint32_t number = r->next[writer];
	const size_t size = record_make(r->shape, writer, number, want);
	const size_t part = n < size - r->bytes ? n : size - r->bytes;

	memcpy(r->have + r->bytes, bytes, part);
	if (memcmp(want + r->bytes, bytes, part) != 0) {
		record_wrong(writer, number, "other bytes than it must have");
		return 0;
	}
	r->bytes += part;
	if (r->bytes == size) {
		r->bytes = 0;
		r->next[writer]++;
	}
	return part;
}

static inline bool records_feed(struct records *r, const void *data, size_t n)
{
	const unsigned char *at = data;

	while (n) {
		const size_t part = records_feed_one(r, at, n);
		if (!part)
			return false;
		at += part;
		n -= part;
	}
	return true;
}

// Everything has come: `count` records of each of `writers`.
static inline bool records_complete(const struct records *r, unsigned writers, uint32_t count)
{
	if (r->bytes)
		return record_wrong(r->have[0] >> 4, r->next[r->have[0] >> 4], "incomplete");
	for (unsigned w = 0; w < WRITERS_MAX; w++)
		if (r->next[w] != (w < writers ? count : 0))
			return record_wrong(w, r->next[w], "this and the following are missing");
	return true;
}

static inline bool write_records(write_call *call, int fd, struct shape s, unsigned writer,
                                 uint32_t count)
{
	unsigned char buf[RECORD_MAX];

	for (uint32_t n = 0; n < count; n++) {
		const size_t size = record_make(s, writer, n, buf);
		if (call(fd, buf, size) != (ssize_t)size)
			return record_wrong(writer, n, "is not written whole");
	}
	return true;
}

#endif
