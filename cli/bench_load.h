// SPDX-License-Identifier: MIT
//
// The workloads: what is done, how often, by whom, and the check that it was done right. They know
// a contestant only by its struct bench_ops, so that all of them run the very same code:
// bench_*_ops.c have the library's and the system's objects, bench/peers/ the others. bench_work.c and
// bench_events.c do the work with messages, bench_units.c with semaphores, bench_memory.c with memory,
// bench_signal_work.c with signals.
//
// Every message carries who sent it and its number at both ends, and every receiver checks them: a
// transport that loses, repeats, reorders or tears cannot look fast. Nor can a semaphore that loses a
// unit or lets two in, or memory that is not zero, or that two were given.
#ifndef CLI_BENCH_LOAD_H
#define CLI_BENCH_LOAD_H

#include "bench_core.h"
#include "bench_histogram.h"

#include <signal.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum bench_kind {
	BENCH_SAME,      // send + receive, or wait + post, in one process; one operation = both
	BENCH_FILL,      // one process fills the queue and drains it; one operation = send + receive
	BENCH_STREAM,    // senders to receivers; one operation = one message or unit passed on
	BENCH_ROUNDTRIP, // one process asks, one answers; one operation = there and back
	BENCH_IDLE,      // blocked receivers for a while; one operation = one receiver's wait
	BENCH_EVENTS, // one sender, many objects in turn; one receiver's epoll; one operation = a message
	BENCH_CONTEND, // processes that want one unit; one operation = wait, section, post, a pause as long
	BENCH_LIFE,   // one operation = create, map, touch every page, unmap, remove
	BENCH_VISIT,  // one operation = map an object that is there, touch a page, unmap
	BENCH_BLOCKS, // one operation = allocate + free, in each process
	BENCH_BURST,  // bursts of `depth` signals to a process that computes; one operation = a signal
	BENCH_SINGLE, // the same, one at a time: how long until its handler begins
	BENCH_CHECK,  // one operation = what a call of the library pays to see that no handler waits
};

#define BENCH_KINDS (BENCH_CHECK + 1)

// Kinds that take the time of each operation by itself.
static inline bool bench_has_samples(enum bench_kind kind)
{
	return kind == BENCH_ROUNDTRIP || kind == BENCH_SINGLE;
}

// A side that does not use the library, where the other one does.
enum bench_stranger { BENCH_NOBODY, BENCH_FOREIGN_SENDER, BENCH_FOREIGN_RECEIVER };

// Where a semaphore is.
enum bench_scope { BENCH_SHARED, BENCH_PRIVATE, BENCH_NAMED };

// What a worker is going to do with an object.
enum bench_role { BENCH_SENDER = 1, BENCH_RECEIVER = 2, BENCH_BOTH = 3, BENCH_POLLER = 4 };

struct bench_case {
	const char *test;  // unique within its room
	const char *what;  // for people
	const char *group; // cases to be compared with the first of them, or NULL; they stand in a row
	enum bench_kind kind;
	enum bench_layout layout;
	size_t size, depth; // bytes; messages, or units at the beginning
	bool show_cpu;      // CPU time is what this case is about
	bool show_calls;    // so are system calls
	bool by_size;       // a point of its room's curve of throughput by size
	bool for_report;    // runs in a report and where it is named, and else not

	// Asked for.
	bool kernels;    // what the library hands to the kernel's path for good
	bool zero_copy;  // the transport's loans, if it has any
	bool priorities; // all of them instead of one
	bool holders;    // what a killed process held comes back
	bool huge;       // huge pages
	bool standard;   // signals that merge, by kill

	// Messages.
	unsigned senders, receivers;
	size_t pipe_size; // not 0: a byte stream that holds so many bytes, instead of a depth
	unsigned objects; // BENCH_EVENTS: how many
	enum bench_stranger stranger;
	uint64_t warm; // BENCH_IDLE: messages that flow before

	// Semaphores and memory.
	unsigned processes; // BENCH_CONTEND, BENCH_BLOCKS
	enum bench_scope scope;
	unsigned work_ns; // BENCH_CONTEND: computing inside the section, and outside
	unsigned live;    // BENCH_BLOCKS: that each process has at a time
	size_t smallest;  // BENCH_BLOCKS: sizes from here to `size`; 0: `size` only
};

#define BENCH_CONTESTANTS 4

// What can be measured in one room: its cases, up to one without a name, and the contestants: the
// library, what the system has for it, and what else it has.
struct bench_room {
	const char *name, *what;
	const char *capacity; // a column: what holds back a sender (depth, pipe); NULL: processes
	const struct bench_case *cases;
	const struct bench_ops *contestant[BENCH_CONTESTANTS + 1];
};

extern const struct bench_case bench_mq_cases[];                         // bench_mq.c
extern const struct bench_ops bench_mq_posthaste, bench_mq_kernel;       // bench_mq_ops.c
extern const struct bench_case bench_pipe_cases[];                       // bench_pipe.c
extern const struct bench_ops bench_pipe_posthaste, bench_pipe_kernel;   // bench_pipe_ops.c
extern const struct bench_case bench_sem_cases[];                        // bench_sem.c
extern const struct bench_ops bench_sem_posthaste, bench_sem_libc;       // bench_sem_ops.c
extern const struct bench_ops bench_sem_sysv, bench_sem_flock;           // bench_sem_other.c
extern const struct bench_case bench_shm_cases[], bench_arena_cases[];   // bench_shm.c
extern const struct bench_ops bench_shm_posthaste, bench_shm_system;     // bench_shm_ops.c
extern const struct bench_ops bench_shm_reserved;                        // bench_shm_ops.c
extern const struct bench_ops bench_arena_posthaste, bench_arena_malloc; // bench_arena_ops.c

extern const struct bench_case bench_signal_cases[];  // bench_signal.c
extern const struct bench_ops bench_signal_posthaste; // bench_signal_ops.c
extern const struct bench_ops bench_signal_kernel;    // bench_signal_ops.c

#define BENCH_MIN_SIZE 24
#define BENCH_MARKS_EVERY 4096 // a byte stream's messages are marked so often, besides both ends

// One end of a transport, in one process.
struct bench_end {
	char name[64];
	const struct bench_case *c;
	size_t size, depth;   // as wanted; create may lower them to what the transport allows
	size_t pipe_size;     // the same; may be raised, too
	enum bench_role role; // for attach
	bool polled;          // both sides run all the time: a contestant may poll instead of sleeping
	int fd;               // for epoll, too
	int fds[2];           // of a pipe: to receive from, to send to
	void *state;
};

struct bench_ops {
	const char *name;
	// In the leader: make the object, remove it.
	int (*create)(struct bench_end *end);
	void (*destroy)(struct bench_end *end);
	// In a worker: get at it by name. Send and receive block. 0 or a length, -1 with errno.
	int (*attach)(struct bench_end *end);
	int (*send)(struct bench_end *end, const void *data, size_t len, unsigned prio);
	ssize_t (*receive)(struct bench_end *end, void *data, size_t room, unsigned *prio);
	// Without waiting: what is there, of whole messages; 0 if nothing.
	ssize_t (*receive_some)(struct bench_end *end, void *data, size_t room);
	// In place; NULL if the transport cannot. A transport without `send` always reserves.
	void *(*reserve)(struct bench_end *end);
	int (*commit)(struct bench_end *end, size_t len, unsigned prio);
	const void *(*borrow)(struct bench_end *end, size_t *len);
	int (*release)(struct bench_end *end);
	bool one_to_one; // cannot have several senders or receivers, nor priorities

	// Semaphores. `pairs` waits and posts n times by itself: a call through a pointer would count.
	int (*post)(struct bench_end *end);
	int (*wait)(struct bench_end *end);
	int (*pairs)(struct bench_end *end, uint64_t n);
	long (*units)(struct bench_end *end); // that are there now

	// Shared memory: make the object and map it; map what `create` has made (BENCH_VISIT only); unmap;
	// remove the name. NULL or -1 with errno.
	void *(*make)(struct bench_end *end);
	void *(*map)(struct bench_end *end);
	int (*unmap)(struct bench_end *end, void *at);
	int (*remove)(struct bench_end *end);

	// Blocks of memory, told by a number that is the same in every process, if it has several. 0 or -1: it
	// failed.
	uint64_t (*allocate)(struct bench_end *end, size_t bytes);
	int (*deallocate)(struct bench_end *end, uint64_t block);
	void *(*address)(struct bench_end *end, uint64_t block);

	// Signals, as POSIX has them: sigqueue, kill, sigwaitinfo, sigaction. `call` makes n empty calls, with what a call of
	// the library does at its end, or without.
	int (*queue)(pid_t to, int sig, union sigval value);
	int (*kill)(pid_t to, int sig);
	int (*take)(const sigset_t *set, siginfo_t *info);
	int (*handle)(int sig, const struct sigaction *act, struct sigaction *old);
	void (*call)(uint64_t n, bool checked);

	bool (*can)(const struct bench_case *c); // NULL: all of its room
};

// One repetition's figures, per operation.
struct bench_sample {
	double ns;             // wall clock
	double cpu_ns;         // CPU time of all workers together (of the receivers, for BENCH_IDLE)
	double switches;       // context switches of all workers together
	double calls;          // system calls of all workers together; only from bench_count_calls
	double p50_ns, p99_ns; // BENCH_ROUNDTRIP, BENCH_SINGLE: of single ones; else 0
	struct bench_histogram latency; // of the same
	size_t size, depth;             // in fact used
	size_t pipe_size;
	double huge;       // share of the memory that was in huge pages, 0 to 1
	const char *error; // not NULL: it failed, and why
};

// How many processes take part.
size_t bench_workers(const struct bench_case *c);

// True if these ops can do this case at all.
bool bench_can(const struct bench_case *c, const struct bench_ops *ops);

// How many operations take about `ns` nanoseconds, found by trying; 0 with sample->error if it
// failed.
uint64_t bench_calibrate(const struct bench_case *c, const struct bench_ops *ops, int64_t ns,
                         struct bench_sample *sample);

// Run one repetition of `count` operations (BENCH_IDLE: for `count` nanoseconds).
void bench_repeat(const struct bench_case *c, const struct bench_ops *ops, uint64_t count,
                  struct bench_sample *sample);

// The same, in order to count system calls; its times are of no use. False if it cannot be known.
bool bench_count_calls(const struct bench_case *c, const struct bench_ops *ops, uint64_t count,
                       struct bench_sample *sample);

#ifdef __cplusplus
}
#endif
#endif
