# SPDX-License-Identifier: MIT
#
# posthaste's manners: help, versions, and what a wrong call costs: status 2, one line on stderr,
# nothing on stdout.
. "$(dirname "$0")/common"

wrong() {
	fails 2 "$@"
	same "" "$(cat "$work/out")"
}

a_wrong_call_is_refused_with_a_hint() {
	wrong nonsense
	has "$error" "posthaste help"
	wrong mk
	has "$error" "posthaste help mk"
	wrong mk a b
	wrong mk a --nonsense
	has "$error" "--nonsense is not an option here"
	wrong mk a -z
	has "$error" "-z is not an option here"
	wrong mk a --depth
	has "$error" "--depth needs a value"
	wrong rm
	wrong ls a
	wrong info
	wrong send
	wrong recv
	wrong recv a b
	wrong peek
	wrong sem
	wrong sem nonsense
	has "$error" "posthaste help sem"
	wrong shm
	wrong lock
	wrong rm a --kind nonsense
	wrong info a --kind ""
	wrong mkfifo
	wrong cat --nonsense
	wrong write
	wrong tee --timeout
	wrong pipe
	wrong pipe true
	wrong pipe true --
	wrong pipe -- true -- -- true
	wrong doctor a
	wrong help nonsense
}

values_are_checked() {
	for depth in 0 -1 x 1x "" 99999999999999999999; do
		wrong mk a --depth "$depth"
	done
	for size in 0 -1 x 1q 1kk k "" 99999999999g; do
		wrong mk a --size "$size"
	done
	for mode in 8 1000 rw "" -1; do
		wrong mk a --mode "$mode"
	done
	for prio in -1 32768 x ""; do
		wrong send a --priority "$prio" x
	done
	for seconds in -1 x 1x "" nan inf; do
		wrong recv a --timeout "$seconds"
	done
	for count in 0 -1 x ""; do
		wrong recv a --count "$count"
	done
	for mode in 8 1000 ""; do
		wrong mkfifo "$work/a" --mode "$mode"
	done
	for seconds in -1 x nan; do
		wrong cat "$work/a" --timeout "$seconds"
	done
	for size in 0 x 1q 2g; do
		wrong pipe --size "$size" true -- true
	done
	wrong demo --workers 0
	same "" "$(ph ls --names)"
}

options_that_contradict_each_other_are_refused() {
	ph mk a
	wrong recv a --follow --all
	wrong recv a --follow --nonblock
	wrong recv a --show-priority --length-prefixed
}

every_command_has_help() {
	for command in mk rm ls info send recv peek sem lock shm mkfifo cat write tee pipe run demo bench doctor; do
		has "$(ph help "$command")" "usage: posthaste $command"
		has "$(ph help)" "  $command "
	done
	for command in mk rm ls info send recv peek sem lock shm mkfifo cat write tee pipe run demo bench doctor; do
		same "$(ph help "$command")" "$(ph "$command" --help)"
	done
}

without_a_command_there_is_an_overview_and_status_2() {
	status=0
	ph >"$work/out" 2>"$work/err" || status=$?
	same 2 "$status"
	same 0 "$(wc -c <"$work/out")"
	has "$(cat "$work/err")" "usage: posthaste COMMAND"
}

version_is_that_of_the_header() {
	wanted=$(sed -n 's/^#define PH_VERSION "\(.*\)"/\1/p' \
		"$(dirname "$0")/../../include/posthaste/common.h")
	same "posthaste $wanted" "$(ph version)"
	same "posthaste $wanted" "$(ph --version)"
}

output_that_cannot_be_written_is_a_failure() {
	[ -w /dev/full ] || return 0
	ph mk a
	for call in "ls" "info a" "ls --json" "help" "doctor"; do
		status=0
		ph $call >/dev/full 2>"$work/err" || status=$?
		same 1 "$status"
	done
}

a_namespace_that_is_not_there_is_explained() {
	POSTHASTE_DIR=$work/nowhere
	fails 1 ls
	has "$error" "nowhere"
	fails 1 mk a
	fails 1 send a x
}

run_tests \
	a_wrong_call_is_refused_with_a_hint \
	values_are_checked \
	options_that_contradict_each_other_are_refused \
	every_command_has_help \
	without_a_command_there_is_an_overview_and_status_2 \
	version_is_that_of_the_header \
	output_that_cannot_be_written_is_a_failure \
	a_namespace_that_is_not_there_is_explained
