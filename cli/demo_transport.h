// SPDX-License-Identifier: MIT
//
// demo_transport.h - what the demo asks of queues, pipes and semaphores, behind pointers, so that one program runs
// on this library's and on the kernel's.
//
// A channel is made by the parent and loses its name at once: its processes inherit the descriptor,
// and nothing stays behind however they end.
#ifndef DEMO_TRANSPORT_H
#define DEMO_TRANSPORT_H

#include <mqueue.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <posthaste/mqueue.h>

struct channel {
	mqd_t mq;
	size_t size;
	char *buffer; // of transports that copy out
};

// A message in hand, until it is done with.
struct delivery {
	const char *data;
	size_t size;
	struct ph_mq_loan loan; // of transports that lend
};

// The one unit of a semaphore, which lets one process at a time do something.
struct guard {
	sem_t *sem;
};

// Each call returns 0 or errno; ETIMEDOUT after timeout_ms.
struct transport {
	const char *name;
	bool redelivers; // what a dead process had in hand comes back by itself: messages, units
	int (*open)(struct channel *channel, const char *name, long depth, long size);
	void (*close)(struct channel *channel);
	int (*send)(struct channel *channel, const char *data, size_t size, unsigned int prio,
	            int timeout_ms);
	int (*take)(struct channel *channel, struct delivery *delivery, int timeout_ms);
	int (*done)(struct channel *channel, struct delivery *delivery);
	// `place` is shared memory for a semaphore without a name. take_unit: EOWNERDEAD if it was taken, and had come
	// back from a dead process.
	int (*make_unit)(struct guard *guard, const char *name, sem_t *place);
	void (*drop_unit)(struct guard *guard);
	int (*take_unit)(struct guard *guard, int timeout_ms);
	int (*give_unit)(struct guard *guard);
	// As POSIX has them.
	int (*pipe)(int ends[2]);
	ssize_t (*read)(int fd, void *buffer, size_t size);
	ssize_t (*write)(int fd, const void *data, size_t size);
};

extern const struct transport transport_posthaste, transport_kernel;

#endif
