#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/self/summary.sh RUN_TESTS - does tools/run-tests count right, and can it fail?
set -u
run_tests=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

# expect WHAT STATUS SUMMARY: the suite on stdin ends with this status and this last line.
expect()
{
	rm -rf "${work:?}"/*
	cat >"$work/CTestTestfile.cmake"
	output=$("$run_tests" "$work" -j2 2>&1)
	status=$?
	summary=$(printf '%s\n' "$output" | tail -n 1)
	if [ $status -eq "$2" ] && [ "$summary" = "$3" ]; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL $1: status $status and \"$summary\", expected $2 and \"$3\""
	fi
}

expect 'passes are summed' 0 '5 passed, 0 failed, 2 skipped' <<'SUITE'
add_test(plain true)
add_test(counted sh -c "echo '3 passed, 0 failed, 2 skipped'")
add_test(counted-twice sh -c "echo '9 passed, 9 failed'; echo '1 passed, 0 failed'")
SUITE

expect 'failures are summed' 1 '4 passed, 4 failed, 0 skipped' <<'SUITE'
add_test(plain false)
add_test(counted sh -c "echo '3 passed, 2 failed'; exit 1")
add_test(denied sh -c "echo '1 passed, 0 failed'; exit 1")
SUITE

expect 'a crash is a failure' 1 '0 passed, 1 failed, 0 skipped' <<'SUITE'
add_test(crash sh -c "kill -SEGV $$")
SUITE

expect 'a hang is a failure' 1 '0 passed, 1 failed, 0 skipped' <<'SUITE'
add_test(slow sleep 60)
set_tests_properties(slow PROPERTIES TIMEOUT 1)
SUITE

expect 'a missing program is a failure' 1 '1 passed, 1 failed, 0 skipped' <<'SUITE'
add_test(missing /nonexistent/program)
add_test(plain true)
SUITE

expect 'a failure that the status hides' 1 '3 passed, 1 failed, 0 skipped' <<'SUITE'
add_test(liar sh -c "echo '3 passed, 1 failed'")
SUITE

expect 'an empty suite' 1 '0 passed, 1 failed, 0 skipped' <<'SUITE'
SUITE

echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
