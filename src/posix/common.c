// SPDX-License-Identifier: MIT
#include "posthaste/common.h"

#include "core/namespace.h"
#include "sync/spin.h"

#include <errno.h>
#include <string.h>

const char *ph_version(void)
{
	return PH_VERSION;
}

void ph_set_spin(int64_t bound_ns)
{
	phi_spin_set_bound(bound_ns);
}

int ph_namespace(char *buf, size_t size)
{
	int r = phi_namespace_path(buf, size);
	if (r < 0) {
		errno = -r;
		return -1;
	}
	return (int)strlen(buf);
}
