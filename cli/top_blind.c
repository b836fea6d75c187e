// SPDX-License-Identifier: MIT
//
// top_blind.c - posthaste top where the build had no ncurses: the live view is not there, --once is.
#include "cli.h"
#include "top.h"

int top_screen(struct top_view *view)
{
	(void)view;
	return cli_fail(
		STATUS_REFUSED, NULL,
		"this build has no live view, for want of ncurses; see one look with: posthaste "
		"top --once");
}
