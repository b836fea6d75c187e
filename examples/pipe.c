// SPDX-License-Identifier: MIT
//
// pipe - a parent writes a hundred thousand numbers into a pipe, its child reads and adds them up.
#include <posthaste/pipe.h>

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	int ends[2];
	long number, sum = 0;

	if (ph_pipe(ends) != 0)
		return perror("pipe"), 1;
	if (fork() == 0) {
		ph_close(ends[1]); // or the end of the file would never come
		while (ph_read(ends[0], &number, sizeof number) == sizeof number)
			sum += number;
		return printf("the sum is %ld\n", sum), 0;
	}
	ph_close(ends[0]);
	for (number = 1; number <= 100000; number++)
		if (ph_write(ends[1], &number, sizeof number) < 0)
			return perror("write"), 1;
	ph_close(ends[1]);
	return wait(NULL) < 0;
}
