#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/self/install.sh BUILD - install into an empty root, and use what is there as a stranger would: a
# program of the POSIX names, moved over by -include posthaste/posix.h, linked in both ways.
set -u
build=$1
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
passed=0
failed=0

check()
{
	what=$1
	shift
	if "$@" >"$root/output" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $what:"
		cat "$root/output"
	fi
}

# The prefix as it was configured; files of the installed tree by a pattern of their path.
check 'installs' env DESTDIR="$root/dest" cmake --install "$build"
find_one()
{
	find "$root/dest" -path "*/$1" | head -n 1
}
for file in include/posthaste/mqueue.h libposthaste.so libposthaste.so.1 libposthaste.a libposthaste-preload.so \
	pkgconfig/posthaste.pc bin/posthaste man1/posthaste.1 man7/posthaste.7 man3/ph_mq_send.3 \
	man3/ph_sem_wait.3 man3/ph_shm_map.3 man3/ph_version.3; do
	check "has $file" test -s "$(find_one "$file")"
done

cat >"$root/program.c" <<'PROGRAM'
#include <fcntl.h>
#include <mqueue.h>
#include <string.h>

int main(void)
{
	struct mq_attr attr = {.mq_maxmsg = 4, .mq_msgsize = 16};
	char text[16];
	mqd_t mqd = mq_open("/installed", O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (mqd == (mqd_t)-1 || mq_send(mqd, "hello", 6, 1) != 0)
		return 1;
	if (mq_receive(mqd, text, sizeof(text), NULL) != 6 || strcmp(text, "hello") != 0)
		return 2;
	return mq_close(mqd) || mq_unlink("/installed") ? 3 : 0;
}
PROGRAM

include=$(dirname "$(dirname "$(find_one include/posthaste/mqueue.h)")")
lib=$(dirname "$(find_one libposthaste.a)")
mkdir "$root/namespace"
compile()
{
	out=$1
	shift
	${CC:-cc} -o "$root/$out" -I"$include" -include posthaste/posix.h "$root/program.c" "$@" -pthread
}
uses()
{
	env POSTHASTE_DIR="$root/namespace" LD_LIBRARY_PATH="$lib" "$root/$1"
}
check 'links the shared library' compile shared -L"$lib" -lposthaste
check 'runs with the shared library' uses shared
check 'links the archive' compile static "$lib/libposthaste.a"
check 'runs with the archive' uses static

# What a source says of the features that it wants still counts, in each dialect and with what others add.
cat >"$root/gnu.c" <<'PROGRAM'
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	int ends[2];
	cpu_set_t cpus;
	if (sched_getaffinity(0, sizeof cpus, &cpus) != 0 || pipe2(ends, O_CLOEXEC) != 0)
		return 1;
	struct pollfd ready = {ends[0], POLLIN, 0};
	return write(ends[1], "x", 1) != 1 || ppoll(&ready, 1, NULL, NULL) != 1 || *strchrnul("a", 'b') != 0;
}
PROGRAM
cat >"$root/xopen.c" <<'PROGRAM'
#define _XOPEN_SOURCE 600
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

int main(void)
{
	char text[100];
	int failed = strerror_r(EAGAIN, text, sizeof text); // of GNU's the result is a pointer
	sigset_t set;
	return failed || text[0] == 0 || sigemptyset(&set) != 0 || sighold(SIGUSR1) != 0 || raise(SIGUSR1) != 0;
}
PROGRAM
cat >"$root/fortified.c" <<'PROGRAM'
#define _FORTIFY_SOURCE 2
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int s[2];
	char text[16];
	size_t most = strlen(argv[0]) != 0 ? sizeof text : (size_t)argc;
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, s) != 0 || write(s[0], "hi", 2) != 2)
		return 1;
	return recvfrom(s[1], text, most, 0, NULL, NULL) != 2 || recv(s[1], text, most, MSG_DONTWAIT) != -1 || errno != EAGAIN;
}
PROGRAM
compile_as()
{
	file=$1
	shift
	${CC:-cc} -Wall -Werror "$@" -o "$root/features" -I"$include" -include posthaste/posix.h "$root/$file.c" \
		-L"$lib" -lposthaste -pthread && uses features
}
for options in -std=gnu17 -std=c99 '-std=c17 -O2 -D_FORTIFY_SOURCE=2' '-std=gnu17 -D_FILE_OFFSET_BITS=64'; do
	# shellcheck disable=SC2086 # several
	check "a source that asks for GNU's features, $options" compile_as gnu $options
	# shellcheck disable=SC2086
	check "a source that asks for X/Open's features, $options" compile_as xopen $options
done
check 'a source that asks for fortification' compile_as fortified -O2 -Wredundant-decls

# As it is installed the command finds what it puts underneath, though not where it was configured to be.
cc_kernel()
{
	${CC:-cc} -o "$root/kernel" "$root/program.c" -pthread -lrt
}
runs_unmodified()
{
	env POSTHASTE_DIR="$root/namespace" "$(find_one bin/posthaste)" run --log "$root/log" "$root/kernel" &&
		grep -q 'mq_receive.*= 6$' "$root/log"
}
check 'compiles without the library' cc_kernel
check 'runs a program that knows nothing of it' runs_unmodified

# The .pc file names the paths of the configured prefix.
pc=$(find_one pkgconfig/posthaste.pc)
libdir=$(sed -n 's/^libdir=//p' "$pc")
check 'the .pc file names where the library is' test -e "$root/dest$libdir/libposthaste.so"

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
