# SPDX-License-Identifier: MIT
#
# posthaste sem: units are given and taken, all or none, and nothing is lost on the way.
. "$(dirname "$0")/common"

value() { # SEMAPHORE NUMBER
	[ "$(ph sem value "$1")" = "$2" ]
}

field() { # SEMAPHORE KEY: the value in the JSON of info
	ph info "$1" --json | tr ',{}' '\n\n\n' | sed -n "s/^\"$2\"://p" | tr -d '"'
}

mk_makes_a_semaphore_of_the_units_asked_for() {
	ph sem mk plain
	same 1 "$(ph sem value plain)"
	ph sem mk none --value 0
	same 0 "$(ph sem value /none)"
	ph sem mk held --holders --value 65535
	same 65535 "$(ph sem value held)"
	fails 2 sem mk big --holders --value 65536
	fails 2 sem mk big --value 2147483648
}

mk_takes_the_mode_as_it_is_named_and_else_obeys_the_umask() {
	(umask 077 && ph sem mk named --mode 664)
	(umask 0 && ph sem mk plain)
	same 664 "$(stat -c %a "$POSTHASTE_DIR/sem.named")"
	same 600 "$(stat -c %a "$POSTHASTE_DIR/sem.plain")"
}

mk_refuses_a_name_that_is_taken_unless_told_otherwise() {
	ph sem mk a --value 3
	fails 1 sem mk a
	has "$error" "/a: exists already"
	ph sem mk a --exist-ok --value 9
	same 3 "$(ph sem value a)"
	fails 1 sem mk a --exist-ok --holders
	has "$error" "has no holders"
}

post_and_wait_move_units() {
	ph sem mk a --value 0
	ph sem post a
	ph sem post a 4
	same 5 "$(ph sem value a)"
	ph sem wait a 3
	ph sem wait a
	same 1 "$(ph sem value a)"
}

try_takes_all_or_none_and_does_not_wait() {
	for kind in "" --holders; do
		ph sem mk "a$kind" $kind --value 2
		fails 1 sem try "a$kind" 3
		has "$error" "not so many units"
		same 2 "$(ph sem value "a$kind")"
		ph sem try "a$kind" 2 2>"$work/err"
	done
	same 0 "$(ph sem value a)"
	fails 1 sem try a
}

wait_gives_up_with_124_and_leaves_the_units() {
	for kind in "" --holders; do
		ph sem mk "a$kind" $kind --value 2
		fails 124 sem wait "a$kind" 3 --timeout 0.05
		same 2 "$(ph sem value "a$kind")"
	done
	fails 124 sem wait a 3 --timeout 0
}

wait_goes_on_when_the_last_unit_comes() {
	ph sem mk a --value 1
	"$POSTHASTE" sem wait a 3 &
	eventually value a 0 # it has taken the first
	ph sem post a 2
	wait $!
	same 0 "$(ph sem value a)"
}

an_interrupted_wait_puts_back_what_it_took() {
	ph sem mk a --value 2
	"$POSTHASTE" sem wait a 3 &
	pid=$!
	eventually value a 0
	kill -TERM "$pid"
	status=0
	wait "$pid" 2>/dev/null || status=$?
	same 143 "$status"
	same 2 "$(ph sem value a)"
}

wait_on_holders_says_that_the_units_go_back() {
	ph sem mk a --holders --value 2
	ph sem wait a 2 2>"$work/err"
	has "$(cat "$work/err")" "posthaste lock a -- COMMAND"
	same 2 "$(ph sem value a)"
}

post_says_when_there_would_be_too_many() {
	ph sem mk a --value 2147483646
	fails 1 sem post a 3
	has "$error" "1 of 3 units were given"
	fails 1 sem post a
	ph sem mk h --holders --value 65535
	fails 1 sem post h
	fails 1 sem post h 70000
	same 65535 "$(ph sem value h)"
}

what_is_not_there_is_told_with_the_remedy() {
	for call in "post a" "wait a" "try a" "value a"; do
		fails 1 sem $call
		has "$error" "posthaste sem mk a"
	done
	fails 1 sem rm a
	ph sem rm --force a
	echo nonsense >"$POSTHASTE_DIR/sem.a"
	fails 1 sem post a
	has "$error" "posthaste sem rm a"
	ph sem rm a
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

wrong_calls_are_usage_errors() {
	ph sem mk a
	for call in "" nonsense "mk" "mk a b" "mk a --value x" "mk a/b" "post a 0" "post a x" "wait a 1 2" \
		"wait a --timeout x" "value a 2" "try" "try a --timeout 1" "rm" "value a --nonsense"; do
		fails 2 sem $call
	done
}

every_part_has_help() {
	for part in mk rm post wait try value; do
		has "$(ph help sem)" "  sem $part "
		has "$(ph help sem $part)" "usage: posthaste sem $part"
		same "$(ph help sem $part)" "$(ph sem $part --help)"
	done
	fails 2 help sem nonsense
}

ls_and_info_show_semaphores() {
	ph sem mk plain --value 3
	ph sem mk held --holders --value 4
	same "/held /plain" "$(ph ls --sems --names | paste -s -d ' ')"
	row=$(ph ls -S | grep /held)
	for part in "sem " "$(id -un)" 600 " 0/4 " w0 ok; do
		has "$row" "$part"
	done
	same "" "$(ph ls --queues --shm --pipes --names)"
	same 3 "$(field plain value)"
	has "$(ph info plain)" "not written down"
	has "$(ph info held)" "value           4 of 4"
	has "$(ph info held)" "held            nothing"
	has "$(ph ls --json)" '{"kind":"sem","name":"/held"'
}

waits_for() { # SEMAPHORE UNITS
	ph info "$1" --json | grep -q "\"waiters\":\[{.*\"units\":$2,"
}

info_names_who_holds_and_who_waits() {
	mkfifo "$work/go"
	ph sem mk a --holders --value 4
	"$POSTHASTE" lock a -n 3 -- cat "$work/go" &
	holder=$!
	eventually value a 1
	"$POSTHASTE" lock a -n 2 -- true &
	waiter=$!
	eventually waits_for a 2
	has "$(ph info a)" "value           1 of 4"
	has "$(ph info a)" "held            3 units: pid $holder ($POSTHASTE lock a"
	has "$(ph info a)" "waiting         pid $waiter ("
	has "$(ph info a --json)" "\"held\":[{\"pid\":$holder,\"units\":3,\"dead\":false,"
	has "$(ph ls)" w1
	echo >"$work/go"
	wait "$holder" "$waiter"
	same 4 "$(field a value)"
}

who_died_with_units_is_seen_until_they_are_needed() {
	mkfifo "$work/go"
	"$POSTHASTE" lock a --units 2 -- cat "$work/go" &
	holder=$!
	eventually value a 1
	kill -KILL "$holder"
	wait "$holder" 2>/dev/null || true
	eventually has_dead a
	has "$(ph ls)" dead-holder
	has "$(ph doctor || true)" "pid $holder died and holds 1 units of it"
	ph lock a -n 2 -- true 2>"$work/err"
	has "$(ph info a)" "came back       1 units of killed holders so far, the last was pid $holder"
	same "$holder" "$(field a last_dead)"
	has "$(ph doctor || true)" "none, and no damaged object"
}

has_dead() {
	ph info "$1" --json | grep -q "\"dead\":true"
}

one_name_of_several_kinds_takes_its_kind() {
	ph mk jobs
	ph sem mk jobs --value 7
	fails 1 info jobs
	has "$error" "a queue and a semaphore; say which with --kind mq or --kind sem"
	fails 1 rm jobs
	same 7 "$(ph info jobs --kind sem --json | sed 's/.*"value":\([0-9]*\).*/\1/')"
	ph rm jobs --kind mq
	same sem "$(field jobs kind)"
	ph rm jobs
	fails 1 rm jobs
	fails 1 rm jobs --kind sem
	ph rm jobs --kind sem --force
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

doctor_finds_what_is_damaged() {
	echo nonsense >"$POSTHASTE_DIR/sem.broken"
	status=0
	findings=$(ph doctor) || status=$?
	same 1 "$status"
	has "$findings" "posthaste rm --kind sem broken"
	has "$(ph ls | grep /broken)" damaged
}

run_tests \
	mk_makes_a_semaphore_of_the_units_asked_for \
	mk_takes_the_mode_as_it_is_named_and_else_obeys_the_umask \
	mk_refuses_a_name_that_is_taken_unless_told_otherwise \
	post_and_wait_move_units \
	try_takes_all_or_none_and_does_not_wait \
	wait_gives_up_with_124_and_leaves_the_units \
	wait_goes_on_when_the_last_unit_comes \
	an_interrupted_wait_puts_back_what_it_took \
	wait_on_holders_says_that_the_units_go_back \
	post_says_when_there_would_be_too_many \
	what_is_not_there_is_told_with_the_remedy \
	wrong_calls_are_usage_errors \
	every_part_has_help \
	ls_and_info_show_semaphores \
	info_names_who_holds_and_who_waits \
	who_died_with_units_is_seen_until_they_are_needed \
	one_name_of_several_kinds_takes_its_kind \
	doctor_finds_what_is_damaged
