// SPDX-License-Identifier: MIT
//
// doctor_machine.c - kernel, processors, limits and isolation: what makes the library slower, or blind.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "doctor.h"
#include "show.h"

// The inode of the machine's first pid namespace, fixed in the kernel.
#define INITIAL_PID_NS 0xeffffffc
#define PROC_MAGIC 0x9fa0

static void check_kernel(struct doctor *doctor)
{
	struct utsname name;
	unsigned major = 0, minor = 0;

	if (uname(&name) != 0 || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return;
	if (major > 5 || (major == 5 && minor >= 16)) {
		doctor_say(doctor, SEVERITY_OK, "kernel", "Linux %s", name.release);
		return;
	}
	struct finding *finding =
		doctor_say(doctor, SEVERITY_NOTE, "kernel",
	               "Linux %s has no futex_waitv: whoever sleeps looks around every 100 ms, and "
	               "learns of a killed peer that much later",
	               name.release);

	doctor_advise(finding, "Linux 5.16 or later");
}

static void check_processors(struct doctor *doctor)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) != 0)
		return;
	const int count = CPU_COUNT(&set);

	if (count > 1) {
		doctor_say(doctor, SEVERITY_OK, "processors", "%d to run on", count);
		return;
	}
	struct finding *finding =
		doctor_say(doctor, SEVERITY_NOTE, "processors",
	               "one to run on: peers take turns, so a round trip costs two context switches, "
	               "as it does with the kernel's queues");

	doctor_advise(finding, "more processors, or a wider taskset or cpuset");
}

static void check_proc(struct doctor *doctor)
{
	struct statfs fs;

	if (statfs("/proc", &fs) != 0 || (uint32_t)fs.f_type != PROC_MAGIC) {
		struct finding *finding = doctor_say(
			doctor, SEVERITY_WARN, "proc",
			"/proc is not mounted: objects are made with a temporary name, and the default "
			"attributes of queues are not known");

		doctor_advise(finding, "mount -t proc proc /proc");
		return;
	}
	if (access("/proc/1/stat", F_OK) != 0)
		doctor_say(
			doctor, SEVERITY_NOTE, "proc",
			"/proc hides other users' processes (hidepid): pids that ls and info show cannot "
			"be looked up; the library does not need them");
}

static void check_pid_namespace(struct doctor *doctor)
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st) != 0)
		return;
	if (st.st_ino == INITIAL_PID_NS) {
		doctor_say(doctor, SEVERITY_OK, "container", "not in a pid namespace of its own");
		return;
	}
	struct finding *finding =
		doctor_say(doctor, SEVERITY_NOTE, "container",
	               "in a pid namespace of its own: an object in use here cannot be opened from "
	               "another one (EXDEV), even if both share the directory");

	doctor_advise(finding, "let the containers that share objects share the pid namespace: "
	                       "--pid=container:NAME; in a pod: shareProcessNamespace: true");
}

static void check_descriptors(struct doctor *doctor)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	const enum severity severity = limit.rlim_cur < 64     ? SEVERITY_BAD
	                               : limit.rlim_cur < 1024 ? SEVERITY_WARN
	                                                       : SEVERITY_OK;
	struct finding *finding =
		doctor_say(doctor, severity, "descriptors",
	               "%ju open files a process: each open queue is one, two while it is opened",
	               (uintmax_t)limit.rlim_cur);

	if (severity != SEVERITY_OK)
		doctor_advise(finding, "ulimit -n 4096; for a service: LimitNOFILE=4096");
}

enum { USUAL_PIPE_BYTES = 65536, LARGE_PIPE_BYTES = 1 << 20 };

// A user whose pipes hold many pages gets small ones from then on.
static void check_pipe_size(struct doctor *doctor)
{
	int ends[2];
	char text[SHOW_MAX];

	if (pipe2(ends, O_CLOEXEC) != 0)
		return;
	const int bytes = fcntl(ends[0], F_GETPIPE_SZ);
	const bool can_grow = fcntl(ends[0], F_SETPIPE_SZ, LARGE_PIPE_BYTES) >= LARGE_PIPE_BYTES;

	close(ends[0]);
	close(ends[1]);
	show_bytes(text, bytes > 0 ? (uint64_t)bytes : 0);
	if (bytes < USUAL_PIPE_BYTES)
		doctor_advise(doctor_say(doctor, SEVERITY_WARN, "pipes",
		                         "a new pipe holds %s only: this user's pipes have more pages than "
		                         "fs.pipe-user-pages-soft",
		                         text),
		              "close pipes, or as root: sysctl fs.pipe-user-pages-soft=0");
	else if (!can_grow)
		doctor_advise(doctor_say(doctor, SEVERITY_NOTE, "pipes",
		                         "a new pipe holds %s, and cannot be made as large as 1m", text),
		              "as root: sysctl fs.pipe-max-size=1048576");
	else
		doctor_say(doctor, SEVERITY_OK, "pipes", "a new pipe holds %s, and can be made larger",
		           text);
}

// A limit that the kernel enforces on files and mappings, and so on objects.
static void check_size_limit(struct doctor *doctor, int resource, const char *subject,
                             const char *what, const char *remedy)
{
	char text[SHOW_MAX];
	struct rlimit limit;

	if (getrlimit(resource, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return;
	const bool tight = limit.rlim_cur < 16 * 1024 * 1024;
	struct finding *finding =
		doctor_say(doctor, tight ? SEVERITY_BAD : SEVERITY_WARN, subject, "%s is limited to %s",
	               what, show_bytes(text, limit.rlim_cur));

	doctor_advise(finding, "%s", remedy);
}

void doctor_check_machine(struct doctor *doctor)
{
	check_kernel(doctor);
	check_processors(doctor);
	check_proc(doctor);
	check_pid_namespace(doctor);
	check_descriptors(doctor);
	check_pipe_size(doctor);
	check_size_limit(doctor, RLIMIT_FSIZE, "file-size", "the size of a file, and so of an object,",
	                 "ulimit -f unlimited; for a service: LimitFSIZE=infinity");
	check_size_limit(doctor, RLIMIT_AS, "memory", "the address space, and so what can be mapped,",
	                 "ulimit -v unlimited; for a service: LimitAS=infinity");
}
