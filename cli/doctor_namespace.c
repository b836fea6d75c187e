// SPDX-License-Identifier: MIT
//
// doctor_namespace.c - the directory of the objects and the file system under it: who may use it, how
// much it holds, and what the kernel forbids in it.
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "doctor.h"
#include "show.h"

#define TMPFS_MAGIC 0x01021994
#define RAMFS_MAGIC 0x858458f6

static void check_owner(struct doctor *doctor, const char *directory, const struct stat *st)
{
	char owner[SHOW_MAX];
	struct finding *finding;

	show_user(owner, st->st_uid);
	if ((st->st_mode & 022) != 0 && (st->st_mode & S_ISVTX) == 0) {
		finding = doctor_say(doctor, SEVERITY_BAD, "namespace",
		                     "%s (owner %s, mode %04o): others may remove and replace your objects",
		                     directory, owner, (unsigned)st->st_mode & 07777);
		doctor_advise(finding, "chmod +t %s", directory);
		return;
	}
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		finding = doctor_say(doctor, SEVERITY_WARN, "namespace",
		                     "%s belongs to %s, who may remove and replace your objects", directory,
		                     owner);
		doctor_advise(finding, "use a directory of root or of your own");
		return;
	}
	doctor_say(doctor, SEVERITY_OK, "namespace", "%s, owner %s, mode %04o", directory, owner,
	           (unsigned)st->st_mode & 07777);
}

static void check_writable(struct doctor *doctor, const char *directory)
{
	if (access(directory, W_OK | X_OK) == 0)
		return;
	struct finding *finding = doctor_say(doctor, SEVERITY_BAD, "writable",
	                                     "%s cannot be written to: %s", directory, strerror(errno));

	doctor_advise(finding, errno == EROFS ? "mount it read-write, or set POSTHASTE_DIR"
	                                      : "ask its owner for chmod, or set POSTHASTE_DIR");
}

// One directory for all users is the installation's business; without it each user has his own world.
static void check_shared(struct doctor *doctor, const struct stat *st)
{
	if ((st->st_mode & 0007) == 0007)
		return;
	struct finding *finding =
		doctor_say(doctor, SEVERITY_NOTE, "sharing",
	               "this namespace is for one user: programs of other users do not see it");

	doctor_advise(finding, "to share: install -d -o root -m 1777 /dev/shm/posthaste");
}

static void check_kind(struct doctor *doctor, const char *directory)
{
	struct statfs fs;

	if (statfs(directory, &fs) != 0)
		return;
	const uint32_t magic = (uint32_t)fs.f_type;

	if (magic == TMPFS_MAGIC || magic == RAMFS_MAGIC)
		return;
	struct finding *finding =
		doctor_say(doctor, SEVERITY_WARN, "filesystem",
	               "%s is not on a tmpfs: messages are written to its disk, and stalls of the "
	               "disk become stalls of the queues",
	               directory);

	doctor_advise(finding, "use a directory below /dev/shm");
}

static void check_room(struct doctor *doctor, const char *directory)
{
	const uint64_t mib = 1024 * 1024;
	char total_text[SHOW_MAX], free_text[SHOW_MAX];
	struct statvfs fs;

	if (statvfs(directory, &fs) != 0)
		return;
	const uint64_t total = (uint64_t)fs.f_blocks * fs.f_frsize;
	const uint64_t unused = (uint64_t)fs.f_bavail * fs.f_frsize;
	const bool unlimited = fs.f_blocks == 0;
	const enum severity severity = unlimited             ? SEVERITY_OK
	                               : unused < mib        ? SEVERITY_BAD
	                               : total <= 64 * mib   ? SEVERITY_WARN
	                               : unused < total / 10 ? SEVERITY_WARN
	                                                     : SEVERITY_OK;
	struct finding *finding =
		doctor_say(doctor, severity, "space", "%s free of %s: objects beyond that are ENOSPC",
	               show_bytes(free_text, unused), show_bytes(total_text, total));

	if (severity != SEVERITY_OK)
		doctor_advise(finding,
		              "mount -o remount,size=1g /dev/shm; in a container: --shm-size=1g; see "
		              "what is there with: posthaste ls; du -a %s",
		              directory);
}

static void check_inodes(struct doctor *doctor, const char *directory)
{
	struct statvfs fs;

	if (statvfs(directory, &fs) != 0 || fs.f_files == 0 || fs.f_favail >= 100)
		return;
	struct finding *finding = doctor_say(doctor, SEVERITY_BAD, "inodes",
	                                     "room for %ju more files only", (uintmax_t)fs.f_favail);

	doctor_advise(finding, "mount -o remount,nr_inodes=0 /dev/shm");
}

// The rule against O_CREAT on other users' files in sticky directories bites naive programs; this
// library opens plainly first.
static void check_protected(struct doctor *doctor, const struct stat *st)
{
	const long level = doctor_read_number("/proc/sys/fs/protected_regular", 0);

	if (level == 0 || (st->st_mode & S_ISVTX) == 0)
		return;
	doctor_say(
		doctor, SEVERITY_OK, "protected",
		"fs.protected_regular is %ld: the library opens objects of other users all the same; "
		"programs that create files here by themselves may get EACCES",
		level);
}

void doctor_check_namespace(struct doctor *doctor, const char *directory)
{
	struct stat st;

	if (stat(directory, &st) != 0) {
		doctor_say(doctor, SEVERITY_BAD, "namespace", "%s: %s", directory, strerror(errno));
		return;
	}
	check_owner(doctor, directory, &st);
	check_writable(doctor, directory);
	check_shared(doctor, &st);
	check_kind(doctor, directory);
	check_room(doctor, directory);
	check_inodes(doctor, directory);
	check_protected(doctor, &st);
}
