# SPDX-License-Identifier: MIT
#
# posthaste kill, ps, wait-signal: signals reach whom they are for with what they carry, who does not get one is told
# why, and what can be seen of a process's signals is true.
. "$(dirname "$0")/common"

# waits_for PID SIGNAL...: that process is asleep for just these signals, in the order of their numbers.
waits_for() {
	pid=$1
	shift
	wanted=$(printf '"%s",' "$@")
	ph info "$pid" --json 2>/dev/null | grep -qF "\"waiting\":true,\"waits_for\":[${wanted%,}]"
}

# begin ARGUMENT...: a wait-signal in the background, in $waiter, asleep by now. The signals are the first arguments, up to
# the first option, in the order of their numbers; what it prints goes to $work/got.
begin() {
	"$POSTHASTE" wait-signal "$@" >"$work/got" 2>"$work/complaint" &
	waiter=$!
	signals=
	for word; do
		case $word in -*) break ;; esac
		signals="$signals $word"
	done
	eventually waits_for "$waiter" $signals
}

lines() { # FILE NUMBER
	[ "$(wc -l <"$1")" -eq "$2" ]
}

# look FILE EXPRESSION: a Python expression about the objects in a file, one a line, which are `all`; the first is `it`.
look() {
	python3 -c 'import json, sys
all = [json.loads(line) for line in open(sys.argv[1])]
it = all[0] if all else None
sys.exit(0 if eval("(" + sys.argv[2] + ")") else 1)' "$1" "$2" || complain "not so: $2 in $(cat "$1")"
}

# ---- kill -l ----

the_table_has_every_signal_with_what_it_does() {
	ph kill -l >"$work/table"
	same "$(kill -l KILL 2>/dev/null || echo 9) KILL terminate" \
		"$(awk '$2 == "KILL" { print $1, $2, $3 }' "$work/table")"
	for row in "HUP terminate" "QUIT core" "SEGV core" "CHLD ignore" "CONT continue" "STOP stop" \
		"TTOU stop" "URG ignore" "WINCH ignore" "SYS core" "RTMIN terminate" "RTMAX terminate" \
		"RTMIN+1 terminate"; do
		same "$row" "$(awk -v n="${row% *}" '$2 == n { print $2, $3 }' "$work/table")"
	done
	has "$(grep ' INT ' "$work/table")" "Ctrl-C"
	# Each number once, and as many as there are for programs.
	same "$(awk 'NR > 1' "$work/table" | wc -l)" "$(awk 'NR > 1 { print $1 }' "$work/table" | sort -u | wc -l)"
	same 31 "$(awk 'NR > 1 && $1 < 32' "$work/table" | wc -l)"
}

names_numbers_and_statuses_are_converted() {
	same 15 "$(ph kill -l TERM)"
	same 15 "$(ph kill -l sigterm)"
	same TERM "$(ph kill -l 15)"
	same TERM "$(ph kill -l 143)"
	same "9 INT" "$(ph kill -l KILL 130 | paste -s -d ' ')"
	same 6 "$(ph kill -l IOT)"
	same "$(ph kill -l RTMIN)" "$(($(ph kill -l RTMIN+3) - 3))"
	same "$(ph kill -l RTMAX)" "$(($(ph kill -l RTMAX-2) + 2))"
	same RTMIN+1 "$(ph kill -l $(($(ph kill -l RTMIN) + 1)))"
	for word in NONSENSE 0 300 RTMIN-1 RTMAX+1 RTMIN+99 33; do
		fails 1 kill -l "$word"
	done
}

# ---- to processes ----

a_signal_arrives_with_its_sender_and_its_value() {
	begin USR1 RTMIN+2 -n 3
	ph kill -s RTMIN+2 -q 42 "$waiter"
	ph kill -RTMIN+2 -q -7 "$waiter"
	eventually lines "$work/got" 2 # a lower number comes first
	ph kill -s USR1 "$waiter"
	wait "$waiter"
	same "$(ph kill -l RTMIN+2) RTMIN+2 pid N uid $(id -u) value 42" "$(sed -n '1s/pid [0-9]*/pid N/p' "$work/got")"
	same "value -7" "$(sed -n '2s/.* value/value/p' "$work/got")"
	same "10 USR1 value -" "$(sed -n '3s/ pid.*value/ value/p' "$work/got")"
}

the_signal_is_named_in_every_way_of_kill() {
	number=$(ph kill -l RTMIN+1)
	begin TERM RTMIN+1 -n 10
	for how in "-s RTMIN+1" "-sRTMIN+1" "-s SIGRTMIN+1" "--signal=rtmin+1" "--signal RTMIN+1" "-RTMIN+1" \
		"-SIGRTMIN+1" "-$number" "-s $number"; do
		ph kill $how "$waiter"
	done
	eventually lines "$work/got" 9
	ph kill -- "$waiter"
	wait "$waiter"
	same "9 RTMIN+1 1 TERM" "$(cut -d ' ' -f 2 "$work/got" | sort | uniq -c | awk '{ print $1, $2 }' | paste -s -d ' ')"
}

several_get_it_and_v_says_who() {
	"$POSTHASTE" wait-signal USR1 >"$work/one" &
	one=$!
	"$POSTHASTE" wait-signal USR1 >"$work/two" &
	two=$!
	eventually waits_for "$one" USR1
	eventually waits_for "$two" USR1
	same "$one: USR1 sent $two: USR1 sent" "$(ph kill -v -USR1 "$one" "$two" | paste -s -d ' ')"
	wait "$one" "$two"
}

a_group_gets_it() {
	command -v setsid >/dev/null || return 0
	setsid sh -c '"$POSTHASTE" wait-signal USR2 >"$work/got" & wait' &
	eventually one_waits USR2
	group=$(ps_field USR2 pid)
	group=$(cut -d ' ' -f 5 "/proc/$group/stat")
	fails 2 kill -s USR2 -q 1 -"$group"
	fails 2 kill -"$group"
	ph kill -s 0 -"$group"
	ph kill -s USR2 -- -"$group" || true # the shell of the group may be gone with it
	eventually lines "$work/got" 1
}

ps_field() { # SIGNAL KEY: of the first process that is asleep for that signal
	ph ps --json | python3 -c 'import json, sys
for line in sys.stdin:
	it = json.loads(line)
	if any(sys.argv[1] in t.get("waits_for", []) for t in it["threads"]):
		print(it[sys.argv[2]])
		break' "$@"
}

one_waits() {
	[ -n "$(ps_field "$1" pid)" ]
}

signal_0_only_asks() {
	begin USR1
	ph kill -0 "$waiter"
	ph kill -s 0 "$waiter"
	ph kill -USR1 "$waiter"
	wait "$waiter"
	fails 1 kill -0 "$waiter"
	has "$error" "no such process"
}

a_process_without_the_library_gets_the_kernels_signal() {
	mkfifo "$work/never"
	cat "$work/never" &
	pid=$!
	eventually grep -qx cat "/proc/$pid/comm" # and no shell any more: a background job ignores SIGQUIT
	status=0
	ph kill -QUIT "$pid" && ph kill -USR1 "$pid"
	wait "$pid" 2>/dev/null || status=$?
	same 138 "$status"
}

who_may_not_be_signalled_is_told() {
	[ "$(id -u)" = 0 ] && command -v setpriv >/dev/null || return 0
	begin USR1
	chmod 711 "$base" "$base"/*
	cp "$POSTHASTE" "$work/posthaste"
	status=0
	error=$(POSTHASTE_DIR=$work setpriv --reuid 65534 --clear-groups "$work/posthaste" kill -USR1 "$waiter" 2>&1) || status=$?
	same 1 "$status"
	has "$error" "$waiter: no permission"
	ph kill -USR1 "$waiter"
	wait "$waiter"
}

a_full_queue_refuses_and_says_so() {
	# Stopped, so that it takes nothing.
	POSTHASTE_SIGQUEUE=3
	export POSTHASTE_SIGQUEUE
	begin RTMIN -n 3
	kill -STOP "$waiter"
	eventually stopped "$waiter"
	for value in 1 2 3; do
		ph kill -RTMIN -q "$value" "$waiter"
	done
	fails 1 kill -RTMIN -q 4 "$waiter"
	has "$error" "$waiter: its queue is full"
	ph info "$waiter" --kind signals --json >"$work/info"
	look "$work/info" 'it["depth"] == 3 and it["queued"] == 3 and it["sent"] == 3 and it["refused"] == 1'
	has "$(ph info "$waiter")" "queue           3 of 3 signals are waiting"
	has "$(ph info "$waiter")" "3 sent, 1 refused"
	has "$(ph ps)" " 3/3 "
	kill -CONT "$waiter"
	wait "$waiter"
	same "1 2 3" "$(sed 's/.*value //' "$work/got" | paste -s -d ' ')"
}

stopped() {
	[ "$(sed 's/.*) \(.\).*/\1/' "/proc/$1/stat")" = T ]
}

# ---- to named ports ----

all_who_have_joined_a_port_get_it_with_its_payload() {
	for i in 1 2 3; do
		"$POSTHASTE" wait-signal RTMIN+1 --name news --json >"$work/got$i" &
	done
	eventually members 3
	same "news: 3 processes got it" "$(ph kill -v -RTMIN+1 -q 5 --payload 'good morning' news)"
	wait
	for i in 1 2 3; do
		look "$work/got$i" 'it["name"] == "RTMIN+1" and it["value"] == 5 and it["payload"] == "good morning"
			and it["code"] == "queue" and it["pid"] > 0'
	done
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

members() { # NUMBER, all of them asleep
	[ "$(ph ps --json | grep -c '"waiting":true')" = "$1" ]
}

a_port_reaches_those_that_take_the_signal_only() {
	"$POSTHASTE" wait-signal USR1 --name news >"$work/one" &
	one=$!
	"$POSTHASTE" wait-signal USR1 USR2 -n 2 --name news >"$work/two" &
	two=$!
	eventually waits_for "$one" USR1
	eventually waits_for "$two" USR1 USR2
	same "news: 1 process got it" "$(ph kill -v -USR2 news)"
	eventually lines "$work/two" 1
	same "/news: 2 processes got it" "$(ph kill -v -USR1 /news)"
	wait "$one" "$two"
	lines "$work/one" 1
}

why_nobody_got_it_is_told() {
	fails 1 kill news
	has "$error" "/news: nobody listens: there is no such port"
	begin USR1 --name news
	fails 1 kill -USR2 news
	has "$error" "nobody listens for USR2 now"
	kill -KILL "$waiter"
	wait "$waiter" 2>/dev/null || true
	fails 1 kill -USR1 news
	has "$error" "nobody listens"
	same "" "$(ls "$POSTHASTE_DIR" | grep port || true)"
}

a_port_whose_member_is_full_refuses_for_all() {
	"$POSTHASTE" wait-signal RTMIN --name news -n 2 >"$work/other" &
	other=$!
	eventually waits_for "$other" RTMIN
	POSTHASTE_SIGQUEUE=1 "$POSTHASTE" wait-signal RTMIN --name news -n 2 >"$work/got" &
	small=$!
	eventually waits_for "$small" RTMIN
	kill -STOP "$small"
	eventually stopped "$small"
	ph kill -RTMIN -q 1 news
	eventually lines "$work/other" 1
	fails 1 kill -RTMIN -q 2 news
	has "$error" "/news: the queue of one who has joined it is full"
	kill -CONT "$small"
	eventually lines "$work/got" 1
	eventually waits_for "$small" RTMIN
	ph kill -RTMIN -q 3 news
	wait "$other" "$small"
	for file in other got; do
		same "1 3" "$(sed 's/.*value //' "$work/$file" | paste -s -d ' ')"
	done
}

payloads_of_64_bytes_fit_and_no_longer_ones() {
	text=$(printf '%064d' 7)
	begin RTMIN --name news --json
	fails 2 kill -RTMIN -p "${text}x" news
	fails 2 kill -USR1 -p x news
	fails 2 kill -RTMIN -p x "$waiter"
	ph kill -RTMIN -p "$text" news
	wait "$waiter"
	look "$work/got" "it['payload'] == '$text'"
}

info_and_ls_show_a_port_and_its_members() {
	begin USR1 RTMIN --name news --mode 640
	has "$(ph info news)" "mode            640"
	has "$(ph info news)" "member          pid $waiter ($POSTHASTE wait-signal"
	has "$(ph info news)" "for USR1 RTMIN"
	ph info news --kind port --json >"$work/info"
	look "$work/info" "it['kind'] == 'port' and it['name'] == '/news' and it['mode'] == '640' and it['state'] == 'ok'
		and it['members'] == [dict(pid=$waiter, alive=True, command=it['members'][0]['command'], signals=['USR1', 'RTMIN'])]"
	same "/$waiter /news" "$(ph ls --signals --names | paste -s -d ' ')"
	has "$(ph ls | grep ' /news ')" " ok"
	has "$(ph ls -G | grep "^signals */$waiter ")" " w1 "
	ph ls --signals --json >"$work/ls"
	look "$work/ls" '[o["kind"] for o in all] == ["signals", "port"]'
	same "" "$(ph ls --queues --sems --shm --pipes --names)"
	fails 1 rm news
	has "$error" "it goes with the last of them"
	fails 1 rm "$waiter"
	has "$error" "the process lives"
	ph kill -USR1 news
	wait "$waiter"
	fails 1 info news
}

# ---- wait-signal ----

wait_signal_gives_up_with_124() {
	fails 124 wait-signal USR1 --timeout 0.05
	has "$error" "no signal within 0.05 s"
	fails 124 wait-signal USR1 --timeout 0
	begin USR1 -n 2 --timeout 2
	ph kill -USR1 "$waiter"
	status=0
	wait "$waiter" || status=$?
	same 124 "$status"
	has "$(cat "$work/complaint")" "(1 came before)"
	fails 124 wait-signal USR1 --timeout 0 --name news
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

what_it_does_not_wait_for_ends_it() {
	begin USR1 --name news
	kill -TERM "$waiter"
	status=0
	wait "$waiter" 2>/dev/null || status=$?
	same 143 "$status"
	same "" "$(cat "$work/got")"
}

json_has_all_that_came() {
	begin USR1 RTMIN -n 2 --json
	ph kill -RTMIN -q 3 "$waiter"
	eventually lines "$work/got" 1 # else the lower number may come first
	kill -USR1 "$waiter"
	wait "$waiter"
	look "$work/got" "len(all) == 2 and it['signal'] == $(ph kill -l RTMIN) and it['value'] == 3"
	look "$work/got" "all[1]['name'] == 'USR1' and all[1]['code'] == 'user' and all[1]['uid'] == $(id -u) and 'value' not in all[1]"
}

a_thousand_come_in_order() {
	begin RTMIN+4 -n 1000
	for i in 1 2 3 4 5 6 7 8 9 10; do
		set -- $(yes "$waiter" | head -n 100)
		ph kill -RTMIN+4 -q "$i" "$@"
	done
	wait "$waiter"
	same 1000 "$(wc -l <"$work/got")"
	sed 's/.*value //' "$work/got" >"$work/values"
	sort -n "$work/values" | cmp -s - "$work/values" || complain "out of order"
	same "100 5" "$(sort "$work/values" | uniq -c | awk '$2 == 5 { print $1, $2 }')"
}

# ---- ps, info ----

ps_and_info_tell_what_the_kernel_tells() {
	begin USR1 RTMIN+1 -n 2
	ph kill -RTMIN+1 -q 1 "$waiter"
	eventually lines "$work/got" 1
	eventually waits_for "$waiter" USR1 RTMIN+1
	ph ps --json >"$work/ps"
	look "$work/ps" "len(all) == 1 and it['pid'] == $waiter and it['uid'] == $(id -u) and it['depth'] == 4096
		and it['queued'] == 0 and it['sent'] == 1 and it['waiting'] == 1 and it['last_sender']['signal'] == 'RTMIN+1'
		and it['last_sender']['uid'] == $(id -u) and 0 <= it['last_sender']['age_ms'] < 60000
		and it['blocked'] == ['USR1', 'RTMIN+1'] and it['waited_for'] == ['USR1', 'RTMIN+1'] and it['state'] == 'ok'"
	ignored=$(sed -n 's/^SigIgn:[[:space:]]*//p' "/proc/$waiter/status")
	look "$work/ps" "len(it['ignored']) == bin(0x$ignored).count('1') and 'PIPE' in it['ignored']"
	row=$(ph ps | grep "^ *$waiter ")
	for part in "$(id -un)" " 0/4096 " "1:USR1,RTMIN+1" ":RTMIN+1," "$POSTHASTE wait-signal"; do
		has "$row" "$part"
	done
	info=$(ph info "$waiter")
	for line in "process         pid $waiter (" "pending         none" "blocked         USR1 RTMIN+1" \
		"waited for      USR1 RTMIN+1" "last sender     pid " "waits for USR1 RTMIN+1" "so far          1 sent"; do
		has "$info" "$line"
	done
	same "$(echo "$info" | head -n 1)" "$(ph info "$waiter" --kind signals | head -n 1)"
	ph kill -USR1 "$waiter"
	wait "$waiter"
	fails 1 info "$waiter" --kind signals
	has "$error" "has no port"
}

what_is_pending_is_seen() {
	begin USR1 RTMIN+1 -n 2
	kill -STOP "$waiter"
	eventually stopped "$waiter"
	ph kill -RTMIN+1 -q 1 "$waiter"
	ph kill -USR1 "$waiter"
	ph info "$waiter" --kind signals --json >"$work/info"
	look "$work/info" '"USR1" in it["pending"] and it["queued"] == 1'
	ph info "$waiter" --json >"$work/info"
	same 1 "$(wc -l <"$work/info")"
	look "$work/info" 'it["pid"] == '"$waiter"' and "USR1" in it["signals"]["pending"]'
	kill -CONT "$waiter"
	wait "$waiter"
	same "RTMIN+1 USR1" "$(cut -d ' ' -f 2 "$work/got" | sort | paste -s -d ' ')"
}

# ---- leftovers ----

what_the_killed_leave_is_skipped_found_and_removed() {
	begin USR1 --name news
	kill -KILL "$waiter"
	wait "$waiter" 2>/dev/null || true
	same "port.news sig.$waiter" "$(ls "$POSTHASTE_DIR" | paste -s -d ' ')"
	ph ps --json >"$work/ps"
	look "$work/ps" 'all == []'
	has "$(ph doctor || true)" "2 ports for signals of processes that are gone"
	fails 1 info "$waiter"
	ph ls >"$work/ls"
	same "signals unused port unused" "$(awk 'NR > 1 { print $1, $NF }' "$work/ls" | paste -s -d ' ')"
	has "$(ph info news)" "gone, and struck off"
	ph rm --leftovers >"$work/removed" # who looks at members has removed those of the dead
	same "" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR")"
	has "$(ph doctor || true)" "none, and no damaged object"
}

rm_takes_the_left_by_name_and_nothing_else() {
	begin USR1 --name news
	kill -KILL "$waiter"
	wait "$waiter" 2>/dev/null || true
	ph rm "$waiter" news
	same "" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR")"
	begin USR1
	kill -KILL "$waiter"
	wait "$waiter" 2>/dev/null || true
	same "1 removed" "$(ph rm --leftovers)"
	fails 1 rm news --kind port
	ph rm --force news --kind port
	begin USR1 --name news
	same "0 removed" "$(ph rm --leftovers)"
	ph kill -USR1 news
	wait "$waiter"
}

a_new_process_finds_no_trap_in_what_was_left() {
	begin USR1 --name news
	kill -KILL "$waiter"
	wait "$waiter" 2>/dev/null || true
	begin USR1 --name news
	same "news: 1 process got it" "$(ph kill -v -USR1 news)"
	wait "$waiter"
}

nonsense_in_the_place_of_a_port_is_refused() {
	echo nonsense >"$POSTHASTE_DIR/port.news"
	echo nonsense >"$POSTHASTE_DIR/sig.1"
	fails 1 kill -USR1 news
	fails 1 info news
	fails 1 info 1 --kind signals
	fails 1 wait-signal USR1 --name news --timeout 0
	has "$error" "damaged"
	same damaged "$(ph ls | awk '$2 == "/news" { print $NF }')"
	ph ps --json >"$work/ps"
	look "$work/ps" 'all == []'
	ph rm news --kind port
}

# ---- usage ----

wrong_calls_are_usage_errors() {
	for call in "kill" "kill -s" "kill -s NONSENSE 1" "kill -NONSENSE 1" "kill -s USR1 -s USR2 1" "kill -q x 1" \
		"kill -q 99999999999 1" "kill 1x" "kill -USR1 a/b" "kill -0 news" "kill --nonsense 1" "kill -s USR1" \
		"wait-signal" "wait-signal NONSENSE" "wait-signal KILL" "wait-signal STOP" "wait-signal USR1 -n 0" \
		"wait-signal USR1 --timeout x" "wait-signal USR1 --name a/b" "wait-signal USR1 --mode 9" \
		"wait-signal --nonsense" "ps x" "ps --nonsense" "info 1 2" "info 1 --kind nonsense"; do
		fails 2 $call
	done
}

every_command_has_help() {
	for command in kill ps wait-signal; do
		has "$(ph help)" "  $command "
		has "$(ph help "$command")" "usage: posthaste $command"
		same "$(ph help "$command")" "$(ph "$command" --help)"
	done
}

everything_named_is_tried() {
	begin USR1
	fails 1 kill -USR1 999999999 "$waiter"
	has "$error" "999999999: no such process"
	wait "$waiter"
}

run_tests \
	the_table_has_every_signal_with_what_it_does \
	names_numbers_and_statuses_are_converted \
	a_signal_arrives_with_its_sender_and_its_value \
	the_signal_is_named_in_every_way_of_kill \
	several_get_it_and_v_says_who \
	a_group_gets_it \
	signal_0_only_asks \
	a_process_without_the_library_gets_the_kernels_signal \
	who_may_not_be_signalled_is_told \
	a_full_queue_refuses_and_says_so \
	all_who_have_joined_a_port_get_it_with_its_payload \
	a_port_reaches_those_that_take_the_signal_only \
	why_nobody_got_it_is_told \
	a_port_whose_member_is_full_refuses_for_all \
	payloads_of_64_bytes_fit_and_no_longer_ones \
	info_and_ls_show_a_port_and_its_members \
	wait_signal_gives_up_with_124 \
	what_it_does_not_wait_for_ends_it \
	json_has_all_that_came \
	a_thousand_come_in_order \
	ps_and_info_tell_what_the_kernel_tells \
	what_is_pending_is_seen \
	what_the_killed_leave_is_skipped_found_and_removed \
	rm_takes_the_left_by_name_and_nothing_else \
	a_new_process_finds_no_trap_in_what_was_left \
	nonsense_in_the_place_of_a_port_is_refused \
	wrong_calls_are_usage_errors \
	every_command_has_help \
	everything_named_is_tried
