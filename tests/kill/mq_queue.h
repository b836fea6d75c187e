// SPDX-License-Identifier: MIT
//
// tests/kill/mq_queue.h - what the message queue scenarios share: one queue, numbered messages that
// tell whether they are whole, and the survivors' checks. Each mq_*.c holds a table of scenarios for
// sweep.h; mq_sweep.c joins them.
//
// A message is known by its id. The queue under test is `q` in the survivor, and forked processes
// share it. Order within one priority is the order of ids: scenarios send in that order.
#ifndef KILL_MQ_QUEUE_H
#define KILL_MQ_QUEUE_H

#include "sweep.h"

#include <posthaste/posthaste.h>

enum {
	SMALL = 64,
	LARGE = 5000,
	VICTIMS = 100,   // the id of the victim's message
	SURVIVORS = 200, // the id of the first message that a survivor sends to set things going again
	IDS = 512,
};

#define NAME "/sweep"

extern mqd_t q;
extern size_t q_size;  // of its messages
extern size_t q_depth; // in messages

// Make the queue, empty.
void make_queue(size_t depth, size_t size);
// The longest message with this id.
void fill_message(char *data, size_t size, uint32_t id);
// The id of a message, which must be whole.
uint32_t read_message(const char *data, size_t size);

// Send, receive; these never sleep. `put` must find room; `take` returns the id, or 0 if the queue is
// empty.
void put(uint32_t id, unsigned prio);
bool try_put(uint32_t id, unsigned prio);
uint32_t take(unsigned *prio);
// Put ids first, first + 1, ... with the priorities given, up to a negative one.
void put_all(uint32_t first, const int *prios);

// Send or receive one message, and sleep if need be.
void send_sleeping(uint32_t id, unsigned prio);
uint32_t receive_sleeping(void);
// The same as an operation of a victim: nothing but the library's call. Its message, with the id
// VICTIMS, was made by make_queue; what it receives is not looked at.
void victim_send(unsigned prio);
void victim_receive(void);
extern char victim_message[LARGE];

// What the queue holds in the end. `must` and `may` are lists of ids ended by 0, `may` can be NULL.
// Each of `must` is there once (or the survivor took it before), each of `may` once or not at all,
// nothing else, the best first. The result says whether the first of `may` was there.
bool expect_messages(const uint32_t *must, const uint32_t *may);
bool expect_only(const uint32_t *must, uint32_t may);
// The same in any order.
bool expect_unordered(const uint32_t *must, uint32_t may);

// The whole depth can be filled and emptied, twice, and every spare reserved; ends empty.
void expect_capacity(void);

// Wait until nothing moves any more: true if the party has gone through (and is joined), false if it
// sleeps rightly, because the queue holds `quiet` messages (0: a receiver; the depth: a sender),
// the borrowed ones included.
bool party_got_through(pid_t party, size_t quiet, const char *who);
// The same for several: how many have gone through. None is joined.
size_t parties_through(const pid_t *parties, size_t n, size_t quiet, const char *who);

long count_messages(void);

// A queue's file system space: how many names the namespace holds.
unsigned count_names(void);

#endif
