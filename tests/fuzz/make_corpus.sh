#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/fuzz/make_corpus.sh TARGET DIRECTORY - write the first inputs of a fuzz target (mq, pipe, sem, signal, arena): one for
# each kind of instruction and mode (the formats are told in *_image.c), and those of
# corpus/TARGET.txt, which the fuzzer found: one input a line, as octal bytes. To renew it after a long search:
#
#   TARGET -merge=1 -use_counters=0 -max_len=48 SMALL FOUND
#   for f in SMALL/*; do od -An -v -to1 -w200 "$f" | sed 's/^ //'; done | LC_ALL=C sort -u >corpus/TARGET.txt
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=$1
out=$2
mkdir -p "$out"

# seed NAME OCTAL...: a file of these bytes.
seed()
{
	name=$1
	shift
	# shellcheck disable=SC2059
	printf "$(printf '\\%s' "$@")" >"$out/$name"
}

calls='377 001 000 377 044 001 377 143 002 377 210 003 377 311 004 377 012 005 377 117 006'
# shellcheck disable=SC2086
seeds_of_mq()
{
	seed calls 016 $calls $calls
	seed calls-polled 056 $calls
	seed calls-full 035 $calls
	seed calls-deep 037 $calls $calls
	seed field-adversarial 016 000 240 000 003 $calls 000 220 000 011 $calls
	seed field-raw 016 200 240 000 001 002 003 004 $calls
	seed field-wide 016 240 300 000 003 $calls
	seed lock-words 016 200 077 000 377 377 377 077 $calls 200 177 000 000 000 000 100 $calls
	seed overwrite 016 300 000 002 020 377 377 377 377 377 377 377 377 $calls
	seed cut 016 320 000 020 $calls
	seed cut-and-mended 056 321 000 012 $calls
	seed punched 016 324 000 002 010 $calls
}

# shellcheck disable=SC2086
seeds_of_pipe()
{
	seed calls 036 $calls $calls
	seed calls-small 014 $calls $calls
	seed calls-full 176 $calls
	seed calls-sealed 236 $calls
	seed field-adversarial 036 000 110 003 $calls 000 120 011 $calls
	seed field-raw 036 200 110 001 002 003 004 $calls
	seed field-wide 036 240 100 003 $calls
	seed lock-words 036 200 077 377 377 377 077 $calls 200 177 000 000 000 100 $calls
	seed overwrite 036 300 000 002 020 377 377 377 377 377 377 377 377 $calls
	seed cut 036 320 000 001 $calls
	seed cut-and-mended 036 321 000 001 $calls
	seed punched 036 324 000 000 010 $calls
}

# shellcheck disable=SC2086
seeds_of_sem()
{
	for kind in 004 005; do
		seed calls-$kind $kind $calls $calls
		seed field-adversarial-$kind $kind 000 210 000 003 $calls 000 214 000 021 $calls
		seed field-raw-$kind $kind 200 220 000 001 000 000 004 $calls
		seed field-wide-$kind $kind 240 220 000 022 $calls
		seed lock-word-$kind $kind 200 077 000 377 377 377 077 $calls
		seed overwrite-$kind $kind 300 100 002 010 377 377 377 377 377 377 377 377 $calls
		seed cut-$kind $kind 320 000 002 $calls
		seed cut-and-mended-$kind $kind 321 000 020 $calls
		seed punched-$kind $kind 324 000 002 010 $calls
	done
}

# The numbers choose a file of the three by their rest.
# shellcheck disable=SC2086
seeds_of_signal()
{
	seed calls $calls $calls
	for file in 0 1 2; do
		seed field-adversarial-$file 000 00$file 000 003 $calls 000 14$file 000 021 $calls
		seed field-raw-$file 200 15$file 000 001 000 000 004 $calls
		seed field-wide-$file 240 30$file 000 022 $calls
		seed lock-word-$file 200 27$((5 + file)) 000 377 377 377 077 $calls
		seed overwrite-$file 300 00$file 006 010 377 377 377 377 377 377 377 377 $calls
		seed punched-$file 324 00$file 002 010 $calls
	done
	seed cut 320 000 002 $calls
	seed cut-and-mended 321 000 020 $calls
}

# shellcheck disable=SC2086
seeds_of_arena()
{
	seed calls 001 $calls $calls
	seed header-word 002 000 002 001 002 003 004 005 006 007 010 $calls
	seed byte 003 140 100 010 377 $calls
	seed bit 004 240 110 000 070 $calls
}

seeds_of_"$target"
number=0
while read -r bytes; do
	number=$((number + 1))
	# shellcheck disable=SC2086
	seed found-$number $bytes
done <"$here/corpus/$target.txt"
