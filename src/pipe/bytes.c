// SPDX-License-Identifier: MIT
//
// The caller's buffers, and copying between them and the ring. Positions count from the pipe's first
// byte and never wrap in practice; the place in the ring is the position modulo its size.
#include "pipe/pipe.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

int phi_pipe_bytes_of(struct pipe_bytes *b, const struct iovec *iov, int count)
{
	if (count < 0 || count > IOV_MAX)
		return -EINVAL;
	*b = (struct pipe_bytes){.iov = iov, .count = count};
	for (int i = 0; i < count; i++) {
		if (iov[i].iov_len > (size_t)SSIZE_MAX - b->left)
			return -EINVAL;
		b->left += iov[i].iov_len;
	}
	return 0;
}

void phi_pipe_bytes_skip(struct pipe_bytes *b, size_t n)
{
	b->left -= n;
	b->skip += n;
	while (b->count > 0 && b->skip >= b->iov->iov_len) {
		b->skip -= b->iov->iov_len;
		b->iov++;
		b->count--;
	}
}

int phi_pipe_bytes_iov(const struct pipe_bytes *b, size_t most, struct iovec *iov, int room)
{
	int n = 0;
	size_t skip = b->skip;
	for (int i = 0; i < b->count && n < room && most > 0; i++, skip = 0) {
		size_t bytes = b->iov[i].iov_len - skip;
		if (bytes > most)
			bytes = most;
		iov[n++] = (struct iovec){(uint8_t *)b->iov[i].iov_base + skip, bytes};
		most -= bytes;
	}
	return n;
}

int phi_pipe_pieces(const struct pipe *p, uint64_t pos, uint32_t size, size_t n,
                    struct iovec iov[2])
{
	size_t at = (size_t)(pos & (size - 1));
	size_t first = size - at < n ? size - at : n;
	iov[0] = (struct iovec){p->data + at, first};
	iov[1] = (struct iovec){p->data, n - first};
	return n > first ? 2 : 1;
}

// One run of the caller's bytes that is contiguous on his side.
static inline void run_in(const struct pipe *p, uint64_t pos, uint32_t size, const void *from,
                          size_t n)
{
	size_t at = (size_t)(pos & (size - 1));
	size_t first = size - at;
	if (__builtin_expect(n <= first, 1)) {
		memcpy(p->data + at, from, n);
	} else {
		memcpy(p->data + at, from, first);
		memcpy(p->data, (const uint8_t *)from + first, n - first);
	}
}

static inline void run_out(const struct pipe *p, uint64_t pos, uint32_t size, void *to, size_t n)
{
	size_t at = (size_t)(pos & (size - 1));
	size_t first = size - at;
	if (__builtin_expect(n <= first, 1)) {
		memcpy(to, p->data + at, n);
	} else {
		memcpy(to, p->data + at, first);
		memcpy((uint8_t *)to + first, p->data, n - first);
	}
}

// How much of the n bytes stands in the first piece.
static inline size_t run_of(const struct pipe_bytes *b, size_t n)
{
	size_t here = b->iov->iov_len - b->skip;
	return here < n ? here : n;
}

void phi_pipe_copy_in(const struct pipe *p, uint64_t pos, uint32_t size, struct pipe_bytes *from,
                      size_t n)
{
	while (n > 0) {
		size_t run = run_of(from, n);
		run_in(p, pos, size, (const uint8_t *)from->iov->iov_base + from->skip, run);
		phi_pipe_bytes_skip(from, run);
		pos += run;
		n -= run;
	}
}

void phi_pipe_copy_out(const struct pipe *p, uint64_t pos, uint32_t size, struct pipe_bytes *to,
                       size_t n)
{
	while (n > 0) {
		size_t run = run_of(to, n);
		run_out(p, pos, size, (uint8_t *)to->iov->iov_base + to->skip, run);
		phi_pipe_bytes_skip(to, run);
		pos += run;
		n -= run;
	}
}
