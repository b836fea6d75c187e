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
		printf "%s\n" "${COMPREPLY[@]}"' bash "$@" | sort -u | paste -s -d ' '
}

commands_are_offered_first_and_for_help() {
	same "recv rm run" "$(offered r)"
	same "deadlock demo doctor" "$(offered help d)"
	same "mk mkfifo" "$(offered mk)"
}

every_command_is_known() {
	has "$(ph help)" "  recv "
	for command in $(ph help | sed -n 's/^  \([a-z-]*\) .*/\1/p'); do
		has " $(offered "$command") " " $command "
	done
}

every_long_option_is_offered_that_help_names() {
	has "$(ph help mk)" " --depth"
	for command in mk rm ls info send recv peek lock mkfifo cat write tee pipe kill ps wait-signal \
		demo bench doctor mount top stats who deadlock trace; do
		for option in $(ph help "$command" | grep -o '^ .* --[a-z-]*' | grep -o -- '--[a-z-]*'); do
			has " $(offered "$command" --) " " $option "
		done
	done
}

every_part_and_its_options_are_known() {
	for command in sem shm; do
		has "$(ph help $command)" "  $command mk "
		for part in $(ph help $command | sed -n "s/^  $command \([a-z]*\) .*/\1/p"); do
			has " $(offered $command "") " " $part "
			has " $(offered help $command "") " " $part "
			for option in $(ph help $command "$part" | grep -o '^ .* --[a-z-]*' | grep -o -- '--[a-z-]*'); do
				has " $(offered $command "$part" --) " " $option "
			done
		done
	done
}

semaphores_and_shared_memory_are_offered_by_name() {
	ph sem mk lamp
	ph shm mk lake 4k
	ph mk lane
	same lamp "$(offered sem post la)"
	same "" "$(offered sem post lamp "")"
	same lamp "$(offered lock la)"
	same printenv "$(offered lock lamp printen)"
	same printenv "$(offered lock -n 2 lamp -- printen)"
	same lake "$(offered shm cat la)"
	same "lake lamp lane" "$(offered info la)"
	same "lake lamp lane" "$(offered who la)"
	same "mq port sem shm signals" "$(offered who --kind "")"
	same "lake lamp lane" "$(offered rm la)"
	same "mq port sem shm signals" "$(offered rm --kind "")"
	same "" "$(offered sem mk "")"
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

fifos_are_offered_where_they_may_stand() {
	ph mkfifo "$work/first" "$work/second"
	touch "$work/file"
	for command in cat write info rm; do
		same "$work/first $work/second" "$(offered "$command" "$work/")"
	done
	same "$work/second" "$(offered cat "$work/first" "$work/s")"
	same "$work/file $work/first" "$(offered tee "$work/f")"
	same "$work/first" "$(offered demo --to "$work/fi")"
	same "" "$(offered write "$work/first" "$work/")"
}

signals_are_offered_by_name() {
	has " $(offered kill -s T) " " TERM "
	has " $(offered wait-signal USR) " "USR1 USR2"
	"$POSTHASTE" wait-signal USR1 --name lamp >"$work/got" &
	eventually offers_port
	same lamp "$(offered wait-signal USR1 --name la)"
	ph kill -USR1 lamp
	wait $!
}

offers_port() {
	[ "$(offered kill la)" = lamp ]
}

programs_are_offered_at_the_ends_of_a_pipe() {
	same printenv "$(offered pipe printen)"
	same printenv "$(offered pipe --size 1m seq 5 -- printen)"
	touch "$work/file"
	same "$work/file" "$(offered pipe cat "$work/fi")"
}

nothing_is_offered_where_anything_may_stand() {
	ph mk jobs
	same "" "$(offered send jobs "")"
	same "" "$(offered recv -n "")"
	same "" "$(offered mk jobs --depth "")"
	same "" "$(offered mk "")"
}

if ! command -v bash >/dev/null; then
	echo "0 passed, 0 failed, 10 skipped"
	exit 0
fi
run_tests \
	commands_are_offered_first_and_for_help \
	every_command_is_known \
	every_long_option_is_offered_that_help_names \
	every_part_and_its_options_are_known \
	semaphores_and_shared_memory_are_offered_by_name \
	queues_are_offered_by_name \
	fifos_are_offered_where_they_may_stand \
	signals_are_offered_by_name \
	programs_are_offered_at_the_ends_of_a_pipe \
	nothing_is_offered_where_anything_may_stand
