// SPDX-License-Identifier: MIT
//
// tests/mq/mq_loan_death.c - loans whose holder dies, forks or execs: a borrowed message comes back to its
// place, a reserved room is free again, sleepers are woken for it, and nobody else's loan is touched.
#include <posthaste/posix.h>

#include "loan.h"
#include "readiness.h"

// What a child of a test is to take and how it tells that it has.
struct holder {
	atomic_int ready;
	atomic_int child;
	int borrows;
	int reserves;
	bool in_a_thread;
	bool end; // by _exit, or stay
};

static void *take_loans(void *arg)
{
	struct holder *holder = arg;
	mqd_t q = open_queue(O_RDWR | O_NONBLOCK);
	struct ph_mq_loan loan;

	for (int i = 0; i < holder->borrows; i++)
		CHECK_OK(ph_mq_borrow(q, &loan));
	for (int i = 0; i < holder->reserves; i++)
		CHECK_OK(ph_mq_reserve(q, &loan));
	return NULL;
}

static void hold(void *arg)
{
	struct holder *holder = arg;
	pthread_t thread;

	if (holder->in_a_thread) {
		CHECK_EQ(pthread_create(&thread, NULL, take_loans, holder), 0);
		CHECK_EQ(pthread_join(thread, NULL), 0);
	} else {
		take_loans(holder);
	}
	atomic_store(&holder->ready, 1);
	while (!holder->end)
		pause();
}

static pid_t start_holder(struct holder *holder, int borrows, int reserves)
{
	holder->borrows = borrows;
	holder->reserves = reserves;
	atomic_store(&holder->ready, 0);
	pid_t pid = test_fork(hold, holder);
	wait_count(&holder->ready, 1);
	return pid;
}

TEST(killed_borrowers_message_comes_back_to_its_place)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(5, SMALL);

	for (int round = 0; round < 20; round++) {
		put(q, "first", 5);
		put(q, "second", 5);
		put(q, "lower", 1);
		pid_t pid = start_holder(holder, 1, 0);
		put(q, "third", 5);
		test_kill(pid);
		expect(q, "first", 5);
		expect(q, "second", 5);
		expect(q, "third", 5);
		expect(q, "lower", 1);
	}
	expect_capacity(q, 5);
	drop_queue(q);
}

TEST(all_that_a_killed_borrower_held_comes_back_in_order)
{
	enum { HELD = 20 };
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(HELD + 2, SMALL);

	for (uint64_t i = 0; i < HELD + 2; i++)
		put_number(q, i, 7);
	pid_t pid = start_holder(holder, HELD, 0);
	CHECK_EQ(current(q), 2);
	test_kill(pid);
	for (uint64_t i = 0; i < HELD + 2; i++)
		CHECK_EQ(take_number(q), i);
	expect_capacity(q, HELD + 2);
	drop_queue(q);
}

TEST(killed_borrowers_message_wakes_a_blocked_receiver)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(2, SMALL);

	for (int round = 0; round < 20; round++) {
		struct worker w;
		put(q, "only", 3);
		pid_t pid = start_holder(holder, 1, 0);
		start_and_block(&w, work_receive, q);
		test_kill(pid);
		finish(&w);
		CHECK_EQ(w.result, 4);
		CHECK_EQ(w.prio, 3);
	}
	expect_capacity(q, 2);
	drop_queue(q);
}

TEST(killed_borrowers_message_is_there_for_calls_that_do_not_block)
{
	struct holder *holder = share(sizeof(*holder));
	struct timespec past = in_ms(-1000);
	mqd_t q = make_queue(2, SMALL);
	char buf[SMALL];

	set_nonblock(q, true);
	for (int kind = 0; kind < 3; kind++) {
		struct ph_mq_loan loan;
		put(q, "only", 3);
		test_kill(start_holder(holder, 1, 0));
		if (kind == 0)
			CHECK_EQ(ph_mq_peek(q, buf, sizeof(buf), NULL), 4);
		if (kind == 1) {
			CHECK_OK(ph_mq_borrow(q, &loan));
			CHECK_OK(ph_mq_cancel(q, &loan));
		}
		CHECK_EQ(mq_timedreceive(q, buf, sizeof(buf), NULL, &past), 4);
	}
	drop_queue(q);
}

TEST(killed_borrowers_message_makes_the_queue_readable)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(2, SMALL);

	expect_ready(q, POLLOUT);
	put(q, "only", 3);
	pid_t pid = start_holder(holder, 1, 0);
	expect_ready(q, POLLOUT);
	test_kill(pid);
	expect_ready(q, POLLIN | POLLOUT);
	drop_queue(q);
}

TEST(getattr_counts_a_killed_borrowers_message)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(2, SMALL);

	put(q, "only", 3);
	test_kill(start_holder(holder, 1, 0));
	CHECK_EQ(current(q), 1);
	drop_queue(q);
}

static void receive_one(void *arg)
{
	(void)arg;
	expect(open_queue(O_RDONLY), "one", 0);
}

TEST(two_messages_of_a_killed_borrower_wake_two_blocked_receivers)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(2, SMALL);
	pid_t receiver[2];

	put(q, "one", 0);
	put(q, "one", 0);
	pid_t pid = start_holder(holder, 2, 0);
	for (int i = 0; i < 2; i++) {
		receiver[i] = test_fork(receive_one, NULL);
		test_wait_asleep(receiver[i]);
	}
	test_kill(pid);
	for (int i = 0; i < 2; i++)
		test_join(receiver[i]);
	drop_queue(q);
}

TEST(killed_borrowers_message_ends_a_timed_wait)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(2, SMALL);
	struct worker w = {.deadline = in_ms(50000)};

	put(q, "only", 3);
	pid_t pid = start_holder(holder, 1, 0);
	start_and_block(&w, work_timedreceive, q);
	test_kill(pid);
	finish(&w);
	CHECK_EQ(w.result, 4);
	drop_queue(q);
}

TEST(message_borrowed_by_a_thread_that_ended_comes_back_when_the_process_dies)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(2, SMALL);

	holder->in_a_thread = true;
	put(q, "only", 3);
	pid_t pid = start_holder(holder, 1, 1);
	expect_empty(q);
	CHECK_EQ(info().borrowed, 1);
	test_kill(pid);
	expect(q, "only", 3);
	expect_capacity(q, 2);
	drop_queue(q);
}

TEST(ordinary_exit_gives_back_too)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(2, SMALL);

	holder->end = true;
	put(q, "only", 3);
	test_join(start_holder(holder, 1, 1));
	expect(q, "only", 3);
	expect_capacity(q, 2);
	drop_queue(q);
}

TEST(rooms_of_a_killed_reserver_come_back)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(3, SMALL);
	const int spares = (int)info().spares;
	struct ph_mq_loan loan;

	for (int round = 0; round < 10; round++) {
		pid_t pid = start_holder(holder, 0, spares);
		CHECK_ERR(ph_mq_reserve(q, &loan), ENOBUFS);
		test_kill(pid);
		CHECK_OK(ph_mq_reserve(q, &loan));
		CHECK_OK(ph_mq_cancel(q, &loan));
	}
	test_kill(start_holder(holder, 0, spares));
	expect_capacity(q, 3);
	drop_queue(q);
}

TEST(death_of_one_holder_leaves_the_loans_of_others)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(4, SMALL);
	struct ph_mq_loan message;
	struct ph_mq_loan room;

	put(q, "mine", 9);
	put(q, "theirs", 8);
	CHECK_OK(ph_mq_borrow(q, &message));
	CHECK_OK(ph_mq_reserve(q, &room));
	memcpy(room.data, "room", 4);
	test_kill(start_holder(holder, 1, 1));
	expect(q, "theirs", 8);
	expect_empty(q);
	CHECK(memcmp(message.data, "mine", 4) == 0);
	CHECK_OK(ph_mq_release(q, &message));
	CHECK_OK(ph_mq_commit(q, &room, 4, 2));
	expect(q, "room", 2);
	expect_capacity(q, 4);
	drop_queue(q);
}

static void commit_and_stay(void *arg)
{
	struct holder *holder = arg;
	mqd_t q = open_queue(O_RDWR);
	struct ph_mq_loan loan;

	CHECK_OK(ph_mq_reserve(q, &loan));
	memcpy(loan.data, "committed", 9);
	CHECK_OK(ph_mq_commit(q, &loan, 9, 1));
	atomic_store(&holder->ready, 1);
	for (;;)
		pause();
}

TEST(message_that_was_committed_outlives_its_sender)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(2, SMALL);

	pid_t pid = test_fork(commit_and_stay, holder);
	wait_count(&holder->ready, 1);
	test_kill(pid);
	expect(q, "committed", 1);
	expect_capacity(q, 2);
	drop_queue(q);
}

/* ---- the last holder of the queue dies ---- */

TEST(borrowed_message_is_there_when_the_queue_is_opened_after_everybody_died)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(3, SMALL);

	put(q, "first", 1);
	put(q, "second", 1);
	pid_t pid = start_holder(holder, 1, 2);
	CHECK_OK(mq_close(q));
	test_kill(pid);
	q = open_queue(O_RDWR);
	expect(q, "first", 1);
	expect(q, "second", 1);
	expect_capacity(q, 3);
	drop_queue(q);
}

/* ---- fork and exec ---- */

struct family {
	mqd_t q;
	struct ph_mq_loan message;
	struct ph_mq_loan room;
};

static void meddle_with_the_parents_loans(void *arg)
{
	struct family *family = arg;

	CHECK_ERR(ph_mq_release(family->q, &family->message), ESTALE);
	CHECK_ERR(ph_mq_cancel(family->q, &family->message), ESTALE);
	CHECK_ERR(ph_mq_cancel(family->q, &family->room), ESTALE);
	CHECK_ERR(ph_mq_commit(family->q, &family->room, 1, 0), ESTALE);
	CHECK_OK(mq_close(family->q));
}

TEST(child_can_neither_end_nor_lose_its_parents_loans)
{
	mqd_t q = make_queue(3, SMALL);
	struct family family = {.q = q};

	put(q, "mine", 0);
	CHECK_OK(ph_mq_borrow(q, &family.message));
	CHECK_OK(ph_mq_reserve(q, &family.room));
	test_join(test_fork(meddle_with_the_parents_loans, &family));
	CHECK_EQ(info().borrowed, 1);
	CHECK_EQ(info().reserved, 1);
	CHECK_OK(ph_mq_release(q, &family.message));
	CHECK_OK(ph_mq_commit(q, &family.room, 0, 0));
	expect(q, "", 0);
	expect_capacity(q, 3);
	drop_queue(q);
}

static void take_own_loans_on_inherited(void *arg)
{
	struct family *family = arg;
	struct ph_mq_loan own;

	CHECK_OK(ph_mq_borrow(family->q, &own));
	CHECK(memcmp(own.data, "second", 6) == 0);
	CHECK_OK(ph_mq_release(family->q, &own));
	CHECK_OK(ph_mq_borrow(family->q, &own));
	CHECK(memcmp(own.data, "third", 5) == 0);
}

TEST(child_has_loans_of_its_own_on_the_descriptor_it_inherits)
{
	mqd_t q = make_queue(3, SMALL);
	struct family family = {.q = q};

	put(q, "first", 0);
	put(q, "second", 0);
	put(q, "third", 0);
	CHECK_OK(ph_mq_borrow(q, &family.message));
	test_join(test_fork(take_own_loans_on_inherited, &family));
	CHECK_OK(ph_mq_release(q, &family.message));
	expect(q, "third", 0);
	expect_capacity(q, 3);
	drop_queue(q);
}

struct pipes {
	int to_child[2];
	int to_parent[2];
};

static void borrow_and_exec(void *arg)
{
	struct pipes *pipes = arg;
	mqd_t q = open_queue(O_RDWR);
	struct ph_mq_loan loan;

	CHECK_OK(ph_mq_borrow(q, &loan));
	CHECK_OK(ph_mq_reserve(q, &loan));
	CHECK_OK(dup2(pipes->to_child[0], 0));
	CHECK_OK(dup2(pipes->to_parent[1], 1));
	CHECK_OK(close(pipes->to_child[1]));
	execlp("sh", "sh", "-c", "echo started; read line; exit 0", (char *)NULL);
	_exit(2);
}

TEST(exec_gives_back_though_the_process_lives_on)
{
	mqd_t q = make_queue(2, SMALL);
	struct pipes pipes;
	char buf[8];

	CHECK_OK(pipe(pipes.to_child));
	CHECK_OK(pipe(pipes.to_parent));
	put(q, "only", 4);
	pid_t pid = test_fork(borrow_and_exec, &pipes);
	CHECK_EQ(read(pipes.to_parent[0], buf, 8), 8);
	expect(q, "only", 4);
	expect_capacity(q, 2);
	CHECK_EQ(write(pipes.to_child[1], "\n", 1), 1);
	test_join(pid);
	for (int i = 0; i < 2; i++) {
		CHECK_OK(close(pipes.to_child[i]));
		CHECK_OK(close(pipes.to_parent[i]));
	}
	drop_queue(q);
}

/* ---- death at any moment ---- */

static void borrow_for_ever(void *arg)
{
	mqd_t q = open_queue(O_RDWR);

	(void)arg;
	for (unsigned i = 0;; i++) {
		struct ph_mq_loan message;
		struct ph_mq_loan room;
		CHECK_OK(ph_mq_borrow(q, &message));
		CHECK_OK(ph_mq_reserve(q, &room));
		CHECK_OK(ph_mq_cancel(q, i % 2 ? &message : &room));
		CHECK_OK(ph_mq_cancel(q, i % 2 ? &room : &message));
	}
}

TEST(borrowers_killed_at_random_lose_and_double_nothing)
{
	enum { HELD = 6 };
	mqd_t q = make_queue(HELD, SMALL);
	unsigned seed = 3;
	unsigned seen = 0;

	for (uint64_t i = 0; i < HELD; i++)
		put_number(q, i, 0);
	for (int round = 0; round < 100; round++) {
		pid_t one = test_fork(borrow_for_ever, NULL);
		pid_t two = test_fork(borrow_for_ever, NULL);
		for (int i = rand_r(&seed) % 2000; i > 0; i--) {
			struct ph_mq_loan loan;
			CHECK_OK(ph_mq_borrow(q, &loan));
			CHECK_OK(ph_mq_cancel(q, &loan));
		}
		test_kill(one);
		test_kill(two);
	}
	for (int i = 0; i < HELD; i++)
		seen |= 1U << take_number(q);
	CHECK_EQ(seen, (1U << HELD) - 1);
	expect_capacity(q, HELD);
	drop_queue(q);
}

/* ---- a holder's child that lives on ---- */

static void hold_with_a_child(void *arg)
{
	struct holder *holder = arg;

	take_loans(holder);
	pid_t pid = (pid_t)CHECK_OK(fork());
	if (pid == 0) {
		atomic_store(&holder->child, getpid());
		atomic_store(&holder->ready, 1);
	}
	for (;;)
		pause();
}

// The child shares its parent's memory maps and descriptors; that must not make the parent seem alive.
TEST(child_that_lives_on_does_not_keep_its_killed_parents_loans)
{
	struct holder *holder = share(sizeof(*holder));
	mqd_t q = make_queue(2, SMALL);

	put(q, "only", 3);
	holder->borrows = 1;
	holder->reserves = 1;
	pid_t pid = test_fork(hold_with_a_child, holder);
	wait_count(&holder->ready, 1);
	pid_t child = atomic_load(&holder->child);
	test_kill(pid);
	struct timespec limit = in_ms(10000);
	char buf[SMALL];
	CHECK_EQ(mq_timedreceive(q, buf, sizeof(buf), NULL, &limit), 4);
	expect_capacity(q, 2);
	CHECK_OK(kill(child, SIGKILL));
	drop_queue(q);
}
