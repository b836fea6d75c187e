// SPDX-License-Identifier: MIT
//
// absent.c - in the place of the file system, where the command was built without libfuse3.
#include "mount.h"

#include "cli.h"

int mount_serve(const char *dir, bool foreground)
{
	(void)foreground;
	return cli_fail(
		STATUS_REFUSED, dir,
		"this posthaste was built without libfuse3 and cannot mount; install libfuse3-dev, "
		"and build it again with: make");
}
