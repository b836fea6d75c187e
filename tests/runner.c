// SPDX-License-Identifier: MIT
//
// tests/runner.c - runs the tests of one binary, each in its own process, and judges what they leave.
//
// The runner itself never touches the library: it forks, and the child is the first to use it. That
// is also why the child needs no exec (which would not work under qemu-user).
//
// Who checks what: the child its own descriptors and mappings, when the test function has returned;
// the runner the names, when the child and its descendants are gone. Descendants stay in the child's
// process group, and the runner is their subreaper, so that none outlives its test.
//
// The checks of the header are in tests/checks.c.
#include "runner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#ifdef TEST_KERNEL
#include <mqueue.h>
#endif

#include "runner_private.h"

enum { FDS_MAX = 1024, TIMEOUT_S = 180 };

static struct test *first, **last = &first;

void test_register(struct test *test)
{
	*last = test;
	last = &test->next;
}

/* ---- in the child: run one test and look for what it left ---- */

// Note which descriptors are open.
static void scan_fds(bool open_fds[FDS_MAX])
{
	memset(open_fds, 0, FDS_MAX * sizeof(bool));
	DIR *dir = opendir("/proc/self/fd");
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		const int fd = atoi(entry->d_name);
		if (entry->d_name[0] != '.' && fd < FDS_MAX && fd != dirfd(dir))
			open_fds[fd] = true;
	}
	closedir(dir);
}

// A process's port for signals and its recording stay as long as the process, and the ports of those that it has signalled stay open
// for a while. A file that was made nameless is shown by its number for ever.
static bool is_port(const char *path)
{
	const char *base = strrchr(path, '/');
	char own[PATH_MAX];
	struct stat st;
	if (!base)
		return false;
	if (!strncmp(base, "/sig.", 5) || !strncmp(base, "/.rec.", 6))
		return true;
	for (int i = 0; base[1] == '#' && i < 2; i++) {
		snprintf(own, sizeof(own), "%s/%s%d", getenv("POSTHASTE_DIR"), i ? ".rec." : "sig.",
		         (int)getpid());
		if (stat(own, &st) == 0 && strtoull(base + 2, NULL, 10) == st.st_ino)
			return true;
	}
	return false;
}

static int leaked_fds(const bool before[FDS_MAX])
{
	bool after[FDS_MAX];
	int leaks = 0;
	scan_fds(after);
	for (int fd = 0; fd < FDS_MAX; fd++) {
		if (!after[fd] || before[fd])
			continue;
		char link[64], target[PATH_MAX] = "";
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		if (readlink(link, target, sizeof(target) - 1) < 0 || is_port(target) ||
		    !strcmp(target, "anon_inode:[pidfd]"))
			continue;
		fprintf(stderr, "%s: leaked descriptor %d -> %s\n", test_current, fd, target);
		leaks++;
	}
	return leaks;
}

static int leaked_mappings(const char *dir)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[PATH_MAX + 128];
	int leaks = 0;
	if (!maps)
		return 0;
	while (fgets(line, sizeof(line), maps)) {
		line[strcspn(line, "\n")] = 0;
		if (!strstr(line, dir) || is_port(line))
			continue;
		fprintf(stderr, "%s: leaked mapping %s\n", test_current, line);
		leaks++;
	}
	fclose(maps);
	return leaks;
}

static void run_in_child(const struct test *test, const char *dir)
{
	static bool before[FDS_MAX];
	setpgid(0, 0);
	setenv("POSTHASTE_DIR", dir, 1);
	test_begin(test->name);
	scan_fds(before);
	test->run();
	fflush(NULL);
	exit(leaked_fds(before) + leaked_mappings(dir) ? 1 : 0);
}

/* ---- in the runner: the directory, the deadline, the verdict ---- */

static const char *make_dir(void)
{
	static char dir[PATH_MAX];
	const char *bases[] = {"/dev/shm", getenv("TMPDIR"), "/tmp"};
	for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
		char path[PATH_MAX];
		if (!bases[i])
			continue;
		snprintf(path, sizeof(path), "%s/posthaste-test-XXXXXX", bases[i]);
		if (mkdtemp(path) && realpath(path, dir))
			return dir;
	}
	perror("runner: no directory for the namespace");
	exit(2);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static double now_s(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

// The ring of a pipe whose last user was killed, or a killed process's port or recording: nobody has it mapped, and who
// uses the library later removes it.
static bool is_left_behind(const char *dir, const char *name)
{
	char path[PATH_MAX + NAME_MAX + 2];
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	if (strncmp(name, "pipe.", 5) != 0 && strncmp(name, "fifo.", 5) != 0 &&
	    strncmp(name, "sig.", 4) != 0 && strncmp(name, "port.", 5) != 0 &&
	    strncmp(name, ".rec.", 5) != 0)
		return false;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	// Who has just been killed lets go of his memory a moment after he is gone.
	bool unused = false;
	for (double until = now_s() + 2; !unused && now_s() < until;) {
		unused = fcntl(fd, F_OFD_SETLK, &whole) == 0;
		if (!unused)
			sched_yield();
	}
	close(fd);
	return unused;
}

// Count and show the names in the namespace, then remove it.
static int leaked_names(const struct test *test, const char *path)
{
	int leaks = 0;
	DIR *dir = opendir(path);
	for (struct dirent *entry; dir && (entry = readdir(dir));) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		if (is_left_behind(path, entry->d_name))
			continue;
		fprintf(stderr, "%s: leaked name %s\n", test->name, entry->d_name);
		leaks++;
	}
	if (dir)
		closedir(dir);
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
	return leaks;
}

static int timeout_s(void)
{
	const char *value = getenv("TEST_TIMEOUT_S");
	return value && atoi(value) > 0 ? atoi(value) : TIMEOUT_S;
}

// Wait for the child, at most until the deadline. SIGCHLD is blocked, so that none is missed between
// the look and the sleep. False: it hangs.
static bool wait_child(pid_t pid, double deadline, int *status)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	while (waitpid(pid, status, WNOHANG) == 0) {
		const double left = deadline - now_s();
		if (left <= 0)
			return false;
		struct timespec ts = {(time_t)left, (long)((left - (double)(time_t)left) * 1e9)};
		sigtimedwait(&set, NULL, &ts);
	}
	return true;
}

// Show where each process of a hanging test stands.
static void show_group(pid_t group)
{
	DIR *proc = opendir("/proc");
	for (struct dirent *entry; proc && (entry = readdir(proc));) {
		const pid_t pid = (pid_t)atoi(entry->d_name);
		char path[64], call[128] = "?\n";
		if (pid <= 0 || getpgid(pid) != group)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
		FILE *file = fopen(path, "re");
		if (file) {
			if (!fgets(call, sizeof(call), file))
				strcpy(call, "?\n");
			fclose(file);
		}
		fprintf(stderr, "  pid %d, in system call: %s", (int)pid, call);
	}
	if (proc)
		closedir(proc);
}

// No descendant outlives its test.
static void end_group(pid_t group)
{
	kill(-group, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0)
		;
}

static pid_t start(const struct test *test, const char *dir, const sigset_t *mask)
{
	fflush(NULL);
	const pid_t pid = fork();
	if (pid < 0) {
		perror("runner: fork");
		exit(2);
	}
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, mask, NULL);
		run_in_child(test, dir);
	}
	setpgid(pid, pid);
	return pid;
}

// Run one test and wait; the result is the verdict, and why, if it failed, stands in `why`.
static enum verdict judge(const struct test *test, const sigset_t *mask, char *why, size_t size)
{
	int status = 0;
	const char *dir = make_dir();
	const pid_t pid = start(test, dir, mask);
	const bool ended = wait_child(pid, now_s() + timeout_s(), &status);
	if (!ended)
		show_group(pid);
	end_group(pid);
	const bool clean = leaked_names(test, dir) == 0;
	if (!ended)
		snprintf(why, size, "hangs, killed after %d s", timeout_s());
	else if (WIFSIGNALED(status))
		snprintf(why, size, "killed by signal %d (%s)", WTERMSIG(status),
		         strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) == SKIPPED)
		return VERDICT_SKIP;
	else if (WEXITSTATUS(status) != 0)
		snprintf(why, size, "exit status %d", WEXITSTATUS(status));
	else if (!clean)
		snprintf(why, size, "left names in the namespace");
	else
		return VERDICT_PASS;
	return VERDICT_FAIL;
}

static bool selected(const struct test *test, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(test->name, argv[i]))
			return true;
	return argc < 2;
}

// TEST_EXCEPT names a file with a line "TEST REASON..." for each test that cannot be made in this
// environment; others are comments. Finds the reason, which is the rest of the line.
static bool excepted(const struct test *test, char *why, size_t size)
{
	const char *path = getenv("TEST_EXCEPT");
	FILE *file = path ? fopen(path, "re") : NULL;
	const size_t length = strlen(test->name);
	char line[256];
	bool found = false;
	while (file && !found && fgets(line, sizeof(line), file)) {
		found = !strncmp(line, test->name, length) && line[length] == ' ';
		line[strcspn(line, "\n")] = 0;
	}
	if (found)
		snprintf(why, size, "%s", line + length + 1);
	if (file)
		fclose(file);
	return found;
}

// False where the tests of this binary have nothing to run against.
static bool available(void)
{
#ifdef TEST_KERNEL
	if (mq_unlink("/posthaste-test-probe") < 0 && errno == ENOSYS) {
		printf("this kernel has no message queues: the kernel's side is skipped\n");
		return false;
	}
#endif
	return true;
}

static int run_all(int argc, char **argv)
{
	static const char *const words[] = {"PASS", "FAIL", "SKIP"};
	int counts[3] = {0};
	sigset_t chld, mask;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &mask);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	const bool able = available();
	for (const struct test *test = first; test; test = test->next) {
		char why[128] = "";
		if (!selected(test, argc, argv))
			continue;
		const double begin = now_s();
		const bool run = able && !excepted(test, why, sizeof(why));
		const enum verdict verdict = run ? judge(test, &mask, why, sizeof(why)) : VERDICT_SKIP;
		counts[verdict]++;
		printf("%s %s (%.0f ms)%s%s\n", words[verdict], test->name, (now_s() - begin) * 1e3,
		       why[0] ? ": " : "", why);
	}
	printf("%d passed, %d failed, %d skipped\n", counts[0], counts[1], counts[2]);
	if (counts[0] + counts[1] + counts[2] == 0)
		return 2;
	return counts[VERDICT_FAIL] ? 1 : 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 2 || strcmp(argv[1], "--list") != 0)
		return run_all(argc, argv);
	for (const struct test *test = first; test; test = test->next)
		puts(test->name);
	return 0;
}
