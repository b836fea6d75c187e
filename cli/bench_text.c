// SPDX-License-Identifier: MIT
//
// See bench_text.h.
#include "bench_text.h"

#include <stdio.h>

const char *bench_duration(double ns)
{
	static char text[8][16];
	static unsigned next;
	char *out = text[next++ % 8];
	const char *unit = "ns";
	if (ns >= 10000000) {
		ns /= 1000000;
		unit = "ms";
	} else if (ns >= 10000) {
		ns /= 1000;
		unit = "us";
	}
	snprintf(out, sizeof(text[0]), "%.*f %s", ns < 9.995 ? 2 : ns < 99.95 ? 1 : 0, ns, unit);
	return out;
}

const char *bench_number(double x)
{
	static char text[8][16];
	static unsigned next;
	char *out = text[next++ % 8];
	snprintf(out, sizeof(text[0]), "%.*f", x < 9.995 ? 2 : x < 99.95 ? 1 : 0, x);
	return out;
}

const char *bench_size_text(size_t bytes)
{
	static char text[4][24];
	static unsigned next;
	char *out = text[next++ % 4];
	if (bytes == 0)
		return "-";
	if (bytes >= 1073741824 && bytes % 1073741824 == 0)
		snprintf(out, sizeof(text[0]), "%zu GiB", bytes / 1073741824);
	else if (bytes >= 1048576 && bytes % 1048576 == 0)
		snprintf(out, sizeof(text[0]), "%zu MiB", bytes / 1048576);
	else if (bytes >= 1024 && bytes % 1024 == 0)
		snprintf(out, sizeof(text[0]), "%zu KiB", bytes / 1024);
	else
		snprintf(out, sizeof(text[0]), "%zu B", bytes);
	return out;
}
