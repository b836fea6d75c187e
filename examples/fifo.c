// SPDX-License-Identifier: MIT
//
// fifo - two programs that know nothing of each other but a path: fifo PATH TEXT writes a line into the
// FIFO, fifo PATH prints what comes out until the last writer has closed it. Each waits for the other;
// `cat` and the shell's > may stand in for either.
#include <posthaste/pipe.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	char text[4096]; // PIPE_BUF: lines of several writers do not mix
	ssize_t length = 0;

	if (argc < 2 || (ph_mkfifo(argv[1], 0600) != 0 && errno != EEXIST))
		return perror("fifo"), 1;
	int fd = ph_open(argv[1], argc > 2 ? O_WRONLY : O_RDONLY);
	if (fd < 0)
		return perror(argv[1]), 1;
	if (argc > 2) {
		snprintf(text, sizeof text, "%s\n", argv[2]);
		length = ph_write(fd, text, strlen(text));
	} else {
		while ((length = ph_read(fd, text, sizeof text)) > 0)
			fwrite(text, 1, (size_t)length, stdout);
	}
	return ph_close(fd) != 0 || length < 0;
}
