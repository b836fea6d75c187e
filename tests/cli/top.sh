# SPDX-License-Identifier: MIT
#
# posthaste top: once, for scripts, and live on a terminal, which tmux stands for. Parts are skipped where python3,
# tmux or the live view itself are not there.
. "$(dirname "$0")/common"

# A queue through which messages go, another that somebody waits for: $sender, $receiver, $waiter.
make_traffic() {
	ph mk busy --depth 100 --size 64
	ph mk quiet
	ph sem mk lamp --holders --value 2
	mkfifo "$work/lines"
	yes abc >"$work/lines" &
	"$POSTHASTE" send busy <"$work/lines" &
	sender=$!
	"$POSTHASTE" recv busy --follow >/dev/null &
	receiver=$!
	"$POSTHASTE" recv quiet >/dev/null &
	waiter=$!
	eventually asleep quiet receivers 1
	eventually passes busy 1000
}

passes() { # QUEUE MESSAGES
	[ "$(ph info "$1" --json | sed 's/.*"received":\([0-9]*\).*/\1/')" -gt "$2" ]
}

once_as_json_has_rates_levels_and_sleepers() {
	make_traffic
	ph top --once --json --interval 0.3 >"$work/json"
	same 1 "$(wc -l <"$work/json")"
	command -v python3 >/dev/null || return 0
	python3 - "$work/json" "$sender" "$receiver" "$waiter" <<-'END'
		import json, sys
		told = json.load(open(sys.argv[1]))
		sender, receiver, waiter = map(int, sys.argv[2:])
		objects = {o["name"]: o for o in told["objects"]}
		processes = {p["pid"]: p for p in told["processes"]}
		assert told["seconds"] >= 0.3, told
		assert objects["/busy"]["in_per_s"] > 0 and objects["/busy"]["out_per_s"] > 0, objects
		assert objects["/busy"]["capacity"] == 100 and objects["/busy"]["fill"] <= 100, objects
		assert {sender, receiver} <= set(objects["/busy"]["users"]), objects
		assert objects["/quiet"]["in_per_s"] == 0 and objects["/quiet"]["since_ms"] > 0, objects
		sleeper, = objects["/quiet"]["sleepers"]
		assert sleeper["pid"] == waiter and sleeper["for"] == "content", sleeper
		assert processes[waiter]["waits"] == ["waits for a message in the queue /quiet"], processes
		assert processes[sender]["cpu_percent"] >= 0 and processes[sender]["open"] == 1, processes
		assert objects["/lamp"]["kind"] == "sem" and told["deadlocks"] == [], told
	END
}

once_prints_both_lists() {
	make_traffic
	ph top --once --interval 0.1 >"$work/text"
	has "$(grep '/quiet' "$work/text")" r1/s0
	has "$(cat "$work/text")" "KIND"
	has "$(grep "^ *$waiter " "$work/text")" "content of /quiet"
	has "$(head -n 1 "$work/text")" "2 mq, 1 sem, 0 shm, 0 pipes; 3 processes"
}

rows_are_filtered_and_sorted() {
	ph mk a --depth 4
	ph mk b --depth 4
	ph mk c --depth 4
	ph send b 1 2 3
	ph send a 1
	same "/b /a /c" "$(names --sort fill)"
	same "/a /b /c" "$(names --sort name)"
	same "/b" "$(names --filter /B)"
	fails 2 top --once --sort nonsense
}

names() {
	ph top --once --interval 0.1 "$@" | sed -n 's/^mq  *\([^ ]*\) .*/\1/p' | paste -s -d ' '
}

operations_of_a_semaphore_are_counted() {
	command -v python3 >/dev/null || return 0
	ph sem mk lamp --holders --value 1
	while ph lock lamp -- true; do :; done &
	eventually used_lamp
	kill -KILL $!
}

used_lamp() {
	ph top --once --json --interval 0.3 | python3 -c '
import json, sys
lamp, = json.load(sys.stdin)["objects"]
sys.exit(not lamp["in_per_s"] > 0)'
}

a_deadlock_is_told_above() {
	"$(dirname "$POSTHASTE")/tests/cli/party" knot_cross >"$work/party" &
	eventually grep -qs ready "$work/party"
	eventually alarm
	ph top --once --json --interval 0.1 >"$work/json"
	has "$(cat "$work/json")" '"deadlocks":[['
}

alarm() {
	ph top --once --interval 0.1 | grep -q "^deadlock: pid .* -> .*; see: posthaste deadlock"
}

it_wants_a_terminal() {
	fails 1 top
	has "$error" "posthaste top --once"
	fails 2 top --json
	fails 2 top --interval 0
	fails 2 top jobs
}

# ---- live ----

screen() {
	tmux -L "ph-$$" "$@"
}

shows() { # TEXT: somewhere on the screen
	screen capture-pane -p -t top | grep -q -- "$1"
}

shows_not() {
	! shows "$1"
}

press() {
	screen send-keys -t top "$@"
}

# In a terminal of 80 columns and 24 lines, as ssh brings it.
on_a_terminal_it_lists_sorts_filters_freezes_and_ends() {
	make_traffic
	screen -f /dev/null new-session -d -s top -x 80 -y 24 \
		"TERM=screen '$POSTHASTE' top --interval 0.2; echo ended with \$?; cat"
	eventually shows "^mq   /busy "
	eventually shows "^mq   /quiet .* r1/s0 "
	shows "q quit$"
	press p
	eventually shows "^ *$waiter S .*content of /quiet"
	press o / quiet Enter
	eventually shows "^filter: quiet"
	eventually shows_not "/busy"
	press Escape
	eventually shows "/busy"
	press f
	eventually shows FROZEN
	press f
	eventually shows_not FROZEN
	press h
	eventually shows "freeze, and go on"
	press h
	eventually shows "/busy"
	press '>' '>' r
	screen resize-window -t top -x 120 -y 10
	eventually shows "OWNER"
	ph mk later
	eventually shows "/later"
	press q
	eventually shows "ended with 0"
	screen kill-session -t top
}

live_is_possible() {
	command -v tmux >/dev/null && ! "$POSTHASTE" top 2>&1 </dev/null | grep -q ncurses
}

set -- once_as_json_has_rates_levels_and_sleepers \
	once_prints_both_lists \
	rows_are_filtered_and_sorted \
	operations_of_a_semaphore_are_counted \
	a_deadlock_is_told_above \
	it_wants_a_terminal
if live_is_possible; then
	trap 'rm -rf "$base"; screen kill-server 2>/dev/null' EXIT
	run_tests "$@" on_a_terminal_it_lists_sorts_filters_freezes_and_ends
else
	run_tests "$@" | sed '$s/$/, 1 skipped/'
fi
