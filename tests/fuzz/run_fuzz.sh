#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/fuzz/run_fuzz.sh TARGET SECONDS - run a fuzz target over its corpus, then let it
# search for SECONDS. What it finds is left in the directory that is named at the end.
set -u
here=$(cd "$(dirname "$0")" && pwd)
target=$1
seconds=$2
name=$(basename "$target")
work=$(mktemp -d "${TMPDIR:-/tmp}/posthaste-fuzz-XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM
sh "$here/make_corpus.sh" "$name" "$work/corpus" || exit 2
mkdir "$work/new" "$work/found"
passed=0
failed=0

# try NAME ARGUMENTS...: one run of the target.
try()
{
	what=$1
	shift
	if "$target" -timeout=10 -rss_limit_mb=4096 -artifact_prefix="$work/found/" "$@" >"$work/log" 2>&1
	then
		passed=$((passed + 1))
		echo "PASS $name $what ($(sed -n 's/^Done \([0-9]* runs\).*/\1/p' "$work/log"))"
	else
		failed=$((failed + 1))
		echo "FAIL $name $what"
		tail -n 60 "$work/log"
	fi
}

try 'corpus' -runs=0 "$work/corpus"
try "search for $seconds s" -max_total_time="$seconds" "$work/new" "$work/corpus"
if [ $failed -ne 0 ]; then
	trap - EXIT
	echo "the inputs that failed: $work/found"
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
