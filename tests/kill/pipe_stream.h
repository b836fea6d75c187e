// SPDX-License-Identifier: MIT
//
// tests/kill/pipe_stream.h - what the pipe scenarios share: one pipe, records that tell whether they are
// whole, and the survivors' checks. Each pipe_*.c holds a table of scenarios for sweep.h; pipe_sweep.c
// joins them.
//
// A record is known by its first byte, which stands nowhere else, and the id behind it; every further
// byte follows from the id and its place. So a stream says exactly what of which write is in it. The
// survivor reads it up to the end of file, which must come: nobody else has the write end any more.
#ifndef KILL_PIPE_STREAM_H
#define KILL_PIPE_STREAM_H

#include "sweep.h"

#include <posthaste/posthaste.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
	SMALL = 64,
	PAGE = 4096,     // PIPE_BUF; the smallest pipe, and the smallest ring
	USUAL = 65536,   // a pipe as it is made
	LARGE = 49152,   // goes in several pieces, and has room in a usual pipe
	VICTIMS = 100,   // the id of the victim's record
	SURVIVORS = 200, // of the first record that a survivor writes to set things going again
	TAPE_MAX = 1 << 18,
};

// The ends in the survivor, and in those who were forked from it; -1 = closed.
extern int rd;
extern int wr;

// Whether a writer takes the reader of a full ring for idle after a while; as a rule, no.
extern bool writers_lose_patience;

// ---- making ----

// What every scenario begins with; the others below do it themselves. Ignores SIGPIPE.
void prepare_round(void);
// A pipe for `bytes` bytes (0: as it comes), which the kernel has.
void make_pipe(size_t bytes);
// The same, with a ring; the calling process holds the lease.
void make_ring(size_t bytes);
// The ring is there, and empty, and nobody has the lease. Who has it mapped, as this process does then,
// takes over what a dead leaseholder leaves.
void make_former_ring(size_t bytes);
// Take the lease, whatever the policy thinks of it.
void take_lease(void);
// Have so many bytes written to and read from the empty ring, so that its positions move on.
void advance(size_t bytes);
// Called by whoever does not want to have that end.
void close_reader(void);
void close_writer(void);
// The number of an end that only the victim shall have: the survivor gives it away in prepare, and the
// victim picks it up in enter. Both change `rd` or `wr` accordingly.
void give_away(int *end);
void pick_up(int *end);

// ---- records ----

void fill_record(unsigned char *data, size_t size, uint32_t id);
// Write a record; there must be room for it, and a reader.
void put(uint32_t id, size_t size);
// Write a record, and sleep if need be; the result is that of the call.
ssize_t put_sleeping(uint32_t id, size_t size);
// Bytes in the pipe, wherever they stand.
size_t bytes_inside(void);
// All of them stand in the ring, so that the scenario is about what its name says.
void expect_in_ring(void);

// What the victim writes (made by make_pipe), and where it reads to.
extern size_t victim_size;
extern unsigned char victim_data[LARGE];
extern unsigned char victim_buffer[USUAL];
void victim_write(void); // victim_size bytes
// The same for others who are single-stepped.
extern unsigned char survivors_page[PAGE];
void victim_read(void); // up to victim_size bytes

// ---- what has been read ----

// Bytes in the order in which one process read them; shared by all of a round.
struct tape {
	size_t count;
	unsigned char bytes[TAPE_MAX];
};

enum { TAPE_OWN, TAPE_PARTY, TAPE_OTHER, TAPES };
struct tape *tape(int which);

// Read up to `bytes` bytes to the tape: what read says.
ssize_t read_to(struct tape *t, size_t bytes);
ssize_t read_raw_to(struct tape *t, size_t bytes); // without the library
// Take that many bytes, which must be there.
void take(size_t bytes);
// Read up to the end of file, with the library or without.
void drain_to(struct tape *t);
void drain_raw_to(struct tape *t);

// ---- judging ----

enum part_how {
	WHOLE,  // it is there
	MAYBE,  // it is there, or nothing of it
	PREFIX, // the beginning of it is there, perhaps nothing
};

// A write that was made; a list of them ends with id 0.
struct part {
	uint32_t id;
	size_t size;
	enum part_how how;
};

// The tape holds these and nothing else, in this order. The result is how many bytes of the first that
// is not WHOLE are there.
size_t expect_on(const struct tape *t, const struct part *parts);
// The same of what the survivor has read, and will read up to the end of file. Closes the pipe, and
// expects that nothing of it stays.
size_t expect(const struct part *parts);
// All of these are there, but for bytes at the beginning that a dead reader took: their number.
size_t expect_rest(const struct part *parts);
// The pipe is closed (both ends, by the survivor): no descriptor and no name stays.
void expect_no_traces(void);
// Files of rings.
unsigned count_names(void);

// ---- parties ----

// A reader that takes up to `bytes` in a call, up to the end of file.
pid_t start_reader(int which_tape, size_t bytes);
// The same without the library.
pid_t start_foreign_reader(int which_tape, size_t bytes);
// A writer of one record.
pid_t start_writer(uint32_t id, size_t size);
// One that sleeps in poll until it says `events`, or that the other end is gone.
pid_t start_poller(int fd, short events);
// One that takes the lease and does nothing any more.
pid_t start_leaseholder(void);
// A party that prepares something, calls announce_readiness and waits there to be killed.
pid_t start_and_await_readiness(void (*fn)(void));
void announce_readiness(void) __attribute__((noreturn));
void kill_party_now(pid_t party);

// Wait until nothing moves any more: true if the party has ended (and is joined), false if it sleeps
// although it may, says `may_sleep`.
bool got_through(pid_t party, bool (*may_sleep)(void), const char *who);
bool pipe_is_empty(void);
// What a party may do that has a life of its own: one record after the other, up to EPIPE.
void write_until_refused(size_t size);
void pause_a_little(void);
// Wait until a party sleeps, from a process that is not its parent.
void await_sleep_of(pid_t party);

#endif
