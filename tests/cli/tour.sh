# SPDX-License-Identifier: MIT
#
# The tour of README.md runs as it is printed, and the programs of examples/ do what they say. The tour
# sees a tree like a clone that has been built; all it writes goes into that tree.
. "$(dirname "$0")/common"

root=$(cd "$(dirname "$0")/../.." && pwd)
built=$(dirname "$POSTHASTE")
CC=${CC:-cc}

# Programs that are not instrumented cannot load a library that is.
if grep -q -a -e __asan_init -e __ubsan_handle "$POSTHASTE"; then
	echo "0 passed, 0 failed, 1 skipped"
	exit 0
fi

# A clone after `make`, which therefore has nothing to do.
make_clone() {
	mkdir -p "$work/clone/build" "$work/bin"
	for part in include examples; do
		ln -s "$root/$part" "$work/clone/$part"
	done
	for product in posthaste libposthaste.so libposthaste.so.1 libposthaste.a libposthaste-preload.so; do
		ln -s "$built/$product" "$work/clone/build/$product"
	done
	printf '#!/bin/sh\n' >"$work/bin/make"
	chmod +x "$work/bin/make"
}

tour() {
	awk '/^```/ { on = $0 == "```sh tour"; next } on' "$root/README.md"
}

the_tour_runs_as_it_is_printed() {
	make_clone
	tour >"$work/tour"
	[ "$(grep -c . "$work/tour")" -gt 15 ] || complain "no tour in README.md"
	(cd "$work/clone" && PATH=$work/bin:$PATH sh -eu "$work/tour") >"$work/out" 2>"$work/err" ||
		complain "status $?: $(cat "$work/out" "$work/err")"
	for part in "9	stop" "resize cat.jpg" "status 124" "100000" "from C" "good morning" "5000050000" \
		"1000 signals, sum 500500" "told 3" "message: done, sum 6" "status 143"; do
		has "$(cat "$work/out")" "$part"
	done
	same 4 "$(grep -c 'round trips, .* ns each' "$work/out")"
	has "$(cat "$work/err")" "no message within"
	# Of the timeout, of the meter, of who is busy, and of who was killed.
	same "" "$(grep -v -e 'no message within' -e ' bytes in ' -e ': busy, held by' -e 'died holding it' -e '^Killed' -e '^Terminated' \
		"$work/err")"
	same "" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR")"
}

compile() { # EXAMPLE [OPTION...]
	program=$1
	shift
	"$CC" -O2 -Wall -Wextra -Werror "$@" "$root/examples/$program.c" -I"$root/include" -L"$built" \
		-lposthaste -Wl,-rpath,"$built" -o "$work/$program"
}

hello_passes_a_message_on() {
	compile hello
	"$work/hello" /greeting "good morning"
	same "good morning" "$("$work/hello" /greeting)"
}

pool_adds_up_although_a_worker_is_killed() {
	compile pool
	same "the sum of 1 to 1000 is 500500" "$("$work/pool")"
}

polled() {
	ph info events --json | grep -q '"polled":true'
}

printed() {
	[ "$(wc -l <"$work/printed")" = "$1" ]
}

loop_prints_what_comes_until_its_input_ends() {
	compile loop
	ph mk events
	mkfifo "$work/input"
	"$work/loop" /events <"$work/input" >"$work/printed" &
	exec 3>"$work/input"
	eventually polled
	ph send events one
	eventually printed 1
	ph send events two three
	eventually printed 3
	exec 3>&-
	wait $!
	same "one two three" "$(paste -s -d ' ' "$work/printed")"
	ph rm events
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

pipe_adds_up_what_its_child_reads() {
	compile pipe
	same "the sum is 5000050000" "$("$work/pipe")"
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

fifo_passes_a_line_on_to_any_program() {
	compile fifo
	"$work/fifo" "$work/name" "good morning" &
	eventually test -p "$work/name"
	same "good morning" "$("$work/fifo" "$work/name")"
	wait $!
	"$work/fifo" "$work/name" "to a stranger" &
	same "to a stranger" "$(cat "$work/name")"
	wait $!
	echo "from a stranger" >"$work/name" &
	same "from a stranger" "$("$work/fifo" "$work/name")"
}

counts_on() {
	[ "$("$work/shared" /tally 0)" -gt 40000 ]
}

shared_counts_although_one_is_killed() {
	compile shared
	"$work/shared" /tally 20000 >/dev/null &
	other=$!
	"$work/shared" /tally 20000 >/dev/null
	wait $other
	same 40000 "$("$work/shared" /tally 0)"
	"$work/shared" /tally 1000000000 >/dev/null &
	eventually counts_on
	kill -9 $!
	wait $! || :
	before=$("$work/shared" /tally 0)
	same $((before + 5)) "$("$work/shared" /tally 5)"
	rm "$POSTHASTE_DIR/sem.tally" "$POSTHASTE_DIR/shm.tally"
	same "" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR")"
}

semaphore_gives_the_seat_of_the_dead_to_the_next() {
	compile semaphore
	"$work/semaphore" >"$work/printed"
	same 4 "$(grep -c ': at work$' "$work/printed")"
	same "2 of 2 seats are free" "$(tail -n 1 "$work/printed")"
	same "" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR")"
}

arena_loses_nothing_to_a_killed_worker() {
	compile arena
	has "$("$work/arena")" "and 0 blocks are left"
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

# A program of the user's, who has an arena in memory that has a name.
shm_info_looks_into_an_arena() {
	cat >"$work/keep.c" <<-'END'
		#include <posthaste/shm.h>
		int main(void)
		{
			void *at = ph_shm_map("/lake", 1 << 20, PH_SHM_CREATE, 0600, 0);
			struct ph_arena *a;

			if (!at || ph_arena_make(at, 1 << 20) != 0 || !(a = ph_arena_attach(at, 1 << 20)))
				return 1;
			return ph_arena_bind(a, "boat\n", ph_arena_alloc(a, 5000));
		}
	END
	"$CC" "$work/keep.c" -I"$root/include" -L"$built" -lposthaste -Wl,-rpath,"$built" -o "$work/keep"
	ph shm mk plain 1m
	[ "$(ph shm info plain | grep -c arena)" = 0 ]
	"$work/keep"
	has "$(ph shm info lake)" "arena           "
	has "$(ph shm info lake)" "names           boat? at "
	has "$(ph info lake --json)" '"names":[{"name":"boat\u000a","offset":'
	same 1 "$(ph ls --json | grep -c '"name":"/lake"')"
	ph shm rm lake plain
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

arena_loses_nothing_though_a_worker_is_killed() {
	compile arena
	same "three lists add up to 1501500, and 0 blocks are left" "$("$work/arena")"
}

signal_interrupts_a_computation_a_thousand_times() {
	compile signal
	same "1000 signals, sum 500500" "$("$work/signal")"
}

safepoint_handles_what_was_sent_before_the_message() {
	compile safepoint
	same "message: done, sum 6" "$("$work/safepoint" | tail -n 1)"
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

posix_moves_over_unchanged() {
	compile posix -include posthaste/posix.h
	has "$("$work/posix")" "20000 round trips"
}

run_tests \
	the_tour_runs_as_it_is_printed \
	hello_passes_a_message_on \
	pool_adds_up_although_a_worker_is_killed \
	loop_prints_what_comes_until_its_input_ends \
	pipe_adds_up_what_its_child_reads \
	fifo_passes_a_line_on_to_any_program \
	shared_counts_although_one_is_killed \
	arena_loses_nothing_though_a_worker_is_killed \
	semaphore_gives_the_seat_of_the_dead_to_the_next \
	arena_loses_nothing_to_a_killed_worker \
	shm_info_looks_into_an_arena \
	signal_interrupts_a_computation_a_thousand_times \
	safepoint_handles_what_was_sent_before_the_message \
	posix_moves_over_unchanged
