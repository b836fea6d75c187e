// SPDX-License-Identifier: MIT
//
// The physical limit: a bare ring for one sender and one receiver in memory that fork shares. It
// has no names, no priorities, no sleeping, no recovery; each side keeps its view of the other's
// cursor and polls. What a real queue costs more than this is the price of all that.
#define _GNU_SOURCE
#include "peer.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LINE 64

struct ring {
	_Alignas(LINE) _Atomic uint64_t sent;
	_Alignas(LINE) _Atomic uint64_t received;
	_Alignas(LINE) unsigned char slots[];
};

// A process's private view.
struct view {
	struct ring *ring;
	uint64_t at;   // own cursor
	uint64_t seen; // the other's, as last read
};

struct slot {
	uint64_t len;
	unsigned char data[];
};

// A process may be both sender and receiver: one view for each.
struct ends {
	struct ring *ring;
	struct view send, receive;
};

static size_t stride(const struct bench_end *end)
{
	return (sizeof(struct slot) + end->size + LINE - 1) / LINE * LINE;
}

static size_t bytes(const struct bench_end *end)
{
	return sizeof(struct ring) + end->depth * stride(end);
}

static int create(struct bench_end *end)
{
	struct ends *ends = calloc(1, sizeof(*ends));
	struct ring *ring =
		mmap(NULL, bytes(end), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!ends || ring == MAP_FAILED) {
		free(ends);
		errno = ENOMEM;
		return -1;
	}
	ends->ring = ends->send.ring = ends->receive.ring = ring;
	end->state = ends;
	return 0;
}

static void destroy(struct bench_end *end)
{
	struct ends *ends = end->state;
	munmap(ends->ring, bytes(end));
	free(ends);
}

static int attach(struct bench_end *end)
{
	(void)end;
	return 0;
}

static inline void pause_cpu(unsigned round)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
	if (round % 1024 == 1023)
		sched_yield(); // the other side may need this very CPU
}

static struct slot *slot_at(const struct bench_end *end, struct ring *ring, uint64_t at)
{
	return (struct slot *)(ring->slots + at % end->depth * stride(end));
}

static int send_message(struct bench_end *end, const void *data, size_t len, unsigned prio)
{
	struct view *v = &((struct ends *)end->state)->send;
	(void)prio;
	for (unsigned i = 0; v->at - v->seen == end->depth; i++) {
		v->seen = atomic_load_explicit(&v->ring->received, memory_order_acquire);
		if (v->at - v->seen == end->depth)
			pause_cpu(i);
	}
	struct slot *slot = slot_at(end, v->ring, v->at);
	slot->len = len;
	memcpy(slot->data, data, len);
	atomic_store_explicit(&v->ring->sent, ++v->at, memory_order_release);
	return 0;
}

static ssize_t receive_message(struct bench_end *end, void *data, size_t room, unsigned *prio)
{
	struct view *v = &((struct ends *)end->state)->receive;
	for (unsigned i = 0; v->at == v->seen; i++) {
		v->seen = atomic_load_explicit(&v->ring->sent, memory_order_acquire);
		if (v->at == v->seen)
			pause_cpu(i);
	}
	const struct slot *slot = slot_at(end, v->ring, v->at);
	const size_t len = slot->len < room ? slot->len : room;
	memcpy(data, slot->data, len);
	if (prio)
		*prio = 0;
	atomic_store_explicit(&v->ring->received, ++v->at, memory_order_release);
	return (ssize_t)len;
}

static const struct bench_ops RING = {
	.name = "ring",
	.create = create,
	.destroy = destroy,
	.attach = attach,
	.send = send_message,
	.receive = receive_message,
	.one_to_one = true,
};

int main(int argc, char **argv)
{
	return peer_main(argc, argv, "mq", bench_mq_cases, &RING);
}
