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
