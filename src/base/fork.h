// SPDX-License-Identifier: MIT
//
// What is done at a fork, by all rooms. One pthread_atfork for all of them, made when the library is loaded: POSIX calls
// those who came first last before the fork, and first after it. So a program's own handlers, which may use pipes,
// semaphores and signals, find nothing locked.
#ifndef PHI_BASE_FORK_H
#define PHI_BASE_FORK_H

struct phi_fork_steps {
	void (*before)(void); // each may be NULL
	void (*in_parent)(void);
	void (*in_child)(void);
};

// Once for each room, for as long as the process lives. Before a fork who came last is called first; afterwards who came
// first. It may be called while another thread forks, which then does without.
void phi_fork_arrange(const struct phi_fork_steps *steps);

#endif
