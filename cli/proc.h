// SPDX-License-Identifier: MIT
//
// proc.h - processes and threads as the kernel tells of them in /proc: what they have open, which call a thread
// sleeps in and for how long. Nothing here stops, signals or traces anybody. What may not be looked at, or is gone
// by then, is told as such.
#ifndef PROC_H
#define PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

// The numbers in a directory such as /proc or /proc/7/task, as they come. The caller frees.
pid_t *proc_numbers(const char *directory, size_t *count);
pid_t *proc_threads(pid_t pid, size_t *count);

struct proc_stat {
	pid_t parent;
	char state; // R, S, D, T (stopped), t (traced), Z
	uint64_t cpu_ns;
	uint64_t switches; // voluntary: how often it went to sleep, of the first thread
	uint64_t started;  // ticks since boot: tells two processes of one number apart
	uid_t uid;
};
bool proc_stat(pid_t pid, struct proc_stat *stat);

// The children that a thread has made, as the kernel lists them. False: it does not.
bool proc_children(pid_t pid, pid_t tid, void (*one)(void *arg, pid_t child), void *arg);

pid_t proc_of_thread(pid_t tid); // the process that it belongs to; 0 = gone

// Every descriptor: 0, or -errno where they may not be looked at. Reads and writes are what it was opened for.
struct proc_fd {
	int fd;
	bool reads, writes;
	struct stat file;
};
int proc_each_fd(pid_t pid, void (*one)(void *arg, const struct proc_fd *fd), void *arg);

// Every mapping that is shared between processes.
struct proc_map {
	uint64_t start, end, offset;
	dev_t device;
	ino_t inode;
	const char *path; // may end with " (deleted)"; empty: none
};
int proc_each_shared_map(pid_t pid, void (*one)(void *arg, const struct proc_map *map), void *arg);

// Whether an address of the process is its own alone.
bool proc_is_private(pid_t pid, uint64_t address);

// The locks of one descriptor's open file description, by kind and first byte, as fdinfo lists them.
void proc_each_lock(pid_t pid, int fd, void (*one)(void *arg, int64_t byte, bool exclusive),
                    void *arg);

// The system call in which a thread sleeps: 1; 0: it sleeps in none, it runs; -errno: it may not be looked at, or is
// gone.
struct proc_call {
	long number;
	uint64_t argument[6];
};
int proc_call(pid_t pid, pid_t tid, struct proc_call *call);

// What the kernel calls the place where the thread sleeps, such as "pipe_read"; empty: none, or not told.
enum { PROC_PLACE_MAX = 64 };
const char *proc_place(pid_t pid, pid_t tid, char place[PROC_PLACE_MAX]);

// For how long it has been off the CPU, by the scheduler's own record; -1 = cannot tell.
int64_t proc_asleep_ms(pid_t pid, pid_t tid);

// What a descriptor of it leads to, as the kernel writes it: a path, "pipe:[7]". False: not told.
bool proc_link(pid_t pid, int fd, char *text, size_t size);

// A text that ends with a zero, in the memory of another process; false as proc_read.
bool proc_text(pid_t pid, uint64_t address, char *to, size_t size);

// Copies memory of another process. False: it may not be, or is not there.
bool proc_read(pid_t pid, uint64_t address, void *to, size_t size);

#endif
