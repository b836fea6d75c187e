# SPDX-License-Identifier: MIT
#
# posthaste trace: what a process did last, of every room, how long it slept; of the living, the killed, in text and in
# JSON, as it goes on; a damaged recording is called so, and nobody who looks disturbs anybody.
. "$(dirname "$0")/common"

traced() { # ARGUMENT... PATTERN: whether a line of the trace is like that
	for pattern; do :; done
	[ $# -lt 2 ] || set -- "$1"
	[ "$pattern" != "$1" ] || set --
	ph trace "$@" 2>/dev/null | grep -q -- "$pattern"
}

# A process that waits for a message in the queue /jobs, after one: $waiter.
make_waiter() {
	ph mk jobs
	ph send jobs one
	"$POSTHASTE" recv jobs -n 2 >/dev/null &
	waiter=$!
	eventually traced "$waiter" "mq_receive .* /jobs .* waits "
}

recordings() {
	ls -A "$POSTHASTE_DIR" | grep -c '^\.rec\.' || true
}

a_process_that_sleeps_shows_in_what_and_what_came_before() {
	make_waiter
	seen=$(ph trace "$waiter")
	has "$seen" "TIME"
	echo "$seen" | grep -q "^ .* $waiter .*posthaste .*mq_open .*/jobs " || complain "no open in $seen"
	echo "$seen" | grep -q "mq_borrow .*/jobs .* 0 " || complain "no message in $seen"
	echo "$seen" | tail -n 1 | grep -q "mq_receive .*/jobs .*waits .*[0-9]" || complain "no wait in $seen"
	kill "$waiter"
}

# A thread that slept for so long can be told: the clock is the tests' own.
how_long_an_operation_slept_is_told() {
	ph mk jobs
	"$POSTHASTE" recv jobs -n 2 >/dev/null &
	waiter=$!
	eventually traced "$waiter" "/jobs .* waits "
	before=$(date +%s%N)
	sleep 0.2 # something to be told
	passed=$(($(date +%s%N) - before))
	ph send jobs one
	eventually traced "$waiter" "mq_borrow .* 0 .*[0-9]ms$"
	slept=$(ph trace "$waiter" --json | sed -n 's/.*"result":0,.*"waited_ns":\([1-9][0-9]*\)}/\1/p' | head -n 1)
	[ "$slept" -ge "$passed" ] || complain "slept $slept ns, of $passed that have passed"
	ph send jobs two
	wait "$waiter"
}

the_killed_are_shown_with_their_last_operation() {
	make_waiter
	kill -KILL "$waiter"
	wait "$waiter" 2>/dev/null || true
	eventually traced "$waiter" "posthaste (ended) .*mq_open .*/jobs "
	seen=$(ph trace "$waiter")
	has "$(echo "$seen" | tail -n 1)" died
	ph rm jobs
	has "$(ph trace jobs)" " $waiter "
	has "$(ph trace "$waiter" --json)" '"ended":true'
	has "$(ph doctor --fix)" "1 recording"
	same 0 "$(recordings)"
	fails 1 trace "$waiter"
	has "$error" "no recording"
}

a_normal_end_leaves_nothing() {
	ph mk jobs
	ph send jobs a b
	ph recv jobs --all >/dev/null
	ph sem mk lamp --holders
	ph lock lamp -- true
	same 0 "$(recordings)"
	ph rm jobs lamp
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

operations_of_every_room_are_there() {
	mkfifo "$work/news"
	"$POSTHASTE" write "$work/news" "good morning" &
	writer=$!
	ph sem mk lamp --holders
	"$POSTHASTE" lock lamp -- sleep 300 &
	holder=$!
	eventually traced "$holder" "sem_[a-z]* .*/lamp .* 0 "
	"$POSTHASTE" lock lamp -- true &
	locker=$!
	"$POSTHASTE" wait-signal RTMIN --name bell >/dev/null &
	sleeper=$!
	eventually traced "$locker" "sem_wait .*/lamp .* waits "
	eventually traced bell "sigport_join .*/bell .* 0 "
	eventually traced "$sleeper" "sigwait .* waits "
	ph shm mk lake 64k
	sleep 300 | "$POSTHASTE" shm write lake &
	eventually traced lake "shm_open .*/lake .* [0-9]"
	"$POSTHASTE" cat "$work/news" >/dev/null &
	eventually ended "$writer"
	wait "$writer"
	kill "$holder" "$locker"
	kill -KILL "$sleeper"
	eventually traced "$sleeper" "ended.* sigwait .* died "
}

objects_and_processes_are_chosen() {
	make_waiter
	ph mk other
	"$POSTHASTE" recv other >/dev/null &
	eventually traced other "waits"
	seen=$(ph trace other)
	case $seen in *jobs*) complain "jobs in $seen" ;; esac
	seen=$(ph trace /jobs)
	case $seen in *other*) complain "other in $seen" ;; esac
	has "$seen" " $waiter "
	same 3 "$(ph trace -n 2 | wc -l)"
	same 2 "$(ph trace --json -n 2 | wc -l)"
	fails 2 trace a b
	fails 2 trace -n 0
	fails 1 trace 2147483647
	ph send jobs x
	ph send other x
	wait
}

json_is_json() {
	make_waiter
	ph trace --json >"$work/json"
	has "$(cat "$work/json")" '"operation":"mq_open","kind":"mq","object":"/jobs","result":'
	has "$(tail -n 1 "$work/json")" '"waits":true'
	if command -v python3 >/dev/null; then
		python3 -c 'import json, sys
last = 0
for line in open(sys.argv[1]):
    entry = json.loads(line)
    assert entry["time"] in ("exact", "between", "after", "before", "since"), entry
    assert entry["time_ns"] >= last, entry
    last = entry["time_ns"]' "$work/json" || complain "not as it should be"
	fi
	ph send jobs x
	wait "$waiter"
}

follow_shows_what_comes_until_the_process_ends() {
	make_waiter
	"$POSTHASTE" trace --follow "$waiter" >"$work/seen" &
	follower=$!
	eventually grep -q "waits" "$work/seen"
	ph send jobs two
	wait "$waiter"
	wait "$follower"
	same 1 "$(grep -c "^ TIME " "$work/seen")"
	ph mk quick
	"$POSTHASTE" trace --follow --json quick >"$work/seen" &
	follower=$!
	"$POSTHASTE" recv quick -n 2 >/dev/null &
	receiver=$!
	eventually grep -q '"object":"/quick".*"waits":true' "$work/seen"
	ph send quick one
	eventually grep -q '"operation":"mq_[a-z]*","kind":"mq","object":"/quick","result":0,"waits":false,"waited_ns":[1-9]' "$work/seen"
	kill "$follower"
	ph send quick two
	wait "$receiver"
}

it_can_be_switched_off() {
	ph mk jobs
	POSTHASTE_TRACE=0 "$POSTHASTE" recv jobs >/dev/null &
	receiver=$!
	eventually asleep jobs receivers 1
	same 0 "$(recordings)"
	fails 1 trace "$receiver"
	ph send jobs x
	wait "$receiver"
}

a_damaged_recording_is_named_and_the_others_are_shown() {
	make_waiter
	printf 'nonsense' >"$POSTHASTE_DIR/.rec.7"
	mkfifo "$POSTHASTE_DIR/.rec.8"
	head -c 600000 /dev/zero >"$POSTHASTE_DIR/.rec.9"
	ln -s /etc/passwd "$POSTHASTE_DIR/.rec.10"
	# One that lies in every byte behind its header.
	{
		head -c 512 "$POSTHASTE_DIR/.rec.$waiter"
		tail -c +513 "$POSTHASTE_DIR/.rec.$waiter" | tr '\000-\377' '\377\000-\376'
	} >"$POSTHASTE_DIR/.rec.11"
	seen=$(ph trace 2>"$work/err")
	has "$seen" " $waiter "
	has "$(cat "$work/err")" "damaged"
	ph trace --json >/dev/null 2>&1
	fails 1 trace 9
	has "$error" damaged
	rm "$POSTHASTE_DIR"/.rec.7 "$POSTHASTE_DIR"/.rec.8 "$POSTHASTE_DIR"/.rec.9 "$POSTHASTE_DIR"/.rec.1[01]
	ph send jobs x
	wait "$waiter"
}

who_cuts_a_recording_harms_nobody() {
	make_waiter
	truncate -s 0 "$POSTHASTE_DIR/.rec.$waiter"
	ph send jobs x
	wait "$waiter"
}

an_observer_who_is_stopped_or_killed_changes_nothing() {
	make_waiter
	"$POSTHASTE" trace --follow >/dev/null &
	observer=$!
	kill -STOP "$observer"
	ph send jobs x
	wait "$waiter"
	kill -KILL "$observer"
	wait "$observer" 2>/dev/null || true
	same 0 "$(recordings)"
}

not_more_of_the_dead_are_kept_than_the_newest() {
	ph mk jobs
	for i in $(seq 36); do
		"$POSTHASTE" recv jobs >/dev/null &
		all="${all:-} $!"
	done
	eventually asleep jobs receivers 36
	kill -KILL $all
	wait
	ph send jobs x
	same 32 "$(recordings)"
	has "$(ph doctor --fix)" "32 recordings"
	same 0 "$(recordings)"
}

run_tests a_process_that_sleeps_shows_in_what_and_what_came_before how_long_an_operation_slept_is_told \
	the_killed_are_shown_with_their_last_operation a_normal_end_leaves_nothing operations_of_every_room_are_there \
	objects_and_processes_are_chosen json_is_json follow_shows_what_comes_until_the_process_ends \
	it_can_be_switched_off a_damaged_recording_is_named_and_the_others_are_shown \
	who_cuts_a_recording_harms_nobody an_observer_who_is_stopped_or_killed_changes_nothing \
	not_more_of_the_dead_are_kept_than_the_newest
