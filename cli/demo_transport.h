// SPDX-License-Identifier: MIT
//
// demo_transport.h - what the demo asks of queues and pipes, behind pointers, so that one program runs
// on this library's and on the kernel's.
//
// A channel is made by the parent and loses its name at once: its processes inherit the descriptor,
// and nothing stays behind however they end.
#ifndef DEMO_TRANSPORT_H
#define DEMO_TRANSPORT_H

#include <mqueue.h>
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

// Each call returns 0 or errno; ETIMEDOUT after timeout_ms.
struct transport {
	const char *name;
	bool redelivers; // what a dead receiver had in hand comes back by itself
	int (*open)(struct channel *channel, const char *name, long depth, long size);
	void (*close)(struct channel *channel);
	int (*send)(struct channel *channel, const char *data, size_t size, unsigned int prio,
	            int timeout_ms);
	int (*take)(struct channel *channel, struct delivery *delivery, int timeout_ms);
	int (*done)(struct channel *channel, struct delivery *delivery);
	// As POSIX has them.
	int (*pipe)(int ends[2]);
	ssize_t (*read)(int fd, void *buffer, size_t size);
	ssize_t (*write)(int fd, const void *data, size_t size);
};

extern const struct transport transport_posthaste, transport_kernel;

#endif
