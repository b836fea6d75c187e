// SPDX-License-Identifier: MIT
//
// show.c - see show.h.
#include "show.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *show_bytes(char out[SHOW_MAX], uint64_t bytes)
{
	static const char suffixes[] = {'k', 'm', 'g', 't'};
	double value = (double)bytes;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(out, SHOW_MAX, "%" PRIu64, bytes);
		return out;
	}
	for (value /= 1024; value >= 1023.95 && i + 1 < sizeof suffixes; i++)
		value /= 1024;
	snprintf(out, SHOW_MAX, "%.1f", value);
	char *dot = strchr(out, '.');

	if (dot[1] == '0')
		*dot = '\0';
	const size_t end = strlen(out);

	out[end] = suffixes[i];
	out[end + 1] = '\0';
	return out;
}

const char *show_count(char out[SHOW_MAX], uint64_t count)
{
	char digits[24];
	const int n = snprintf(digits, sizeof digits, "%" PRIu64, count);
	char *p = out;

	for (int i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			*p++ = ',';
		*p++ = digits[i];
	}
	*p = '\0';
	return out;
}

const char *show_age(char out[SHOW_MAX], int64_t age_ms)
{
	const int64_t seconds = age_ms / 1000;

	if (age_ms < 1000)
		snprintf(out, SHOW_MAX, "%" PRId64 "ms", age_ms);
	else if (seconds < 60)
		snprintf(out, SHOW_MAX, "%" PRId64 ".%" PRId64 "s", seconds, age_ms / 100 % 10);
	else if (seconds < 3600)
		snprintf(out, SHOW_MAX, "%" PRId64 "m", seconds / 60);
	else if (seconds < 86400)
		snprintf(out, SHOW_MAX, "%" PRId64 "h", seconds / 3600);
	else
		snprintf(out, SHOW_MAX, "%" PRId64 "d", seconds / 86400);
	return out;
}

const char *show_actor(char out[SHOW_MAX], int32_t pid, int64_t age_ms)
{
	char age[SHOW_MAX];

	if (pid == 0 || age_ms < 0)
		snprintf(out, SHOW_MAX, "-");
	else
		snprintf(out, SHOW_MAX, "%" PRId32 ",%.32s", pid, show_age(age, age_ms));
	return out;
}

const char *show_user(char out[SHOW_MAX], uid_t uid)
{
	const struct passwd *entry = getpwuid(uid);

	if (entry)
		snprintf(out, SHOW_MAX, "%.32s", entry->pw_name);
	else
		snprintf(out, SHOW_MAX, "%ju", (uintmax_t)uid);
	return out;
}

static ssize_t read_of_process(pid_t pid, const char *what, char out[SHOW_MAX])
{
	char path[SHOW_MAX];

	snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, out, SHOW_MAX - 1);

	if (fd >= 0)
		close(fd);
	return n;
}

// The words stand with a zero behind each; what a process calls itself may hold any byte.
const char *show_program(char out[SHOW_MAX], pid_t pid)
{
	ssize_t n = read_of_process(pid, "cmdline", out);

	if (n <= 0)
		n = read_of_process(pid, "comm", out);
	if (n <= 0) {
		snprintf(out, SHOW_MAX, "gone");
		return out;
	}
	while (n > 0 && (out[n - 1] == '\0' || out[n - 1] == '\n'))
		n--;
	out[n] = '\0';
	for (ssize_t i = 0; i < n; i++)
		if (out[i] == '\0')
			out[i] = ' ';
		else if ((unsigned char)out[i] < 32 || out[i] == 127)
			out[i] = '?';
	return out;
}
