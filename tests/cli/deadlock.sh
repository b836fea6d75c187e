# SPDX-License-Identifier: MIT
#
# posthaste deadlock: it finds circles that are there, in whatever way their members wait, and none where somebody
# could go on.
. "$(dirname "$0")/common"

party=$(dirname "$POSTHASTE")/tests/cli/party

# Lets the scene begin, and waits until its members have come to their sleep.
begin() {
	"$party" "$1" >"$work/party" &
	eventually grep -qs ready "$work/party"
}

pid_of() {
	sed -n "s/^$1 //p" "$work/party"
}

says() { # STATUS: what deadlock ends with
	status=0
	ph deadlock >"$work/said" || status=$?
	[ "$status" = "$1" ]
}

# A scene with a circle is found, with all of the members named.
is_found() { # SCENE MEMBER...
	begin "$1"
	shift
	eventually says 1
	for member; do
		has "$(cat "$work/said")" "pid $(pid_of "$member") "
	done
}

asleep_are() { # NUMBER of threads that sleep on objects
	[ "$(ph stats | sed -n 's/^processes .*, \([0-9]*\) of.*/\1/p')" = "$1" ]
}

# A scene without one: when all sleep, still nothing is said.
is_free() { # SCENE SLEEPERS
	begin "$1"
	eventually asleep_are "$2"
	says 0 || complain "$(cat "$work/said")"
	same "no deadlock" "$(head -n 1 "$work/said")"
}

a_semaphore_and_a_full_queue_between_three_processes_are_one() {
	is_found knot_three sender receiver third
	has "$(cat "$work/said")" "deadlock of 3 processes"
	has "$(cat "$work/said")" "waits for room in the queue /q; pid $(pid_of receiver) receives from it"
	has "$(cat "$work/said")" "waits for 1 unit of the semaphore /t; pid $(pid_of third) holds 1"
	has "$(cat "$work/said")" "waits for 1 unit of the semaphore /s; pid $(pid_of sender) holds 1"
}

it_is_over_when_one_is_ended() {
	is_found knot_three third
	kill -KILL "$(pid_of third)"
	eventually says 0
}

two_semaphores_the_wrong_way_round_are_one() {
	is_found knot_cross one other
	has "$(cat "$work/said")" "deadlock of 2 processes"
}

a_thread_that_waits_for_the_waiting_thread_is_in_it() {
	is_found knot_join sender receiver third
}

a_parent_that_waits_for_its_waiting_child_is_in_it() {
	is_found knot_child sender receiver third
	has "$(cat "$work/said")" "waits for a child to end"
}

two_full_pipes_are_one() {
	is_found knot_pipes one other
	has "$(cat "$work/said")" "waits for room in the pipe pipe:["
}

a_queue_in_the_hands_of_a_borrower_is_one() {
	is_found knot_borrowed borrower sender
}

who_waits_behind_it_is_told() {
	is_found knot_cross one
	"$POSTHASTE" sem wait a &
	eventually behind "$!"
}

behind() {
	says 1 && grep -A 5 "waiting behind it" "$work/said" | grep -q "pid $1 "
}

a_deadline_is_none() {
	is_free free_deadline 3
}

another_thread_of_unknown_mind_is_none() {
	is_free free_thread 3
}

semaphores_without_holders_are_none() {
	is_free free_plain 2
}

semaphores_without_names_are_none() {
	is_free free_unnamed 2
}

idleness_is_none() {
	is_free free_idle 2
}

senders_whose_receiver_is_not_there_are_none() {
	is_free free_producers 2
}

a_stopped_member_is_none_until_it_goes_on() {
	is_found knot_cross one other
	kill -STOP "$(pid_of one)"
	eventually says 0
	kill -CONT "$(pid_of one)"
	eventually says 1
}

# Nodes and edges, and red ones for the circle; dot itself reads it where there is one.
dot_draws_it() {
	is_found knot_cross one other
	ph deadlock --dot >"$work/dot" || true
	same "digraph posthaste {" "$(head -n 1 "$work/dot")"
	has "$(cat "$work/dot")" "p$(pid_of one) [shape=box"
	same 4 "$(grep -c 'label="\(held by\|waits for units\)", color=red' "$work/dot")"
	if command -v dot >/dev/null; then
		dot -Tsvg "$work/dot" >/dev/null
	fi
}

json_names_the_members() {
	is_found knot_cross one other
	ph deadlock --json >"$work/json" || true
	has "$(cat "$work/json")" "\"pid\":$(pid_of one),"
	has "$(cat "$work/json")" "\"pid\":$(pid_of other),"
	has "$(cat "$work/json")" '"kind":"sem","object":"/'
}

an_empty_namespace_has_none() {
	says 0
}

run_tests \
	a_semaphore_and_a_full_queue_between_three_processes_are_one \
	it_is_over_when_one_is_ended \
	two_semaphores_the_wrong_way_round_are_one \
	a_thread_that_waits_for_the_waiting_thread_is_in_it \
	a_parent_that_waits_for_its_waiting_child_is_in_it \
	two_full_pipes_are_one \
	a_queue_in_the_hands_of_a_borrower_is_one \
	who_waits_behind_it_is_told \
	a_deadline_is_none \
	another_thread_of_unknown_mind_is_none \
	semaphores_without_holders_are_none \
	semaphores_without_names_are_none \
	idleness_is_none \
	senders_whose_receiver_is_not_there_are_none \
	a_stopped_member_is_none_until_it_goes_on \
	dot_draws_it \
	json_names_the_members \
	an_empty_namespace_has_none
