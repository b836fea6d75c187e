// SPDX-License-Identifier: MIT
//
// tests/pipe/line_pipe.h - a pipe in full flow that this process writes lines to, and a reader that checks
// them. A test does something to the writing end, goes on with l.next, and in the end expects that all
// lines were read.
#ifndef TESTS_PIPE_LINE_PIPE_H
#define TESTS_PIPE_LINE_PIPE_H

#include "flow.h"

// Fork a reader of lines in any number: they end with the file.
static inline void be_patient_line_reader(void *arg)
{
	const struct party *p = arg;
	struct lines l = {0};
	char buf[2000];
	ssize_t n;

	CHECK_OK(close(p->ends.w));
	while ((n = read(p->ends.r, buf, sizeof(buf))) > 0)
		CHECK(lines_feed(&l, buf, (size_t)n));
	CHECK_EQ(n, 0);
	atomic_store(p->until, l.next);
	CHECK_OK(close(p->ends.r));
}

struct line_pipe {
	int w;
	uint64_t next;                  // line
	_Atomic uint64_t *read, *wrote; // lines, when the one or the other has ended
	pid_t reader;
};

// A pipe whose reader checks lines, and which is in full flow already.
static inline struct line_pipe make_line_pipe(void)
{
	struct ends e = make_pipe();
	struct party p = {.ends = e, .until = make_until()};
	struct line_pipe l = {.w = e.w, .read = p.until, .wrote = make_until()};

	l.reader = test_fork(be_patient_line_reader, &p);
	CHECK_OK(close(e.r));
	l.next = write_lines_until_warm(l.w, 0);
	return l;
}

// The writer has closed its end: all lines have arrived.
static inline void expect_lines_read(struct line_pipe *l)
{
	test_join(l->reader);
	CHECK_EQ(*l->read, l->next);
}

#endif
