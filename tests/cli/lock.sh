# SPDX-License-Identifier: MIT
#
# posthaste lock: the command runs with its units in hand, never more of them than there are, and they come back
# however it ends.
. "$(dirname "$0")/common"

# status_of WANTED ARGUMENT...: of any status; what it prints is left in $work/out and $work/err.
status_of() {
	wanted=$1
	shift
	status=0
	"$POSTHASTE" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	[ "$status" = "$wanted" ] ||
		complain "posthaste $*: wanted status $wanted, got $status: $(cat "$work/err")"
}

value() { # SEMAPHORE NUMBER
	[ "$(ph sem value "$1")" = "$2" ]
}

# start_lock [OPTION...]: in the background, with a command that waits to be told; $guard is its pid, $command
# that of the command.
start_lock() {
	rm -f "$work/pid" "$work/go"
	mkfifo "$work/go"
	"$POSTHASTE" lock "$@" -- sh -c 'echo $$ >"$1/pid.new"; mv "$1/pid.new" "$1/pid"; exec cat "$1/go"' sh \
		"$work" >"$work/printed" 2>&1 &
	guard=$!
	eventually test -e "$work/pid"
	command=$(cat "$work/pid")
}

# killed PID: and waits until it is gone.
killed() {
	kill -KILL "$1"
	eventually ended "$1"
}

the_status_is_that_of_the_command() {
	status_of 0 lock a -- true
	status_of 7 lock a -- sh -c 'exit 7'
	status_of 143 lock a -- sh -c 'kill -TERM $$'
	status_of 127 lock a -- "$work/nothing"
	echo no program >"$work/file"
	status_of 126 lock a -- "$work/file"
	same 1 "$(ph sem value a)"
}

the_command_runs_as_it_was_called() {
	printf 'in' | ph lock a -- sh -c 'cat; printf "<%s>" "$@"' sh "x y" -n -- z >"$work/got"
	same "in<x y><-n><--><z>" "$(cat "$work/got")"
	same "a b" "$(ph lock a echo a b)"
	same "hello" "$(ph lock a -c 'echo hello')"
	same "two" "$(ph lock -n 2 --timeout 5 b -- echo two)"
}

the_units_are_held_meanwhile() {
	ph sem mk a --holders --value 4
	same 1 "$(ph lock a -n 3 -- "$POSTHASTE" sem value a)"
	same 4 "$(ph sem value a)"
}

a_missing_semaphore_is_made_with_holders() {
	same 0 "$(ph lock a -- "$POSTHASTE" sem value a)"
	same 3 "$(ph lock b --units 4 -- "$POSTHASTE" sem value b)"
	same 0 "$(ph lock c -n 2 -- "$POSTHASTE" sem value c)"
	same "1 4 2" "$(ph sem value a) $(ph sem value b) $(ph sem value c)"
	fails 2 lock d --units 1 -n 2 -- true
}

a_semaphore_without_holders_is_refused() {
	ph sem mk a
	fails 1 lock a -- true
	has "$error" "posthaste sem rm a; posthaste sem mk a --holders"
}

who_does_not_get_the_units_hears_who_has_them() {
	start_lock a
	fails 1 lock a --try -- true
	has "$error" "held by pid $guard ("
	fails 124 lock a --timeout 0.05 -- true
	has "$error" "held by pid $guard ("
	status_of 75 lock a --try -E 75 -- true
	status_of 75 lock a --timeout 0.05 -E 75 -- true
	echo >"$work/go"
	wait "$guard"
	ph lock a --try -- true
}

who_waits_goes_on_when_the_command_ends() {
	start_lock a
	"$POSTHASTE" lock a -- echo mine >"$work/got" &
	waiter=$!
	eventually waits "$waiter"
	same "" "$(cat "$work/got")"
	echo >"$work/go"
	wait "$waiter" "$guard"
	same mine "$(cat "$work/got")"
}

waits() { # PID
	ph info a --json | grep -q "\"waiters\":\[{\"pid\":$1,"
}

more_than_there_ever_are_is_warned_of() {
	ph sem mk a --holders --value 2
	status_of 124 lock a -n 3 --timeout 0.05 -- true
	has "$(cat "$work/err")" "has 2 units in all, and 3 are asked for"
}

units_come_back_when_the_command_is_killed() {
	start_lock a
	kill -KILL "$command"
	status=0
	wait "$guard" || status=$?
	same 137 "$status"
	same 1 "$(ph sem value a)"
	status_of 0 lock a --try -- true
	same "" "$(cat "$work/err")" # nobody who held has died
}

units_come_back_when_the_guard_is_killed_and_the_command_with_it() {
	start_lock a
	killed "$guard"
	status_of 0 lock a --timeout 20 -- true
	eventually ended "$command"
	has "$(cat "$work/err")" "the last holder, pid $guard, died holding it"
	status_of 0 lock a -- true
	same "" "$(cat "$work/err")" # it is told once
}

units_come_back_when_both_are_killed() {
	start_lock a
	kill -KILL "$guard" "$command"
	status_of 0 lock a --timeout 20 -- true
	has "$(cat "$work/err")" "died holding it"
	same 1 "$(ph sem value a)"
}

a_killed_guard_does_not_let_others_in_while_its_command_has_children() {
	mkfifo "$work/go"
	"$POSTHASTE" lock a -- sh -c 'cat "$1/go" & echo $! >"$1/pid.new"; mv "$1/pid.new" "$1/pid"; wait' sh \
		"$work" >"$work/printed" 2>&1 &
	guard=$!
	eventually test -e "$work/pid"
	killed "$guard"
	fails 1 lock a --try -- true
	[ ! -e "/proc/$(cat "$work/pid")/wchan" ] || has "$error" "held by pid $guard (gone)"
	echo >"$work/go"
	status_of 0 lock a --timeout 20 -- true
}

with_close_the_command_does_not_inherit_the_hold() {
	mkfifo "$work/go"
	"$POSTHASTE" lock a --close -- sh -c 'cat "$1/go" & echo $! >"$1/pid.new"; mv "$1/pid.new" "$1/pid"; wait' \
		sh "$work" >"$work/printed" 2>&1 &
	guard=$!
	eventually test -e "$work/pid"
	killed "$guard"
	status_of 0 lock a --timeout 20 -- true
	! ended "$(cat "$work/pid")" || complain "the child of the command has ended"
	echo >"$work/go"
}

what_the_command_leaves_behind_holds_nothing() {
	mkfifo "$work/go"
	ph lock a -- sh -c 'cat "$1/go" >"$1/left" &' sh "$work"
	ph lock a --try -- true
	echo >"$work/go"
}

signals_are_passed_on() {
	for signal in TERM HUP INT; do
		rm -f "$work/ready"
		env --default-signal=INT "$POSTHASTE" lock a -- sh -c \
			'trap "echo got; exit 9" '"$signal"'; : >"$1"; while :; do sleep 0.01; done' sh \
			"$work/ready" >"$work/got" &
		guard=$!
		eventually test -e "$work/ready"
		kill -s "$signal" "$guard"
		status=0
		wait "$guard" || status=$?
		same 9 "$status"
		same got "$(cat "$work/got")"
	done
	same 1 "$(ph sem value a)"
}

who_is_interrupted_while_waiting_runs_nothing() {
	start_lock a
	"$POSTHASTE" lock a -- echo ran >"$work/got" 2>&1 &
	waiter=$!
	eventually waits "$waiter"
	kill -TERM "$waiter"
	status=0
	wait "$waiter" 2>/dev/null || status=$?
	same 143 "$status"
	echo >"$work/go"
	wait "$guard"
	same "" "$(cat "$work/got")"
	same 1 "$(ph sem value a)"
}

# Each holder of 2 units of 4 makes a directory of its own, counts those that are there, and stays until another
# has come or all have had their turn: the most that were ever seen together must be 2, and is.
never_more_units_are_held_than_there_are() {
	ph sem mk a --holders --value 4
	mkdir "$work/inside" "$work/done"
	cat >"$work/work" <<-'END'
		mkdir "$1/inside/$$"
		tries=0
		while [ "$(ls "$1/inside" | wc -l)" -lt 2 ] && [ "$(ls "$1/done" | wc -l)" -lt 9 ] &&
			[ "$tries" -lt 500 ]; do
			tries=$((tries + 1))
			sleep 0.01
		done
		ls "$1/inside" | wc -l >>"$1/seen"
		: >"$1/done/$$"
		rmdir "$1/inside/$$"
	END
	pids=
	for i in 1 2 3 4 5 6 7 8 9 10; do
		"$POSTHASTE" lock a -n 2 -- sh "$work/work" "$work" &
		pids="$pids $!"
	done
	wait $pids
	same 10 "$(wc -l <"$work/seen")"
	same 2 "$(sort -n "$work/seen" | tail -n 1 | tr -d ' ')"
	same 4 "$(ph sem value a)"
}

# A counter in a file is read, and written with one more: without the lock some would be lost.
one_at_a_time_counts_right_although_guards_are_killed() {
	echo 0 >"$work/count"
	pids=
	for i in 1 2 3 4 5 6; do
		(
			for k in 1 2 3 4 5; do
				"$POSTHASTE" lock a -- sh -c 'n=$(cat "$1"); echo $((n + 1)) >"$1"' sh "$work/count" \
					2>>"$work/err"
				"$POSTHASTE" lock a -- sh -c 'kill -KILL $PPID; read x' 2>>"$work/err" || :
			done
		) >"$work/out$i" 2>&1 &
		pids="$pids $!"
	done
	wait $pids
	same 30 "$(cat "$work/count")"
	has "$(cat "$work/err")" "died holding it"
	ph lock a --timeout 20 -- true 2>"$work/err"
	same 1 "$(ph sem value a)"
}

wrong_calls_are_usage_errors() {
	for call in "" "a" "a --" "a/b -- true" "a -n 0 -- true" "a -n x -- true" "a -n 65536 -- true" \
		"a --units 0 -- true" "a --timeout x -- true" "a --try --timeout 1 -- true" "a -E 256 -- true" \
		"a -c true -- true" "a --nonsense -- true"; do
		fails 2 lock $call
	done
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

run_tests \
	the_status_is_that_of_the_command \
	the_command_runs_as_it_was_called \
	the_units_are_held_meanwhile \
	a_missing_semaphore_is_made_with_holders \
	a_semaphore_without_holders_is_refused \
	who_does_not_get_the_units_hears_who_has_them \
	who_waits_goes_on_when_the_command_ends \
	more_than_there_ever_are_is_warned_of \
	units_come_back_when_the_command_is_killed \
	units_come_back_when_the_guard_is_killed_and_the_command_with_it \
	units_come_back_when_both_are_killed \
	a_killed_guard_does_not_let_others_in_while_its_command_has_children \
	with_close_the_command_does_not_inherit_the_hold \
	what_the_command_leaves_behind_holds_nothing \
	signals_are_passed_on \
	who_is_interrupted_while_waiting_runs_nothing \
	never_more_units_are_held_than_there_are \
	one_at_a_time_counts_right_although_guards_are_killed \
	wrong_calls_are_usage_errors
