// SPDX-License-Identifier: MIT
//
// doctor_logout.c - whether the login manager removes the namespace behind its users' backs: with
// RemoveIPC=yes, logind deletes what a user owns below /dev/shm when his last session ends. It spares
// system users, and directories of root.
#include <ctype.h>
#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"

enum { FIRST_ORDINARY_UID = 1000, LINE_MAX_BYTES = 512 };

static bool is_yes(const char *value)
{
	return strcasecmp(value, "yes") == 0 || strcasecmp(value, "true") == 0 ||
	       strcasecmp(value, "on") == 0 || strcmp(value, "1") == 0;
}

// The value behind "RemoveIPC =", or NULL.
static char *setting(char *line)
{
	static const char key[] = "RemoveIPC";

	while (isspace((unsigned char)*line))
		line++;
	if (strncmp(line, key, strlen(key)) != 0)
		return NULL;
	line += strlen(key);
	line += strspn(line, " \t");
	if (*line != '=')
		return NULL;
	line++;
	line += strspn(line, " \t");
	line[strcspn(line, " \t\r\n")] = '\0';
	return line;
}

static void read_file(const char *path, bool *removes)
{
	char line[LINE_MAX_BYTES];
	FILE *in = fopen(path, "re");

	if (!in)
		return;
	while (fgets(line, sizeof line, in)) {
		const char *value = setting(line);

		if (value)
			*removes = is_yes(value);
	}
	fclose(in);
}

static int is_conf(const struct dirent *entry)
{
	const size_t n = strlen(entry->d_name);

	return n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

static void read_directory(const char *directory, bool *removes)
{
	struct dirent **entries;
	const int n = scandir(directory, &entries, is_conf, alphasort);

	for (int i = 0; i < n; i++) {
		char path[PATH_MAX];

		snprintf(path, sizeof path, "%s/%s", directory, entries[i]->d_name);
		read_file(path, removes);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
}

// Read in the order in which the later wins. Without any setting logind removes.
static bool logind_removes(void)
{
	bool removes = true;

	read_file("/usr/lib/systemd/logind.conf", &removes);
	read_file("/etc/systemd/logind.conf", &removes);
	read_directory("/usr/lib/systemd/logind.conf.d", &removes);
	read_directory("/run/systemd/logind.conf.d", &removes);
	read_directory("/etc/systemd/logind.conf.d", &removes);
	return removes;
}

void doctor_check_logout(struct doctor *doctor, const char *directory)
{
	struct stat st;

	if (strncmp(directory, "/dev/shm", 8) != 0 || access("/run/systemd/seats", F_OK) != 0) {
		doctor_say(doctor, SEVERITY_OK, "logout", "no login manager removes objects here");
		return;
	}
	if (!logind_removes()) {
		doctor_say(doctor, SEVERITY_OK, "logout", "RemoveIPC=no: objects stay when users log out");
		return;
	}
	if (stat(directory, &st) == 0 && st.st_uid == 0) {
		doctor_say(doctor, SEVERITY_OK, "logout",
		           "RemoveIPC is on, and spares this directory because root owns it");
		return;
	}
	const bool ordinary = geteuid() >= FIRST_ORDINARY_UID;
	struct finding *finding =
		doctor_say(doctor, ordinary ? SEVERITY_WARN : SEVERITY_NOTE, "logout",
	               "RemoveIPC is on: when your last session ends, the login manager removes your "
	               "objects, also those that services of yours still use");

	doctor_advise(finding, "install -d -o root -m 1777 /dev/shm/posthaste; or RemoveIPC=no in "
	                       "/etc/systemd/logind.conf; or loginctl enable-linger");
}
