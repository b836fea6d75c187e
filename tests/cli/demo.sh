# SPDX-License-Identifier: MIT
#
# posthaste demo: the counts are right whatever the input, a killed worker costs nothing, and nothing
# stays behind.
. "$(dirname "$0")/common"

# Where the FIFO of the summary is made.
use_place() {
	TMPDIR=$work/tmp
	export TMPDIR
	mkdir "$TMPDIR"
}

# About 4 MB of words.
make_text() {
	seq 1 2 1200000 | awk '{ printf "w%d %s", $1 % 977, NR % 9 ? "the " : "\n" }' >"$1"
}

nothing_left() {
	same "" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR")"
	same "" "$(ls -A "$TMPDIR")"
}

the_counts_are_those_of_other_tools() {
	use_place
	make_text "$work/text"
	ph demo --no-race --json "$work/text" >"$work/got"
	has "$(cat "$work/got")" "\"words\":$(wc -w <"$work/text"),"
	has "$(cat "$work/got")" "\"distinct\":$(tr -s ' \n' '\n\n' <"$work/text" | sort -u | wc -l),"
	has "$(cat "$work/got")" "\"word\":\"the\",\"count\":$(grep -o the "$work/text" | wc -l)}"
	has "$(cat "$work/got")" '"equal":true'
	nothing_left
}

a_worker_is_killed_at_work_and_its_chunk_is_counted_by_another() {
	make_text "$work/text"
	ph demo --no-race --json --workers 4 "$work/text" >"$work/got"
	has "$(cat "$work/got")" '"killed":true'
	has "$(cat "$work/got")" '"recovered":true'
	has "$(cat "$work/got")" '"unit_returned":true'
	has "$(cat "$work/got")" '"finished_half_done":true'
	has "$(cat "$work/got")" '"lost":0'
}

the_text_tells_the_same() {
	make_text "$work/text"
	ph demo --no-race "$work/text" >"$work/got"
	for part in "equal to a plain sequential count" "killed by SIGKILL" "went back to the queue" \
		"the unit it held came back by itself" "finished the half-done entry" "of progress sent by the workers" \
		"0 lost"; do
		has "$(cat "$work/got")" "$part"
	done
}

# Runs longer than a word or a chunk, no newline, no word, one byte, nothing, data.
odd_files_are_counted_right() {
	printf x >"$work/one-byte"
	printf 'no newline at the end' >"$work/unended"
	: >"$work/empty"
	printf '%0300d %0255d %0256d end' 1 2 3 >"$work/long"
	head -c 100000 /dev/zero | tr '\0' a >"$work/giant"
	printf ' after the giant' >>"$work/giant"
	head -c 300000 /dev/urandom >"$work/data"
	head -c 20000 /dev/zero | tr '\0' ' ' >"$work/spaces"
	for size in 4081 4082 4083 4084 8191 8192 8193; do
		head -c "$size" /dev/zero | sed 's/\x00/ab /g' | head -c "$size" >"$work/edge$size"
	done
	for file in "$work"/*; do
		[ "$file" = "$work/empty" ] || ph demo --no-race --json "$file" >"$work/.got"
	done
	ph demo --no-race --json "$work" >"$work/.got"
	has "$(cat "$work/.got")" '"equal":true'
}

what_cannot_be_read_is_refused_or_left_out_as_told() {
	make_text "$work/text"
	fails 1 demo --no-race "$work/text" "$work/nothing"
	has "$error" "--keep-going"
	ph demo --no-race --keep-going "$work/text" "$work/nothing" >"$work/got" 2>"$work/err"
	has "$(cat "$work/err")" "left out"
	fails 1 demo --no-race /dev/null
}

everything_goes_through_the_pipe() {
	make_text "$work/text"
	ph demo --no-race --json "$work/text" >"$work/got"
	fed=$(sed 's/.*"fed_bytes":\([0-9]*\).*/\1/' "$work/got")
	[ "$fed" -gt "$(wc -c <"$work/text")" ] || complain "$fed bytes were fed"
}

the_summary_goes_where_it_is_told() {
	make_text "$work/text"
	ph mkfifo "$work/f"
	"$POSTHASTE" cat "$work/f" >"$work/got" &
	same "" "$(ph demo --no-race --to "$work/f" "$work/text")"
	wait $!
	has "$(cat "$work/got")" "equal to a plain sequential count"
	fails 1 demo --no-race --to "$work/text" "$work/text"
	has "$error" "is no FIFO"
}

a_summary_that_cannot_be_printed_is_a_failure() {
	[ -w /dev/full ] || return 0
	use_place
	make_text "$work/text"
	status=0
	ph demo --no-race "$work/text" >/dev/full 2>"$work/err" || status=$?
	same 1 "$status"
	has "$(cat "$work/err")" "stdout: no space left"
	nothing_left
	rmdir "$TMPDIR"
	has "$(ph demo --no-race "$work/text" 2>"$work/err")" "equal to a plain"
	has "$(cat "$work/err")" "TMPDIR"
}

no_text_is_refused() {
	: >"$work/empty"
	fails 1 demo "$work/empty"
	has "$error" "no text"
}

even_the_only_chunk_survives_its_worker() {
	echo "a little text" >"$work/text"
	ph demo --no-race "$work/text" >"$work/got"
	has "$(cat "$work/got")" "killed by SIGKILL"
	has "$(cat "$work/got")" "1 chunks queued, 1 counted once each, 1 delivered again"
}

many_words_make_the_table_grow() {
	seq 1 700000 >"$work/text"
	ph demo --no-race --json --workers 4 "$work/text" >"$work/got"
	has "$(cat "$work/got")" '"distinct":700000,'
	has "$(cat "$work/got")" '"equal":true'
}

one_worker_does_it_alone() {
	make_text "$work/text"
	ph demo --no-race --workers 1 "$work/text" >"$work/got"
	has "$(cat "$work/got")" "0 lost"
}

the_race_names_both_and_the_kernel_may_be_missing() {
	head -c 200000 /dev/zero | sed 's/\x00/ab /g' >"$work/text"
	ph demo --json "$work/text" >"$work/got"
	has "$(cat "$work/got")" '"queues":"posthaste"'
	has "$(cat "$work/got")" '"queues":"kernel"'
}

an_interrupted_demo_ends_its_processes() {
	use_place
	make_text "$work/text"
	set -- $(yes "$work/text" | head -n 40)
	"$POSTHASTE" demo --workers 3 "$@" >"$work/got" 2>&1 &
	pid=$!
	eventually has_children "$pid" 5
	children=$(children_of "$pid")
	kill -TERM "$pid"
	status=0
	wait "$pid" 2>/dev/null || status=$?
	same 143 "$status"
	for child in $children; do
		eventually ended "$child"
	done
	ph rm --leftovers >/dev/null # the ring of those who were killed
	nothing_left
}

# stopped SIGNAL STATUS: in the middle of the counting.
stopped() {
	use_place
	make_text "$work/text"
	set -- "$@" $(yes "$work/text" | head -n 40)
	signal=$1 wanted=$2
	shift 2
	env --default-signal="$signal" "$POSTHASTE" demo --workers 3 --json "$@" >"$work/got" 2>"$work/complaint" &
	pid=$!
	eventually has_children "$pid" 5
	kill -"$signal" "$pid"
	status=0
	wait "$pid" 2>/dev/null || status=$?
	same "$wanted" "$status"
	same "" "$(cat "$work/complaint")"
	nothing_left
	rm -r "$TMPDIR"
}

count() { # KEY
	sed "s/.*\"posthaste\":{[^}]*\"$1\":\([0-9]*\).*/\1/" "$work/got"
}

a_demo_that_is_stopped_accounts_for_everything() {
	env --default-signal=INT true 2>/dev/null || return 0
	for stop in "INT 130" "TERM 143" "HUP 129"; do
		stopped $stop
		has "$(cat "$work/got")" '"lost":0,'
		has "$(cat "$work/got")" '"stopped_by":'
		same "$(count chunks)" "$(($(count counted) + $(count left)))"
		same "$(count signals_sent)" "$(count signals_handled)"
	done
}

every_signal_of_progress_is_handled() {
	make_text "$work/text"
	ph demo --no-race --json --workers 4 "$work/text" >"$work/got"
	same "$(count signals_sent)" "$(count signals_handled)"
	[ "$(count signals_sent)" -gt 0 ] || complain "no progress was told"
}

children_of() {
	cat "/proc/$1/task/$1/children" 2>/dev/null
}

has_children() { # PID NUMBER
	[ "$(children_of "$1" | wc -w)" -ge "$2" ]
}

run_tests \
	the_counts_are_those_of_other_tools \
	a_worker_is_killed_at_work_and_its_chunk_is_counted_by_another \
	the_text_tells_the_same \
	odd_files_are_counted_right \
	what_cannot_be_read_is_refused_or_left_out_as_told \
	everything_goes_through_the_pipe \
	the_summary_goes_where_it_is_told \
	a_summary_that_cannot_be_printed_is_a_failure \
	no_text_is_refused \
	even_the_only_chunk_survives_its_worker \
	many_words_make_the_table_grow \
	one_worker_does_it_alone \
	the_race_names_both_and_the_kernel_may_be_missing \
	an_interrupted_demo_ends_its_processes \
	a_demo_that_is_stopped_accounts_for_everything \
	every_signal_of_progress_is_handled
