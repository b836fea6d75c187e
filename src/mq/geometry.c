// SPDX-License-Identifier: MIT
#include "mq/queue.h"

#include <errno.h>

#define SPARES_BYTES (UINT64_C(256) << 10)
#define PAGE UINT64_C(4096)

static uint64_t round_up(uint64_t n, uint64_t to)
{
	return (n + to - 1) / to * to;
}

static uint64_t clamp(uint64_t n, uint64_t lo, uint64_t hi)
{
	return n < lo ? lo : n > hi ? hi : n;
}

static uint64_t power_of_two(uint64_t n)
{
	uint64_t p = 1;
	while (p < n)
		p *= 2;
	return p;
}

int phi_mq_geometry(struct mq_geometry *g, uint64_t maxmsg, uint64_t msgsize)
{
	if (maxmsg == 0 || msgsize == 0 || maxmsg > INT64_MAX || msgsize > INT64_MAX)
		return -EINVAL;
	if (maxmsg > MQ_MAX_DEPTH || msgsize > MQ_MAX_SIZE)
		return -ENOMEM;
	*g = (struct mq_geometry){.maxmsg = maxmsg, .msgsize = msgsize};
	g->slot_bytes = round_up(sizeof(struct mq_slot) + msgsize, MQ_LINE);
	// Neighbouring slots of a power-of-two size would fight for the same few cache sets.
	if (g->slot_bytes % PAGE == 0)
		g->slot_bytes += MQ_LINE;
	g->spares = clamp(SPARES_BYTES / g->slot_bytes, MQ_SPARES_MIN, MQ_SPARES_MAX);
	g->slots = maxmsg + g->spares;
	g->ring_size = power_of_two(maxmsg);
	g->blocks = clamp(maxmsg, 1, MQ_BLOCKS_MAX);
	g->ring_at = round_up(PHI_REGION_BODY + sizeof(struct mq_control), MQ_LINE);
	g->next_at = round_up(g->ring_at + g->ring_size * sizeof(uint32_t), MQ_LINE);
	g->blocks_at = round_up(g->next_at + g->slots * sizeof(uint32_t), MQ_LINE);
	g->slots_at = round_up(g->blocks_at + g->blocks * sizeof(struct mq_block), MQ_LINE);
	// A message that fits a line together with its head stands in it; a longer one begins a line of
	// its own, with the head at the end of the line before: then a copy never starts amid a line.
	if (sizeof(struct mq_slot) + msgsize > MQ_LINE)
		g->slots_at += MQ_LINE - sizeof(struct mq_slot);
	uint64_t payload;
	if (__builtin_mul_overflow(g->slots, g->slot_bytes, &payload) || payload > INT64_MAX / 2)
		return -ENOMEM;
	g->bytes = round_up(g->slots_at + payload, PAGE);
	return 0;
}

void phi_mq_geometry_words(const struct mq_geometry *g, uint64_t words[8])
{
	words[0] = g->maxmsg;
	words[1] = g->msgsize;
	words[2] = g->slots;
	words[3] = g->slot_bytes;
	words[4] = g->ring_size;
	words[5] = g->spares;
	words[6] = g->blocks;
	words[7] = 0;
}
