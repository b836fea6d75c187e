// SPDX-License-Identifier: MIT
//
// demo_publish.c - see demo_publish.h. The FIFO loses its name as soon as both ends are open.
#include "demo_publish.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <posthaste/pipe.h>

#include "cli.h"
#include "demo_crew.h"
#include "flow.h"
#include "memory.h"
#include "stop.h"

struct summary {
	char *text;
	size_t size;
};

struct place {
	char directory[PATH_MAX], fifo[PATH_MAX + 16];
};

static struct summary make_summary(demo_printer print, const struct demo_report *report)
{
	struct summary summary = {.text = NULL};
	FILE *out = open_memstream(&summary.text, &summary.size);

	if (!out)
		memory_exhausted();
	print(report, out);
	if (fclose(out) != 0)
		memory_exhausted();
	return summary;
}

static bool make_place(struct place *place)
{
	const char *const base = getenv("TMPDIR");

	snprintf(place->directory, sizeof place->directory, "%s/posthaste-demo.XXXXXX",
	         base && *base ? base : P_tmpdir);
	if (!mkdtemp(place->directory))
		return false;
	snprintf(place->fifo, sizeof place->fifo, "%s/summary", place->directory);
	return ph_mkfifo(place->fifo, 0600) == 0;
}

static void remove_place(const struct place *place)
{
	unlink(place->fifo);
	rmdir(place->directory);
}

// The process at the other end.
_Noreturn static void print_what_comes(const char *path)
{
	struct flow flow = {.limited = false};
	int status = STATUS_REFUSED;
	const int from = ph_open(path, O_RDONLY | O_CLOEXEC);

	flow_prepare(&flow);
	if (from < 0)
		cli_fail(STATUS_REFUSED, path, "%s; the summary is not printed", strerror(errno));
	else
		status = flow_copy(&flow, from, path, STDOUT_FILENO, "stdout");
	ph_close(from);
	_exit(status);
}

// Opens the FIFO once the printer has it open, which it may not live to do.
static int open_beside(const struct place *place, pid_t printer)
{
	static const struct timespec one_ms = {.tv_nsec = 1000000};
	int fd;

	while ((fd = ph_open(place->fifo, O_WRONLY | O_NONBLOCK | O_CLOEXEC)) < 0 &&
	       (errno == ENXIO || errno == EINTR)) {
		siginfo_t info = {.si_pid = 0};

		if (stop_asked() ||
		    (waitid(P_PID, (id_t)printer, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid))
			return -1;
		nanosleep(&one_ms, NULL);
	}
	if (fd >= 0)
		ph_fcntl(fd, F_SETFL, 0);
	return fd;
}

static bool ended_well(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// From here on a signal ends this process, and the printer with it.
static bool print_through(const struct place *place, const struct summary *summary)
{
	const pid_t printer = crew_fork();

	if (printer == 0)
		print_what_comes(place->fifo);
	const int to = printer > 0 ? open_beside(place, printer) : -1;

	remove_place(place);
	stop_idle(true);
	const bool written = to >= 0 && flow_write(to, summary->text, summary->size);

	if (to >= 0)
		ph_close(to);
	return printer > 0 && ended_well(printer) && written;
}

static bool write_to(const char *path, const struct summary *summary)
{
	stop_idle(true);
	const int to = ph_open(path, O_WRONLY | O_CLOEXEC);
	const bool written = to >= 0 && flow_write(to, summary->text, summary->size);

	if (!written)
		cli_fail(STATUS_REFUSED, path, "%s; the summary is lost", strerror(errno));
	if (to >= 0)
		ph_close(to);
	return written;
}

bool demo_publish(demo_printer print, const struct demo_report *report, const char *path)
{
	struct summary summary = make_summary(print, report);
	struct place place;
	bool arrived;

	if (path) {
		arrived = write_to(path, &summary);
	} else if (make_place(&place)) {
		arrived = print_through(&place, &summary);
	} else {
		cli_fail(STATUS_REFUSED, place.directory,
		         "no FIFO can be made: %s; name a directory with "
		         "TMPDIR. The summary comes directly",
		         strerror(errno));
		arrived = fwrite(summary.text, 1, summary.size, stdout) == summary.size;
	}
	free(summary.text);
	return arrived;
}
