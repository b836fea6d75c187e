// SPDX-License-Identifier: MIT
//
// A look from outside: the port is mapped for reading, copied, and left alone. What the kernel has pending or blocked is
// asked of /proc. The copy is not taken at one instant; each field is a value that it had.
#include "signal/info.h"

#include "base/descriptor.h"
#include "core/life.h"
#include "core/namespace.h"
#include "signal/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void from_line(const char *line, struct signal_look *look)
{
	const struct {
		const char *key;
		uint64_t *to;
	} fields[] = {{"SigPnd:", &look->pending},
	              {"ShdPnd:", &look->pending},
	              {"SigBlk:", &look->blocked},
	              {"SigIgn:", &look->ignored},
	              {"SigCgt:", &look->caught}};
	for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
		if (strncmp(line, fields[i].key, strlen(fields[i].key)) == 0)
			*fields[i].to |= strtoull(line + strlen(fields[i].key), NULL, 16);
}

static void ask_kernel(pid_t pid, struct signal_look *look)
{
	char path[32];
	char line[128];
	snprintf(path, sizeof path, "/proc/%d/status", pid);
	FILE *f = fopen(path, "re");
	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		from_line(line, look);
	if (f != NULL)
		fclose(f);
}

static int open_to_look(pid_t pid, struct phi_region *r)
{
	char name[32];
	snprintf(name, sizeof name, "/" SIGNAL_PREFIX "%d", pid);
	int dir = phi_namespace_open();
	if (dir < 0)
		return dir;
	int e = phi_region_open(r, dir, name + 1, PHI_KIND_SIGNAL, SIGNAL_LAYOUT, name, true);
	phi_close(dir);
	return e;
}

bool phi_signal_is_there(pid_t pid, uint64_t id)
{
	struct phi_region r;
	if (open_to_look(pid, &r) < 0)
		return false;
	bool there = r.header.id[0] == id && phi_life_attached(r.fd);
	phi_region_unmap(&r);
	phi_close(r.fd);
	return there;
}

int phi_signal_look(pid_t pid, struct signal_look *look)
{
	struct phi_region r;
	struct stat st;
	memset(look, 0, sizeof *look);
	int e = open_to_look(pid, &r);
	if (e < 0)
		return e;
	bool alive = phi_life_attached(r.fd) && r.bytes == SIGNAL_FILE_BYTES;
	memcpy(&look->port, r.base + PHI_REGION_BODY, sizeof look->port);
	if (fstat(r.fd, &st) == 0)
		look->uid = st.st_uid;
	phi_region_unmap(&r);
	phi_close(r.fd);
	if (!alive)
		return -ENOENT;
	ask_kernel(pid, look);
	return 0;
}
