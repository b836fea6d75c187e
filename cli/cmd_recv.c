// SPDX-License-Identifier: MIT
//
// cmd_recv.c - posthaste recv: takes messages and writes them to stdout.
//
// No message is lost between the queue and stdout: each is borrowed, written from where it stands,
// and released only when its last byte has been written. If stdout is closed or full, or a signal
// comes, the message goes back to its place in the queue. What is written in part and then put back is
// written again by the next receiver: at least once, never lost.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "payload.h"
#include "progress.h"
#include "queue.h"
#include "stop.h"

static const struct option options[] = {
	{"count", required_argument, NULL, 'n'},
	{"all", no_argument, NULL, 'a'},
	{"follow", no_argument, NULL, 'f'},
	{"timeout", required_argument, NULL, 't'},
	{"nonblock", no_argument, NULL, 'N'}, // no letter: -n is the count
	{"lines", no_argument, NULL, 'l'},
	{"whole", no_argument, NULL, 'w'},
	{"length-prefixed", no_argument, NULL, 'L'},
	{"show-priority", no_argument, NULL, 'P'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

struct receiving {
	char name[NAME_WHOLE_MAX];
	mqd_t mq;
	uint64_t wanted, taken;
	bool all, follow, nonblock;
	struct patience patience;
	struct sink sink;
};

// Borrowed and not yet written.
struct batch {
	size_t count;
	struct ph_mq_loan loan[SINK_BATCH];
	struct payload message[SINK_BATCH];
};

static int take_option(int opt, struct receiving *receiving)
{
	switch (opt) {
	case 'n':
		if (!cli_parse_count(optarg, 1, UINT64_MAX, &receiving->wanted))
			return cli_usage_error("-n %s is not a number of messages", optarg);
		return 0;
	case 'a': receiving->all = receiving->nonblock = true; return 0;
	case 'f': receiving->follow = true; return 0;
	case 't':
		if (!cli_parse_seconds(optarg, &receiving->patience.seconds))
			return cli_usage_error("--timeout %s is not a number of seconds", optarg);
		receiving->patience.limited = true;
		return 0;
	case 'P': receiving->sink.show_priority = true; return 0;
	case 'N': receiving->nonblock = true; return 0;
	default:
		receiving->sink.framing = opt == 'l'   ? FRAMING_LINES
		                          : opt == 'w' ? FRAMING_WHOLE
		                          : opt == 'j' ? FRAMING_JSON
		                                       : FRAMING_LENGTH;
		return 0;
	}
}

static int no_message(const struct receiving *receiving, int err)
{
	char so_far[64] = "";
	const char *const name = receiving->name;

	if (receiving->taken > 0)
		snprintf(so_far, sizeof so_far, " (%" PRIu64 " messages were received)", receiving->taken);
	switch (err) {
	case EAGAIN:
		if (receiving->all)
			return STATUS_DONE;
		return cli_fail(STATUS_REFUSED, name, "the queue is empty%s; wait with --timeout", so_far);
	case ETIMEDOUT:
		return cli_fail(STATUS_TIMED_OUT, name,
		                "no message within %g s%s; see who sends with: posthaste info %s",
		                receiving->patience.seconds, so_far, name + 1);
	case ENOBUFS:
		return cli_fail(STATUS_REFUSED, name,
		                "%d messages of it are on loan already%s; end some of its receivers",
		                PH_MQ_BORROWS, so_far);
	default: return queue_fail(name, err);
	}
}

static bool borrow(const struct receiving *receiving, struct batch *batch,
                   const struct timespec *until)
{
	struct ph_mq_loan *loan = &batch->loan[batch->count];

	if (ph_mq_clockborrow(receiving->mq, loan, CLOCK_MONOTONIC, until) != 0)
		return false;
	batch->message[batch->count] = (struct payload){loan->data, loan->size, loan->prio};
	batch->count++;
	return true;
}

static bool passed(const struct timespec *until)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return until && (now.tv_sec > until->tv_sec ||
	                 (now.tv_sec == until->tv_sec && now.tv_nsec >= until->tv_nsec));
}

// Waits for one message; 0 or errno. Loans that other receivers hold may be all there are: nobody is
// woken when one comes free, so that is looked for every few milliseconds.
static int wait_for_one(const struct receiving *receiving, struct batch *batch)
{
	static const struct timespec while_lent = {.tv_nsec = 5000000};
	struct timespec buffer;
	const struct timespec *until = patience_until(&receiving->patience, &buffer);

	while (!borrow(receiving, batch, until)) {
		if (errno == ENOBUFS && !receiving->nonblock && !passed(until))
			nanosleep(&while_lent, NULL);
		else if (errno != EINTR)
			return errno;
	}
	return 0;
}

// Waits for one message, then takes what else is there, up to the batch: a deadline in the past means
// "without waiting". Returns 0 or the errno of the first.
static int fill(const struct receiving *receiving, struct batch *batch)
{
	static const struct timespec past;
	const uint64_t left = receiving->wanted - receiving->taken;
	const size_t most = left < SINK_BATCH ? (size_t)left : SINK_BATCH;

	batch->count = 0;
	stop_idle(true);
	const int err = wait_for_one(receiving, batch);

	stop_idle(false);
	while (err == 0 && batch->count < most && !stop_asked() && borrow(receiving, batch, &past))
		;
	return err;
}

// Writes the batch; releases what went out and puts the rest back, the last first, so that they stand
// in the queue as before.
static int deliver(struct receiving *receiving, struct batch *batch)
{
	const size_t whole = sink_write(&receiving->sink, batch->message, batch->count);
	const int err = whole < batch->count ? errno : 0;

	for (size_t i = 0; i < whole; i++)
		if (ph_mq_release(receiving->mq, &batch->loan[i]) != 0)
			return queue_fail(receiving->name, errno);
	receiving->taken += whole;
	for (size_t i = batch->count; i > whole; i--)
		ph_mq_cancel(receiving->mq, &batch->loan[i - 1]);
	if (stop_asked())
		stop_now();
	return err ? sink_fail(err, "what it did not take went back to the queue") : STATUS_DONE;
}

static int receive_all(struct receiving *receiving)
{
	struct batch batch;
	int status = STATUS_DONE;

	if (isatty(STDOUT_FILENO) != 1)
		progress_begin("receiving", "messages",
		               receiving->wanted == UINT64_MAX ? 0 : receiving->wanted);
	while (status == STATUS_DONE && receiving->taken < receiving->wanted) {
		const int err = fill(receiving, &batch);

		if (err != 0) {
			status = no_message(receiving, err);
			break;
		}
		status = deliver(receiving, &batch);
		progress_at(receiving->taken);
	}
	progress_end();
	return status;
}

static int check_options(const struct receiving *receiving)
{
	if (receiving->sink.show_priority && receiving->sink.framing == FRAMING_LENGTH)
		return cli_usage_error(
			"--show-priority does not go with --length-prefixed; --json shows both");
	if (receiving->follow && receiving->nonblock)
		return cli_usage_error("--follow waits for ever: it does not go with --all or --nonblock");
	return 0;
}

static int receive_from(struct receiving *receiving)
{
	size_t msgsize;
	int status;

	stop_install();
	receiving->mq =
		queue_open(receiving->name, O_RDONLY | (receiving->nonblock ? O_NONBLOCK : 0), &msgsize);
	if (receiving->mq == (mqd_t)-1)
		return STATUS_REFUSED;
	status = receive_all(receiving);
	ph_mq_close(receiving->mq);
	return status;
}

static int run(int argc, char **argv)
{
	struct receiving receiving = {.wanted = 0};
	int opt, status;

	opterr = 0;
	while ((opt = getopt_long(argc, argv, ":n:aft:lwLPjh", options, NULL)) != -1) {
		if (opt == 'h' || opt == ':' || opt == '?')
			return cli_other_option(opt, argv);
		if ((status = take_option(opt, &receiving)) != 0)
			return status;
	}
	if (argc - optind != 1)
		return cli_usage_error("one name is needed");
	if (!queue_name(argv[optind], receiving.name))
		return STATUS_USAGE;
	if ((status = check_options(&receiving)) != 0)
		return status;
	if (receiving.wanted == 0)
		receiving.wanted = receiving.all || receiving.follow ? UINT64_MAX : 1;
	return receive_from(&receiving);
}

const struct command cmd_recv = {
	.name = "recv",
	.arguments = "NAME [-n COUNT | --all | --follow] [--timeout S | --nonblock] [--lines|--whole|"
				 "--length-prefixed|--json] [--show-priority]",
	.summary = "Receive messages to stdout.",
	.help =
		"  -n, --count COUNT       this many (default: 1)\n"
		"  -a, --all               what is there now, without waiting\n"
		"  -f, --follow            as they come, for ever (or until -n of them)\n"
		"  -t, --timeout S         wait at most S seconds for each message; then 124\n"
		"      --nonblock          do not wait for a message\n"
		"  stdout gets\n"
		"  -l, --lines             a newline after each message (default)\n"
		"  -w, --whole             the messages and nothing else\n"
		"  -L, --length-prefixed   before each message its length: 32 bits, little endian\n"
		"  -j, --json              an object a line: prio, size, and data or data_base64\n"
		"  -P, --show-priority     before each message its priority and a tab\n\n"
		"A message leaves the queue when its last byte was written: interrupted or with stdout\n"
		"closed, recv puts it back.\n",
	.run = run,
};
