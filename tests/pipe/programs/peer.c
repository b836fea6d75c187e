// SPDX-License-Identifier: MIT
//
// tests/pipe/programs/peer.c - one end of a pipe in a program of its own. Built twice: as `peer` with the
// library, and as `stranger` without it. What goes through is told in record.h.
//
//   peer [WHERE] write WRITER COUNT SIZE   records       peer [WHERE] check WRITERS COUNT SIZE
//   peer [WHERE] lines FROM TO             lines         peer [WHERE] expect FROM TO
//   peer [WHERE] pattern FROM TO           pattern       peer [WHERE] match FROM TO
//   peer copy                              from 0 to 1
//
// The second column reads up to the end of file and judges by the exit status: 0 = all of it came. SIZE
// is the size of each record, or v and the largest. WHERE is one of
//
//   (nothing)    the standard input or output
//   on FD        another descriptor that was inherited
//   adopt FD     the one that comes over the UNIX socket FD
//   open PATH    a FIFO
#include "../record.h"

#include <fcntl.h>
#include <sys/socket.h>

static int in = 0, out = 1;

static uint64_t number(const char *text)
{
	return strtoull(text, NULL, 10);
}

static struct shape shape(const char *text)
{
	const bool vary = text[0] == 'v';

	return (struct shape){.size = (unsigned)number(text + vary), .vary = vary};
}

/* ---- where ---- */

static int adopt(int sock)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	char byte;
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &control,
	                     .msg_controllen = sizeof(control)};
	int fd = -1;

	if (recvmsg(sock, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	close(sock);
	return fd;
}

static int find_end(const char *where, const char *what, bool writes)
{
	if (!strcmp(where, "on"))
		return (int)number(what);
	if (!strcmp(where, "adopt"))
		return adopt((int)number(what));
	return open(what, writes ? O_WRONLY : O_RDONLY);
}

/* ---- the writing commands ---- */

static bool put_records(char **arg)
{
	return write_records(write, out, shape(arg[2]), (unsigned)number(arg[0]),
	                     (uint32_t)number(arg[1]));
}

static bool put_lines(char **arg)
{
	const uint64_t to = number(arg[1]);

	for (uint64_t n = number(arg[0]); n < to; n++)
		if (!write_line(write, out, n))
			return false;
	return true;
}

static bool put_pattern(char **arg)
{
	const uint64_t to = number(arg[1]);
	char buf[20000];

	for (uint64_t at = number(arg[0]), n; at < to; at += n) {
		n = 1 + mix(at) % sizeof(buf);
		n = n < to - at ? n : to - at;
		pattern_fill(buf, at, n);
		if (!write_all(write, out, buf, n))
			return false;
	}
	return true;
}

/* ---- the reading commands ---- */

static ssize_t take(char *buf, size_t size, uint64_t turn)
{
	const size_t n = 1 + mix(turn) % size;

	return read(in, buf, n);
}

static bool check_records(char **arg)
{
	struct records r = {.shape = shape(arg[2])};
	char buf[20000];
	ssize_t n;

	for (uint64_t turn = 0; (n = take(buf, sizeof(buf), turn)) > 0; turn++)
		if (!records_feed(&r, buf, (size_t)n))
			return false;
	return n == 0 && records_complete(&r, (unsigned)number(arg[0]), (uint32_t)number(arg[1]));
}

static bool expect_lines(char **arg)
{
	struct lines l = {.next = number(arg[0])};
	char buf[2000];
	ssize_t n;

	for (uint64_t turn = 0; (n = take(buf, sizeof(buf), turn)) > 0; turn++)
		if (!lines_feed(&l, buf, (size_t)n))
			return false;
	if (n == 0 && l.next == number(arg[1]) && !l.begun)
		return true;
	fprintf(stderr, "the lines from %llu on are missing\n", (unsigned long long)l.next);
	return false;
}

static bool match_pattern(char **arg)
{
	const uint64_t to = number(arg[1]);
	uint64_t at = number(arg[0]);
	char buf[20000];
	ssize_t n;

	while ((n = take(buf, sizeof(buf), at)) > 0) {
		if (!pattern_match(buf, at, (size_t)n))
			return false;
		at += (uint64_t)n;
	}
	if (n == 0 && at == to)
		return true;
	fprintf(stderr, "%llu bytes instead of %llu\n", (unsigned long long)at, (unsigned long long)to);
	return false;
}

static bool copy(char **arg)
{
	char buf[20000];
	ssize_t n;

	(void)arg;
	for (uint64_t turn = 0; (n = take(buf, sizeof(buf), turn)) > 0; turn++)
		if (!write_all(write, out, buf, (size_t)n))
			return false;
	return n == 0;
}

static const struct command {
	const char *name;
	bool (*run)(char **arg);
	int args;
	bool writes;
} commands[] = {
	{"write", put_records, 3, true},
	{"lines", put_lines, 2, true},
	{"pattern", put_pattern, 2, true},
	{"check", check_records, 3, false},
	{"expect", expect_lines, 2, false},
	{"match", match_pattern, 2, false},
	{"copy", copy, 0, true},
};

static const struct command *find_command(int args, char **arg)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (args > commands[i].args && !strcmp(arg[0], commands[i].name))
			return &commands[i];
	return NULL;
}

static void use_end(const struct command *command, char **where)
{
	const int fd = find_end(where[0], where[1], command->writes);

	if (command->writes)
		out = fd;
	else
		in = fd;
}

int main(int argc, char **argv)
{
	char **arg = argv + 1;
	const struct command *command = find_command(argc - 1, arg);

	if (!command && argc > 3) {
		arg += 2;
		command = find_command(argc - 3, arg);
		if (command)
			use_end(command, argv + 1);
	}
	if (!command)
		return 2;
	if (command->run(arg + 1))
		return 0;
	fprintf(stderr, "%s %s: failed (%s)\n", argv[0], command->name, strerror(errno));
	return 1;
}
