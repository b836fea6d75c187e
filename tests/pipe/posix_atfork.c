// SPDX-License-Identifier: MIT
//
// tests/pipe/posix_atfork.c - a program's own fork handlers make, use and close pipes.
#include "atfork.h"

#include "ends.h"

static void use_pipe(void)
{
	int p[2];

	make_pipe(p);
	put(p[W], "word");
	expect(p[R], "word");
	drop_pipe(p);
}

TEST(fork_handlers_make_and_use_pipes)
{
	use_in_fork_handlers(use_pipe);
}

static int kept[2];

static void use_kept_pipe(void)
{
	put(kept[W], "word");
	expect(kept[R], "word");
}

TEST(fork_handlers_use_a_pipe_of_before)
{
	make_pipe(kept);
	use_in_fork_handlers(use_kept_pipe);
	drop_pipe(kept);
}
