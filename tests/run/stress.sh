# SPDX-License-Identifier: MIT
#
# stress-ng's stressors for POSIX message queues, semaphores and shared memory, which check what comes out, natively
# and on the library; and what happens to the others if one is killed.
. "$(dirname "$0")/common"
needs /usr/bin/stress-ng stress-ng

stress() { # OPTION...
	both_ways /usr/bin/stress-ng --verify --temp-path "$work" "$@"
	for way in native run; do
		grep -q 'successful run completed' "$work/$way" || complain "$way: $(cat "$work/$way")"
		grep -E 'fail:|error:' "$work/$way" >&2 && complain "$way: the stressor complains"
	done
	return 0
}

message_queues() {
	stress --mq 2 --mq-ops 20000 --timeout 60
}

semaphores() {
	stress --sem 2 --sem-procs 4 --timeout 2 # a number of operations does not end this one
}

shared_memory() {
	stress --shm 2 --shm-ops 20 --shm-bytes 1m --shm-objs 8 --timeout 60
}

children_of() {
	cat "/proc/$1/task/$1/children"
}

has_child() {
	[ -n "$(children_of "$1")" ]
}

# One of two independent pairs loses its receiver, the other goes on; so does a third that comes later.
a_killed_program_leaves_the_others_working() {
	"$POSTHASTE" run "$programs/rate" 100000000 >/dev/null 2>&1 &
	victim=$!
	"$POSTHASTE" run "$programs/rate" 100000 >"$work/rate" 2>&1 &
	other=$!
	eventually has_child $victim
	sender=$(children_of $victim)
	kill -KILL $victim
	wait $victim 2>/dev/null || true
	wait $other || complain "the other pair failed: $(cat "$work/rate")"
	kill -KILL "$sender"
	eventually ended "$sender"
	ph run "$programs/rate" 1000 >/dev/null
	clean
}

programs=$1
run_tests \
	message_queues \
	semaphores \
	shared_memory \
	a_killed_program_leaves_the_others_working
