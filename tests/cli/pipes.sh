# SPDX-License-Identifier: MIT
#
# posthaste mkfifo, cat, write, tee and pipe: what goes in comes out, whoever is at the other end, and the
# right status when something ends early.
. "$(dirname "$0")/common"

# interrupt SIGNAL PID: and waits; the status is left in $status.
interrupt() {
	kill -s "$1" "$2"
	status=0
	wait "$2" 2>/dev/null || status=$?
}

mode_of() {
	ls -l "$1" | cut -c 1-10
}

mkfifo_makes_fifos_of_the_mode_that_is_named_and_else_obeys_the_umask() {
	(umask 077 && ph mkfifo "$work/named" --mode 664)
	(umask 027 && ph mkfifo "$work/a" "$work/b")
	same prw-rw-r-- "$(mode_of "$work/named")"
	same prw-r----- "$(mode_of "$work/a")"
	same prw-r----- "$(mode_of "$work/b")"
}

mkfifo_makes_all_it_can_and_tells_of_the_rest() {
	: >"$work/taken"
	fails 1 mkfifo "$work/taken" "$work/new"
	has "$error" "exists already"
	[ -p "$work/new" ]
	fails 1 mkfifo "$work/nowhere/new"
	has "$error" "mkdir -p"
}

a_line_comes_out_as_it_was_written() {
	ph mkfifo "$work/f"
	"$POSTHASTE" write "$work/f" hello world &
	same "hello world" "$(ph cat "$work/f")"
	wait $!
	"$POSTHASTE" write "$work/f" -- --dashes -x &
	same "--dashes -x" "$(ph cat "$work/f")"
}

every_byte_comes_out_in_order() {
	ph mkfifo "$work/f"
	seq 1000000 >"$work/wanted"
	"$POSTHASTE" write "$work/f" <"$work/wanted" &
	ph cat "$work/f" >"$work/got"
	wait $!
	cmp "$work/wanted" "$work/got"
}

programs_without_the_library_may_be_at_either_end() {
	ph mkfifo "$work/f"
	seq 300000 >"$work/wanted"
	"$POSTHASTE" write "$work/f" <"$work/wanted" &
	cat "$work/f" >"$work/got"
	wait $!
	cmp "$work/wanted" "$work/got"
	cat "$work/wanted" >"$work/f" &
	ph cat "$work/f" >"$work/got"
	wait $!
	cmp "$work/wanted" "$work/got"
}

cat_reads_one_after_the_other_and_stdin() {
	ph mkfifo "$work/a" "$work/b"
	"$POSTHASTE" write "$work/a" one &
	"$POSTHASTE" write "$work/b" three &
	same "one two three" "$(echo two | ph cat "$work/a" - "$work/b" | paste -s -d ' ')"
	same "alone" "$(echo alone | ph cat)"
}

cat_ends_with_the_last_of_several_writers() {
	ph mkfifo "$work/f"
	"$POSTHASTE" cat "$work/f" >"$work/got" &
	reader=$!
	exec 3>"$work/f"
	for i in 1 2 3 4; do
		seq 50000 | "$POSTHASTE" write "$work/f" --lines &
		writers="${writers:-} $!"
	done
	wait $writers
	! ended "$reader" || complain "cat ended while the FIFO was open for writing"
	exec 3>&-
	wait "$reader"
	same 200000 "$(wc -l <"$work/got")"
}

lines_of_several_writers_stay_whole() {
	ph mkfifo "$work/f"
	"$POSTHASTE" cat "$work/f" >"$work/got" &
	reader=$!
	exec 3>"$work/f"
	for i in 1 2 3; do
		yes "$(printf "%0$((i * 700))d" "$i")" | head -n 5000 | "$POSTHASTE" write "$work/f" -l &
		writers="${writers:-} $!"
	done
	wait $writers
	exec 3>&-
	wait "$reader"
	same "5000 5000 5000" "$(sort "$work/got" | uniq -c | awk '{ print $1 }' | paste -s -d ' ')"
}

lines_are_written_when_they_come_and_the_last_needs_no_newline() {
	ph mkfifo "$work/f" "$work/in"
	"$POSTHASTE" cat "$work/f" >"$work/got" &
	reader=$!
	"$POSTHASTE" write "$work/f" --lines <"$work/in" &
	exec 3>"$work/in"
	echo one >&3
	eventually grep -qx one "$work/got"
	printf two >&3
	exec 3>&-
	wait "$reader"
	same "$(printf 'one\ntwo')" "$(cat "$work/got")"
	head -c 10000 /dev/zero | tr '\0' x >"$work/wanted"
	"$POSTHASTE" write "$work/f" --lines <"$work/wanted" &
	ph cat "$work/f" | cmp "$work/wanted" -
}

nobody_at_the_other_end_is_124_after_a_while() {
	ph mkfifo "$work/f"
	fails 124 cat "$work/f" --timeout 0.05
	has "$error" "nobody opened the other end within 0.05 s"
	fails 124 write "$work/f" --timeout 0 x
	fails 124 tee "$work/f" --timeout 0.05
}

silence_is_124_and_what_came_before_is_not_lost() {
	ph mkfifo "$work/f"
	exec 3<>"$work/f"
	echo one >&3
	status=0
	ph cat "$work/f" --timeout 0.1 >"$work/got" 2>"$work/err" || status=$?
	same 124 "$status"
	same one "$(cat "$work/got")"
	has "$(cat "$work/err")" "nothing moved for 0.1 s"
	head -c 300000 /dev/zero >"$work/much"
	status=0
	ph write "$work/f" --timeout 0.1 <"$work/much" 2>"$work/err" || status=$?
	same 124 "$status"
	exec 3>&-
}

what_is_no_fifo_is_refused() {
	echo kept >"$work/file"
	fails 1 write "$work/file" x
	has "$error" "is no FIFO"
	same kept "$(cat "$work/file")"
	fails 1 write "$work/nothing" x
	has "$error" "posthaste mkfifo $work/nothing"
	fails 1 cat "$work/nothing"
	fails 1 cat "$work"
}

permissions_are_the_kernels() {
	[ "$(id -u)" = 0 ] && command -v setpriv >/dev/null || return 0
	ph mkfifo "$work/f" --mode 600
	chmod 755 "$base" "$work" "$base"/*
	status=0
	setpriv --reuid 65534 --clear-groups "$POSTHASTE" cat "$work/f" 2>"$work/err" || status=$?
	same 1 "$status"
	has "$(cat "$work/err")" "permission denied"
}

a_reader_that_goes_ends_the_writer() {
	ph mkfifo "$work/f"
	head -n 1 "$work/f" >"$work/got" &
	status=0
	yes | ph write "$work/f" 2>"$work/err" || status=$?
	same 1 "$status"
	has "$(cat "$work/err")" "closed by its reader"
	wait $!
	same y "$(cat "$work/got")"
	status=0
	{ yes | ph cat 2>"$work/err" || echo $? >"$work/status"; } | head -n 1 >"$work/got"
	same 1 "$(cat "$work/status")"
}

a_full_disk_is_a_failure() {
	[ -w /dev/full ] || return 0
	status=0
	echo x | ph cat >/dev/full 2>"$work/err" || status=$?
	same 1 "$status"
	has "$(cat "$work/err")" "no space left"
}

tee_feeds_fifos_files_and_stdout() {
	ph mkfifo "$work/f"
	seq 100000 >"$work/wanted"
	echo old >"$work/file"
	"$POSTHASTE" cat "$work/f" >"$work/fifo" &
	ph tee "$work/f" "$work/file" <"$work/wanted" >"$work/out"
	wait $!
	for got in fifo file out; do
		cmp "$work/wanted" "$work/$got"
	done
	echo more | ph tee --append "$work/file" >/dev/null
	same more "$(tail -n 1 "$work/file")"
	same 100001 "$(wc -l <"$work/file")"
}

tee_goes_on_with_the_others_when_one_output_fails() {
	ph mkfifo "$work/f"
	seq 300000 >"$work/wanted"
	head -n 1 "$work/f" >"$work/first" &
	status=0
	ph tee "$work/f" <"$work/wanted" >"$work/out" 2>"$work/err" || status=$?
	wait $!
	same 1 "$status"
	same 1 "$(wc -l <"$work/err")"
	has "$(cat "$work/err")" "$work/f: closed by its reader"
	cmp "$work/wanted" "$work/out"
}

the_meter_counts_every_byte() {
	ph mkfifo "$work/f"
	head -c 3000000 /dev/urandom >"$work/wanted"
	"$POSTHASTE" write "$work/f" --meter <"$work/wanted" 2>"$work/written" &
	ph cat "$work/f" --meter >"$work/got" 2>"$work/read"
	wait $!
	has "$(cat "$work/written")" "posthaste: write: 3,000,000 bytes in "
	has "$(cat "$work/read")" "posthaste: cat: 3,000,000 bytes in "
	ph tee --meter <"$work/wanted" 2>"$work/err" >"$work/got"
	has "$(cat "$work/err")" "posthaste: tee: 3,000,000 bytes in "
}

a_signal_ends_a_waiting_cat_and_the_meter_has_its_say() {
	ph mkfifo "$work/f"
	exec 3<>"$work/f"
	echo some >&3
	"$POSTHASTE" cat "$work/f" --meter >"$work/got" 2>"$work/err" &
	eventually grep -qsx some "$work/got"
	interrupt TERM $!
	same 143 "$status"
	has "$(cat "$work/err")" "5 bytes in "
	"$POSTHASTE" cat --meter /dev/zero >/dev/null 2>"$work/err" &
	interrupt TERM $!
	[ "$status" = 143 ]
	ph mkfifo "$work/nobody"
	"$POSTHASTE" cat "$work/nobody" &
	interrupt TERM $!
	same 143 "$status"
	exec 3>&-
}

pipe_runs_programs_into_each_other() {
	same "3 2" "$("$POSTHASTE" pipe seq 3 -- sort -r -- head -n 2 | paste -s -d ' ')"
	same 2 "$(echo a b | "$POSTHASTE" pipe cat -- wc -w)"
	same 6 "$("$POSTHASTE" pipe --separator '|' echo -- is -- five words two '|' wc -w)"
	head -c 5000000 /dev/urandom >"$work/wanted"
	"$POSTHASTE" pipe cat "$work/wanted" -- "$POSTHASTE" cat -- "$POSTHASTE" tee -- cat |
		cmp "$work/wanted" -
}

pipe_takes_the_status_of_the_last_or_of_one_that_failed() {
	for case in "0 sh -c 'exit 3' -- true" "4 true -- sh -c 'exit 4'" \
		"3 --pipefail sh -c 'exit 3' -- true" "4 -p sh -c 'exit 3' -- sh -c 'exit 4'" \
		"143 true -- sh -c 'kill -TERM \$\$'" "127 true -- $work/nothing" "126 true -- $work"; do
		wanted=${case%% *}
		status=0
		eval "\"\$POSTHASTE\" pipe ${case#* }" 2>"$work/err" || status=$?
		same "$wanted" "$status"
	done
	has "$(cat "$work/err")" "posthaste: pipe: $work: "
}

pipe_ends_whoever_writes_for_nobody() {
	for meter in "" --meter; do
		same y "$("$POSTHASTE" pipe $meter yes -- head -n 1 2>"$work/err")"
		status=0
		"$POSTHASTE" pipe $meter yes -- "$work/nothing" 2>"$work/err" || status=$?
		same 127 "$status"
		status=0
		"$POSTHASTE" pipe -p $meter yes -- head -n 1 2>"$work/err" >"$work/got" || status=$?
		same 141 "$status"
	done
}

pipe_meters_what_goes_through_and_takes_the_size() {
	same 3000000 "$("$POSTHASTE" pipe --meter --size 1m head -c 3000000 /dev/zero -- wc -c \
		2>"$work/err")"
	has "$(cat "$work/err")" "posthaste: pipe: 3,000,000 bytes in "
	fails 1 pipe --size 1g true -- true
}

pipe_passes_signals_on() {
	"$POSTHASTE" pipe sleep 60 -- sh -c 'trap "exit 5" TERM; echo ready; while :; do sleep 0.01; done' \
		>"$work/out" &
	pid=$!
	eventually grep -qs ready "$work/out"
	interrupt TERM "$pid"
	same 5 "$status"
}

pipe_works_with_standard_streams_closed() {
	"$POSTHASTE" pipe echo x -- sh -c 'cat >"$0"' "$work/got" <&- >&-
	same x "$(cat "$work/got")"
}

run_tests \
	mkfifo_makes_fifos_of_the_mode_that_is_named_and_else_obeys_the_umask \
	mkfifo_makes_all_it_can_and_tells_of_the_rest \
	a_line_comes_out_as_it_was_written \
	every_byte_comes_out_in_order \
	programs_without_the_library_may_be_at_either_end \
	cat_reads_one_after_the_other_and_stdin \
	cat_ends_with_the_last_of_several_writers \
	lines_of_several_writers_stay_whole \
	lines_are_written_when_they_come_and_the_last_needs_no_newline \
	nobody_at_the_other_end_is_124_after_a_while \
	silence_is_124_and_what_came_before_is_not_lost \
	what_is_no_fifo_is_refused \
	permissions_are_the_kernels \
	a_reader_that_goes_ends_the_writer \
	a_full_disk_is_a_failure \
	tee_feeds_fifos_files_and_stdout \
	tee_goes_on_with_the_others_when_one_output_fails \
	the_meter_counts_every_byte \
	a_signal_ends_a_waiting_cat_and_the_meter_has_its_say \
	pipe_runs_programs_into_each_other \
	pipe_takes_the_status_of_the_last_or_of_one_that_failed \
	pipe_ends_whoever_writes_for_nobody \
	pipe_meters_what_goes_through_and_takes_the_size \
	pipe_passes_signals_on \
	pipe_works_with_standard_streams_closed
