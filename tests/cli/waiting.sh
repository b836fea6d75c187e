# SPDX-License-Identifier: MIT
#
# posthaste send and recv while they wait, and when they are interrupted: the right status, and never a
# message lost.
. "$(dirname "$0")/common"

# interrupt SIGNAL PID: and waits; the status is left in $status.
interrupt() {
	kill -s "$1" "$2"
	status=0
	wait "$2" 2>/dev/null || status=$?
}

recv_gives_up_with_124_when_its_time_is_over() {
	ph mk jobs
	fails 124 recv jobs --timeout 0.05
	has "$error" "no message within 0.05 s"
	fails 124 recv jobs --timeout 0
}

send_gives_up_with_124_when_its_time_is_over() {
	ph mk jobs --depth 1
	ph send jobs one
	fails 124 send jobs two --timeout 0.05
	has "$error" "no room within 0.05 s"
	same one "$(ph recv jobs --all)"
}

a_timeout_that_is_not_needed_changes_nothing() {
	ph mk jobs
	ph send jobs --timeout 0 one
	same one "$(ph recv jobs --timeout 0)"
}

nonblock_does_not_wait() {
	ph mk jobs --depth 1
	fails 1 recv jobs --nonblock
	has "$error" "the queue is empty"
	ph send jobs --nonblock one
	fails 1 send jobs --nonblock two
	has "$error" "the queue is full"
}

send_says_how_much_was_sent_before_it_failed() {
	ph mk jobs --depth 2
	fails 1 send jobs --nonblock a b c
	has "$error" "2 messages were sent"
	fails 1 send jobs --nonblock d
	same "a b" "$(ph recv jobs --all | paste -s -d ' ')"
}

a_blocked_sender_goes_on_when_there_is_room() {
	ph mk jobs --depth 1
	ph send jobs one
	"$POSTHASTE" send jobs two &
	eventually asleep jobs senders 1
	same one "$(ph recv jobs)"
	wait $!
	same two "$(ph recv jobs)"
}

follow_prints_each_message_as_it_comes_and_ends_on_a_signal() {
	ph mk jobs
	for signal in TERM INT; do
		env --default-signal=INT "$POSTHASTE" recv jobs --follow >"$work/got" &
		pid=$!
		ph send jobs one
		eventually grep -qs one "$work/got"
		ph send jobs two
		eventually grep -qs two "$work/got"
		eventually asleep jobs receivers 1
		interrupt "$signal" "$pid"
		[ "$status" -gt 128 ]
	done
	ph send jobs three
	same three "$(ph recv jobs --all)"
}

an_interrupted_follower_has_printed_all_it_took() {
	ph mk jobs --depth 100 --size 64
	seq 50000 | "$POSTHASTE" send jobs &
	sender=$!
	: >"$work/got"
	for i in 1 2 3 4 5 6 7 8; do
		"$POSTHASTE" recv jobs --follow >>"$work/got" &
		pid=$!
		had=$(wc -l <"$work/got")
		eventually grown_or_over "$work/got" "$had" "$sender"
		interrupt TERM "$pid"
	done
	ph recv jobs --follow --timeout 1 >>"$work/got" 2>"$work/err" || same 124 $?
	wait "$sender"
	seq 50000 >"$work/wanted"
	sort -n "$work/got" | uniq | cmp "$work/wanted" -
}

grown_or_over() { # FILE LINES SENDER
	[ "$(wc -l <"$1")" -gt "$2" ] || ended "$3"
}

a_killed_receiver_loses_nothing() {
	ph mk jobs --depth 100 --size 64
	mkfifo "$work/stalled"
	# A reader that never reads: the pipe fills up, and the receiver is stuck with messages in hand.
	seq -f '%050.0f' 3000 >"$work/wanted"
	"$POSTHASTE" send jobs <"$work/wanted" &
	sender=$!
	"$POSTHASTE" recv jobs --follow >"$work/stalled" &
	pid=$!
	exec 3<"$work/stalled"
	eventually asleep jobs senders 1
	kill -KILL "$pid"
	wait "$pid" 2>/dev/null || true
	cat <&3 >"$work/first"
	ph recv jobs --follow --timeout 1 >"$work/second" 2>"$work/err" || same 124 $?
	wait "$sender"
	# What went into the pipe in part has no newline there, and comes again whole.
	grep -hx '[0-9]\{50\}' "$work/first" "$work/second" | sort | uniq | cmp "$work/wanted" -
}

a_closed_stdout_puts_the_message_back() {
	ph mk jobs
	ph send jobs one two
	mkfifo "$work/pipe"
	sleep 60 <"$work/pipe" &
	reader=$!
	exec 3>"$work/pipe"
	kill "$reader"
	wait "$reader" 2>/dev/null || true
	status=0
	ph recv jobs -n 2 >&3 2>"$work/err" || status=$?
	exec 3>&-
	same 1 "$status"
	has "$(cat "$work/err")" "closed by its reader; what it did not take went back"
	same "one two" "$(ph recv jobs --all | paste -s -d ' ')"
}

a_full_disk_puts_the_message_back() {
	[ -w /dev/full ] || return 0
	ph mk jobs
	ph send jobs one
	status=0
	ph recv jobs >/dev/full 2>"$work/err" || status=$?
	same 1 "$status"
	same one "$(ph recv jobs --all)"
}

send_from_a_pipe_passes_lines_on_as_they_come() {
	ph mk jobs
	mkfifo "$work/pipe"
	"$POSTHASTE" send jobs <"$work/pipe" &
	exec 3>"$work/pipe"
	echo one >&3
	same one "$(ph recv jobs --timeout 20)"
	echo two >&3
	same two "$(ph recv jobs --timeout 20)"
	exec 3>&-
	wait $!
}

run_tests \
	recv_gives_up_with_124_when_its_time_is_over \
	send_gives_up_with_124_when_its_time_is_over \
	a_timeout_that_is_not_needed_changes_nothing \
	nonblock_does_not_wait \
	send_says_how_much_was_sent_before_it_failed \
	a_blocked_sender_goes_on_when_there_is_room \
	follow_prints_each_message_as_it_comes_and_ends_on_a_signal \
	an_interrupted_follower_has_printed_all_it_took \
	a_killed_receiver_loses_nothing \
	a_closed_stdout_puts_the_message_back \
	a_full_disk_puts_the_message_back \
	send_from_a_pipe_passes_lines_on_as_they_come
