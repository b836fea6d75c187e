#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/self/runner.sh BAD - does the runner notice what it promises to notice? Runs the tests of
# tests/self/bad.c one by one and compares verdict, message and exit status.
set -u
bad=$1
passed=0
failed=0
except=$(mktemp)
trap 'rm -f "$except"' EXIT

# expect TEST STATUS TEXT: the run ends with STATUS and prints TEXT.
expect()
{
	output=$(TEST_TIMEOUT_S=1 "$bad" "$1" 2>&1)
	status=$?
	case $output in
	*"$3"*) said=yes ;;
	*) said=no ;;
	esac
	if [ $status -eq "$2" ] && [ $said = yes ]; then
		passed=$((passed + 1))
		return
	fi
	failed=$((failed + 1))
	echo "FAIL $1: status $status, expected $2 and the text: $3"
	echo "$output"
}

expect good 0 '1 passed, 0 failed, 0 skipped'
expect skipped 0 '0 passed, 0 failed, 1 skipped'
expect failing_check 1 'check failed: 1 == 2'
expect failing_check_eq 1 '1 == 2 (1, 2)'
expect failing_check_err 1 'fails with EINTR (it failed with: Bad file descriptor)'
expect failing_check_ok 1 'close(-1): Bad file descriptor'
expect failing_child 1 'ends well (status 1)'
expect leaked_descriptor 1 'leaked descriptor'
expect leaked_name 1 'leaked name left'
expect leaked_mapping 1 'leaked mapping'
expect crash 1 'FAIL crash'
expect 'hang' 1 'hangs, killed after 1 s'
expect no_such_test 2 '0 passed, 0 failed'

printf '%s\n' '# a comment' 'crash it is to crash' >"$except"
TEST_EXCEPT=$except
export TEST_EXCEPT
expect crash 0 ' ms): it is to crash'
expect hang_with_a_child 1 'hangs, killed after 1 s'

# What a hanging test started must be gone with it.
leftovers=0
for cmdline in /proc/[0-9]*/cmdline; do
	case $(tr '\0' ' ' 2>/dev/null <"$cmdline") in
	"$bad hang "*) leftovers=$((leftovers + 1)) ;;
	esac
done 2>/dev/null
if [ $leftovers -eq 0 ]; then
	passed=$((passed + 1))
else
	failed=$((failed + 1))
	echo "FAIL: $leftovers processes of hanging tests are still there"
fi

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
