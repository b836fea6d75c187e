# SPDX-License-Identifier: MIT
#
# posthaste shm: shared memory is made whole, its bytes go in and out, and it goes when it is to go.
. "$(dirname "$0")/common"

field() { # NAME KEY: the value in the JSON of shm info
	ph shm info "$1" --json | tr ',{}' '\n\n\n' | sed -n "s/^\"$2\"://p" | tr -d '"'
}

mk_makes_zeros_and_reserves_them() {
	ph shm mk a 1m
	same 1048576 "$(field a size)"
	[ "$(field a bytes)" -ge 1048576 ] || complain "$(field a bytes) bytes have memory"
	head -c 1048576 /dev/zero | cmp - "$POSTHASTE_DIR/shm.a"
	ph shm mk odd 5
	same 5 "$(field odd size)"
}

mk_takes_the_mode_as_it_is_named_and_else_obeys_the_umask() {
	(umask 077 && ph shm mk named 4k --mode 664)
	(umask 0 && ph shm mk plain 4k)
	same 664 "$(field named mode)"
	same 600 "$(field plain mode)"
}

mk_refuses_a_name_that_is_taken_unless_told_otherwise() {
	ph shm mk a 4k
	echo kept | ph shm write a
	fails 1 shm mk a 4k
	has "$error" "/a: exists already"
	ph shm mk a 8k --exist-ok
	ph shm mk a 1k --exist-ok
	same 8192 "$(field a size)"
	same kept "$(ph shm cat a --bytes 4)"
}

mk_says_when_there_is_no_room() {
	fails 1 shm mk huge 100000000g
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

huge_pages_are_a_wish() {
	ph shm mk a 2m --huge
	same 2097152 "$(field a size)"
	ph shm rm a
}

bytes_go_in_and_out() {
	seq 100000 >"$work/wanted"
	ph shm mk a 1m
	ph shm write a <"$work/wanted"
	ph shm cat a --bytes "$(wc -c <"$work/wanted")" | cmp - "$work/wanted"
	printf middle | ph shm write a --offset 5000
	same middle "$(ph shm cat a --offset 5000 --bytes 6)"
	same 1048576 "$(ph shm cat a | wc -c)"
	same 76 "$(ph shm cat a --offset 1048500 --bytes 1m | wc -c)"
	same "" "$(ph shm cat a --offset 1m)"
}

write_does_not_grow_what_it_is_not_told_to() {
	ph shm mk a 10
	status=0
	printf 'twelve bytes' | ph shm write a 2>"$work/err" || status=$?
	same 1 "$status"
	has "$(cat "$work/err")" "10 bytes were written; let it grow with --grow"
	same "twelve byt" "$(ph shm cat a)"
	printf 'twelve bytes' | ph shm write a --grow
	same "twelve bytes" "$(ph shm cat a)"
	printf x | ph shm write a --grow --offset 100k
	same 102401 "$(field a size)"
	[ "$(field a bytes)" -ge 102401 ] || complain "what was grown has no memory"
	fails 1 shm cat a --offset 1m
	has "$error" "has 102401 bytes"
}

# The users of reclaimed memory are this command, and who has it open besides.
reclaimed_memory_goes_with_its_command() {
	same "6 yes" "$(ph shm mk a 6 --reclaim -- sh -c \
		'echo "$("$1" shm cat a | wc -c)" yes' sh "$POSTHASTE")"
	same "" "$(ls -A "$POSTHASTE_DIR")"
	status=0
	ph shm mk a 4k --reclaim -- sh -c 'exit 1' || status=$?
	same 1 "$status"
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

reclaimed_memory_stays_until_a_signal_comes() {
	for signal in TERM INT HUP; do
		env --default-signal=INT "$POSTHASTE" shm mk a 4k --reclaim &
		pid=$!
		eventually test -e "$POSTHASTE_DIR/shm.a"
		same true "$(field a reclaim)"
		has "$(ph info a)" "until its last user is gone"
		kill -s "$signal" "$pid"
		wait "$pid"
		same "" "$(ls -A "$POSTHASTE_DIR")"
	done
}

what_a_killed_user_left_is_found_and_removed() {
	"$POSTHASTE" shm mk a 4k --reclaim &
	pid=$!
	eventually test -e "$POSTHASTE_DIR/shm.a"
	same ok "$(field a state)"
	same "0 removed" "$(ph rm --leftovers)"
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
	same unused "$(field a state)"
	has "$(ph ls)" unused
	has "$(ph doctor || true)" "posthaste rm --leftovers"
	same "1 removed" "$(ph rm --leftovers)"
	same "" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR")"
	has "$(ph doctor || true)" "none, and no damaged object"
}

ls_and_info_show_it() {
	ph shm mk b 64k
	ph shm mk a 4k
	same "/a /b" "$(ph ls --shm --names | paste -s -d ' ')"
	row=$(ph ls -M | grep /b)
	for part in "shm " "$(id -un)" 600 64k ok; do
		has "$row" "$part"
	done
	same "" "$(ph ls --queues --sems --pipes --names)"
	has "$(ph info b)" "65,536 bytes"
	has "$(ph ls --json)" '"kind":"shm","name":"/a"'
	same "$(ph info b)" "$(ph shm info b)"
}

what_is_not_there_is_told_with_the_remedy() {
	for call in "cat a" "info a" "write a"; do
		fails 1 shm $call
		has "$error" "posthaste shm mk a"
	done
	fails 1 shm rm a
	ph shm rm --force a
	mkfifo "$POSTHASTE_DIR/shm.a"
	fails 1 shm info a
	fails 1 shm cat a
	has "$(ph ls | grep /a)" damaged
	ph shm rm a
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

output_that_cannot_be_written_is_a_failure() {
	[ -w /dev/full ] || return 0
	ph shm mk a 1m
	status=0
	ph shm cat a >/dev/full 2>"$work/err" || status=$?
	same 1 "$status"
}

wrong_calls_are_usage_errors() {
	for call in "" nonsense "mk" "mk a" "mk a 0" "mk a x" "mk a 4k b" "mk a 4k -- true" "mk a/b 4k" "mk a 4k -m 9" \
		"rm" "cat" "cat a b" "cat a --offset x" "cat a --bytes -1" "cat a --grow" "write" "info" \
		"info a --kind shm"; do
		fails 2 shm $call
	done
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

every_part_has_help() {
	for part in mk rm cat write info; do
		has "$(ph help shm)" "  shm $part "
		has "$(ph help shm $part)" "usage: posthaste shm $part"
		same "$(ph help shm $part)" "$(ph shm $part --help)"
	done
}

run_tests \
	mk_makes_zeros_and_reserves_them \
	mk_takes_the_mode_as_it_is_named_and_else_obeys_the_umask \
	mk_refuses_a_name_that_is_taken_unless_told_otherwise \
	mk_says_when_there_is_no_room \
	huge_pages_are_a_wish \
	bytes_go_in_and_out \
	write_does_not_grow_what_it_is_not_told_to \
	reclaimed_memory_goes_with_its_command \
	reclaimed_memory_stays_until_a_signal_comes \
	what_a_killed_user_left_is_found_and_removed \
	ls_and_info_show_it \
	what_is_not_there_is_told_with_the_remedy \
	output_that_cannot_be_written_is_a_failure \
	wrong_calls_are_usage_errors \
	every_part_has_help
