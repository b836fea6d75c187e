// SPDX-License-Identifier: MIT
//
// _exit and _Exit, by which children of a fork usually end: what is told of a process goes with a normal end, and only who is
// killed leaves it.
#include "preload.h"

#include "core/record.h"

#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

PHI_PUBLIC void _exit(int status)
{
	phi_record_exit();
	for (;;)
		syscall(SYS_exit_group, status);
}

PHI_PUBLIC void _Exit(int status)
{
	_exit(status);
}
