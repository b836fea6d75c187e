// SPDX-License-Identifier: MIT
//
// The operations that are recorded (record.h): the number of each is its place here, its name is what people, probes
// and programs see. Append only: recordings of another build may be read.
#ifndef PHI_CORE_OPERATIONS_H
#define PHI_CORE_OPERATIONS_H

// What the object of an entry is.
enum record_kind {
	RECORD_OF_QUEUE = 1, // key: inode, or phi_record_key_of its name
	RECORD_OF_SEM,       // address in the process, or of its name
	RECORD_OF_SHM,       // of its name
	RECORD_OF_PIPE,      // inode
	RECORD_OF_SIGNAL,    // phi_record_signal
	RECORD_OF_PORT,      // of its name
};

#define RECORD_OPERATIONS(X) \
	X(mq_open, QUEUE)        \
	X(mq_close, QUEUE)       \
	X(mq_unlink, QUEUE)      \
	X(mq_send, QUEUE)        \
	X(mq_receive, QUEUE)     \
	X(mq_peek, QUEUE)        \
	X(mq_notify, QUEUE)      \
	X(mq_subscribe, QUEUE)   \
	X(mq_unsubscribe, QUEUE) \
	X(mq_reserve, QUEUE)     \
	X(mq_commit, QUEUE)      \
	X(mq_borrow, QUEUE)      \
	X(mq_release, QUEUE)     \
	X(mq_cancel, QUEUE)      \
	X(sem_init, SEM)         \
	X(sem_destroy, SEM)      \
	X(sem_open, SEM)         \
	X(sem_close, SEM)        \
	X(sem_unlink, SEM)       \
	X(sem_wait, SEM)         \
	X(sem_trywait, SEM)      \
	X(sem_take, SEM)         \
	X(sem_post, SEM)         \
	X(sem_give, SEM)         \
	X(shm_open, SHM)         \
	X(shm_unlink, SHM)       \
	X(shm_map, SHM)          \
	X(shm_unmap, SHM)        \
	X(shm_grow, SHM)         \
	X(shm_seal, SHM)         \
	X(pipe, PIPE)            \
	X(open, PIPE)            \
	X(close, PIPE)           \
	X(read, PIPE)            \
	X(write, PIPE)           \
	X(pipe_reserve, PIPE)    \
	X(pipe_commit, PIPE)     \
	X(pipe_peek, PIPE)       \
	X(pipe_consume, PIPE)    \
	X(pipe_export, PIPE)     \
	X(kill, SIGNAL)          \
	X(sigqueue, SIGNAL)      \
	X(sigaction, SIGNAL)     \
	X(sigwait, SIGNAL)       \
	X(sigsuspend, SIGNAL)    \
	X(handler, SIGNAL)       \
	X(sigport_join, PORT)    \
	X(sigport_leave, PORT)   \
	X(sigport_send, PORT)

enum record_op {
	RECORD_none,
#define X(name, kind) RECORD_##name,
	RECORD_OPERATIONS(X)
#undef X
		RECORD_OPS, // how many there are
};

_Static_assert(RECORD_OPS <= 128, "seven bits");

#endif
