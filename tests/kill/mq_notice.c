// SPDX-License-Identifier: MIT
//
// tests/kill/mq_notice.c - notification and subscription: a dead registrant stands in nobody's way, and
// a message that was committed is told of though its sender died. See mq_queue.h.
#include "mq_scenarios.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { SIGNAL = SIGUSR1, VALUE = 4711, READY = 0 };

static pid_t party;

static struct sigevent by_signal(void)
{
	return (struct sigevent){
		.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGNAL, .sigev_value = {.sival_int = VALUE}};
}

static void block_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void await_signal(void)
{
	sigset_t set;
	siginfo_t info;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGNAL);
	do
		sig = sigwaitinfo(&set, &info);
	while (sig == -1 && errno == EINTR);
	KILL_CHECK(sig == SIGNAL && info.si_value.sival_int == VALUE, "signal %d, value %d", sig,
	           info.si_value.sival_int);
}

static void make_empty(void)
{
	block_signal();
	make_queue(4, SMALL);
}

// The survivor has been registered before: he and the victim are different holders.
static void make_empty_as_holder(void)
{
	const struct sigevent event = by_signal();

	make_empty();
	KILL_CHECK(ph_mq_notify(q, &event) == 0, "notify fails: %s", strerror(errno));
	KILL_CHECK(ph_mq_notify(q, NULL) == 0, "cannot unregister: %s", strerror(errno));
}

static void register_it(void)
{
	const struct sigevent event = by_signal();

	ph_mq_notify(q, &event);
}

static void unregister_it(void)
{
	ph_mq_notify(q, NULL);
}

static void subscribe_it(void)
{
	const struct sigevent event = by_signal();

	ph_mq_subscribe(q, &event);
}

static void unsubscribe_it(void)
{
	ph_mq_unsubscribe(q, 0);
}

static void close_it(void)
{
	ph_mq_close(q);
}

static void send_one(void)
{
	victim_send(3);
}

static void register_and_await(void)
{
	const struct sigevent event = by_signal();
	int *shared = kill_shared();

	KILL_CHECK(ph_mq_notify(q, &event) == 0, "notify fails: %s", strerror(errno));
	__atomic_store_n(&shared[READY], 1, __ATOMIC_SEQ_CST);
	await_signal();
}

static void subscribe_and_await(void)
{
	const struct sigevent event = by_signal();
	int *shared = kill_shared();

	KILL_CHECK(ph_mq_subscribe(q, &event) >= 0, "subscribe fails: %s", strerror(errno));
	__atomic_store_n(&shared[READY], 1, __ATOMIC_SEQ_CST);
	await_signal();
}

static void start(void (*fn)(void))
{
	const int *shared = kill_shared();
	const struct timespec moment = {.tv_nsec = 50000};

	make_empty();
	party = kill_party(fn);
	kill_note("a party registers");
	while (!__atomic_load_n(&shared[READY], __ATOMIC_SEQ_CST))
		nanosleep(&moment, NULL);
	kill_await_asleep(party);
}

static void make_with_registrant(void)
{
	start(register_and_await);
}

static void make_with_subscriber(void)
{
	start(subscribe_and_await);
}

// Whoever registers next is registered, and told.
static void expect_registration(void)
{
	const struct sigevent event = by_signal();

	kill_note("registering");
	KILL_CHECK(ph_mq_notify(q, &event) == 0, "cannot register: %s", strerror(errno));
	put(SURVIVORS, 0);
	kill_note("awaiting the notification");
	await_signal();
	expect_messages((const uint32_t[]){SURVIVORS, 0}, NULL);
	KILL_CHECK(ph_mq_notify(q, &event) == 0, "cannot register again: %s", strerror(errno));
	KILL_CHECK(ph_mq_notify(q, NULL) == 0, "cannot unregister: %s", strerror(errno));
}

static void expect_subscription(void)
{
	const struct sigevent event = by_signal();

	kill_note("subscribing");
	const int n = ph_mq_subscribe(q, &event);
	KILL_CHECK(n >= 0, "cannot subscribe: %s", strerror(errno));
	put(SURVIVORS, 0);
	kill_note("awaiting a subscribed event");
	await_signal();
	expect_messages((const uint32_t[]){SURVIVORS, 0}, NULL);
	KILL_CHECK(ph_mq_unsubscribe(q, n) == 0, "cannot unsubscribe: %s", strerror(errno));
}

static int others_can_register(void)
{
	expect_registration();
	expect_subscription();
	expect_capacity();
	return 0;
}

static int sent_and_others_can_register(void)
{
	const bool sent = expect_only((const uint32_t[]){0}, VICTIMS);

	others_can_register();
	return sent;
}

// If the message was committed, the party was told. It may be told in vain of one whose sender died
// on the way, as a poller may look in vain.
static int party_was_told(void)
{
	const bool told = party_got_through(party, 0, "the registrant");
	const bool sent = count_messages() != 0;

	if (!told) {
		put(SURVIVORS, 0);
		kill_join(party, "the registrant, after the next arrival");
		expect_messages((const uint32_t[]){SURVIVORS, 0}, NULL);
	} else {
		expect_only((const uint32_t[]){0}, VICTIMS);
	}
	expect_registration();
	expect_capacity();
	return sent;
}

static const struct kill_scenario scenarios[] = {
	{.name = "notify_registers",
     .prepare = make_empty,
     .operation = register_it,
     .after = others_can_register},
	{.name = "notify_registers_beside_holder",
     .prepare = make_empty_as_holder,
     .operation = register_it,
     .after = others_can_register},
	{.name = "notify_unregisters",
     .prepare = make_empty,
     .enter = register_it,
     .operation = unregister_it,
     .after = others_can_register},
	{.name = "close_unregisters",
     .prepare = make_empty_as_holder,
     .enter = register_it,
     .operation = close_it,
     .after = others_can_register},
	{.name = "send_fires_notification",
     .prepare = make_with_registrant,
     .operation = send_one,
     .after = party_was_told,
     .last = 1},
	{.name = "registrant_fires_its_own",
     .prepare = make_empty,
     .enter = register_it,
     .operation = send_one,
     .after = sent_and_others_can_register,
     .last = 1},
	{.name = "subscribe",
     .prepare = make_empty,
     .operation = subscribe_it,
     .after = others_can_register},
	{.name = "unsubscribe",
     .prepare = make_empty,
     .enter = subscribe_it,
     .operation = unsubscribe_it,
     .after = others_can_register},
	{.name = "send_tells_subscriber",
     .prepare = make_with_subscriber,
     .operation = send_one,
     .after = party_was_told,
     .last = 1},
};

const struct scenario_table mq_notice = SCENARIO_TABLE(scenarios);
