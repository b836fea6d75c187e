# SPDX-License-Identifier: MIT
#
# cli/completions/posthaste: what bash offers after a few letters. Skipped where there is no bash.
. "$(dirname "$0")/common"

completions=$(cd "$(dirname "$0")/../../cli/completions" && pwd)/posthaste
export completions

# offered WORD...: what is offered for the last word, sorted, in one line.
offered() {
	bash -c '. "$completions"
		COMP_WORDS=("$POSTHASTE" "$@")
		COMP_CWORD=$#
		_posthaste
		printf "%s\n" "${COMPREPLY[@]}"' bash "$@" | sort | paste -s -d ' '
}

commands_are_offered_first_and_for_help() {
	same "recv rm" "$(offered r)"
	same "demo doctor" "$(offered help d)"
}

every_command_is_known() {
	has "$(ph help)" "  recv "
	for command in $(ph help | sed -n 's/^  \([a-z]*\) .*/\1/p'); do
		same "$command" "$(offered "$command")"
	done
}

every_long_option_is_offered_that_help_names() {
	has "$(ph help mk)" " --depth"
	for command in mk rm ls info send recv peek demo bench doctor; do
		for option in $(ph help "$command" | grep -o '^ .* --[a-z-]*' | grep -o -- '--[a-z-]*'); do
			has " $(offered "$command" --) " " $option "
		done
	done
}

queues_are_offered_by_name() {
	ph mk jobs
	ph mk jokes
	ph mk other
	same "jobs jokes" "$(offered recv jo)"
	same "/jobs /jokes" "$(offered info /jo)"
	same "jobs jokes other" "$(offered recv -n 3 "")"
	same "jobs jokes other" "$(offered rm other "")"
}

nothing_is_offered_where_anything_may_stand() {
	ph mk jobs
	same "" "$(offered send jobs "")"
	same "" "$(offered recv -n "")"
	same "" "$(offered mk jobs --depth "")"
	same "" "$(offered mk "")"
}

if ! command -v bash >/dev/null; then
	echo "0 passed, 0 failed, 5 skipped"
	exit 0
fi
run_tests \
	commands_are_offered_first_and_for_help \
	every_command_is_known \
	every_long_option_is_offered_that_help_names \
	queues_are_offered_by_name \
	nothing_is_offered_where_anything_may_stand
