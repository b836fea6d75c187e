# SPDX-License-Identifier: MIT
#
# posthaste who, info PID, ls and stats: who has what, who sleeps on what and since when - of the living, the stopped,
# the dead, and of objects that are damaged or have lost their names. To look disturbs nobody.
. "$(dirname "$0")/common"

who_says() { # OBJECT TEXT
	ph who "$1" | grep -q "$2"
}

# A holder of the semaphore "a" and one who waits for it: $holder, $waiter.
make_pair() {
	ph sem mk a --holders
	"$POSTHASTE" lock a -- sleep 300 &
	holder=$!
	eventually who_says a "^holds .*pid $holder "
	"$POSTHASTE" lock a -- true &
	waiter=$!
	eventually who_says a "^sleeps .*pid $waiter "
}

who_shows_users_holders_and_sleepers() {
	make_pair
	seen=$(ph who a)
	has "$seen" "object     the semaphore /a, ok"
	has "$seen" "pid $holder ($POSTHASTE lock a"
	has "$seen" "1 unit of the semaphore /a"
	has "$seen" "waits for 1 unit of the semaphore /a"
	has "$seen" "pid $holder holds 1, and itself waits for its child"
	json=$(ph who a --json)
	has "$json" "\"held_by\":[{\"pid\":$holder,\"what\":\"units\",\"units\":1,\"dead\":false}]"
	has "$json" "\"sleepers\":[{\"pid\":$waiter,\"tid\":$waiter,\"for\":\"units\",\"units\":1,\"age_ms\":"
}

a_stopped_holder_is_called_so() {
	make_pair
	kill -STOP "$holder"
	eventually who_says a "^holds .*pid $holder .*, stopped"
	has "$(ph info "$holder")" "stopped; who needs what it has waits"
	kill -CONT "$holder"
}

a_killed_holder_is_called_dead() {
	ph sem mk a --holders
	"$POSTHASTE" lock a -- sleep 300 &
	holder=$!
	eventually who_says a "^holds .*pid $holder "
	kill -KILL "$holder"
	wait "$holder" 2>/dev/null || true
	eventually who_says a "^holds .*pid $holder, 1 unit .*dead"
	eventually ls_says "a .* $holder,dead .*dead-holder"
}

ls_says() {
	ph ls | grep -q "$1"
}

info_of_a_process_tells_what_it_holds_has_and_waits_for() {
	make_pair
	seen=$(ph info "$waiter")
	has "$seen" "process    pid $waiter ($POSTHASTE lock a"
	has "$seen" "holds      nothing"
	has "$seen" "open       the semaphore /a"
	has "$seen" "waits for 1 unit of the semaphore /a"
	has "$seen" "pid $holder holds 1"
	has "$(ph info "$holder")" "holds      1 unit of the semaphore /a"
	json=$(ph info "$waiter" --json)
	has "$json" "\"open\":[{\"kind\":\"sem\",\"name\":\"/a\"}]"
	has "$json" "\"waits\":[{\"tid\":$waiter,\"kind\":\"sem\",\"name\":\"/a\","
	has "$(ph info $$)" "open       nothing of this namespace"
}

a_number_may_be_an_objects_name() {
	ph mk $$
	has "$(ph info $$)" "name            /$$"
}

ls_shows_users_holders_and_since_when() {
	make_pair
	row=$(ph ls -S | grep " /a ")
	has "$row" " 1/1 "
	has "$row" " $holder "
	has "$row" " w1 "
	has "$row" "s "
	json=$(ph ls --json)
	has "$json" "\"held_by\":[{\"pid\":$holder,"
	has "$json" "\"users\":["
}

ls_and_info_of_a_queue_name_its_sleepers() {
	ph mk jobs
	"$POSTHASTE" recv jobs >/dev/null &
	receiver=$!
	eventually who_says jobs "pid $receiver .*waits for a message in the queue /jobs"
	has "$(ph info jobs)" "sleeping        pid $receiver ("
	has "$(ph ls)" "r1/s0"
	ph send jobs x
	wait "$receiver"
}

fifos_alone_are_listed_by_f() {
	ph mk jobs
	same "" "$(ph ls -F --names)"
	same "" "$(ph ls --fifos --json)"
}

who_reads_and_who_writes_a_fifo_is_told() {
	ph mkfifo "$work/f"
	mkfifo "$work/in"
	"$POSTHASTE" cat "$work/f" >"$work/got" &
	reader=$!
	"$POSTHASTE" write "$work/f" <"$work/in" &
	writer=$!
	exec 3>"$work/in"
	echo one >&3
	eventually grep -qsx one "$work/got"
	eventually who_says "$work/f" "pid $reader (.*), reads$"
	eventually who_says "$work/f" "pid $writer (.*), writes$"
	eventually who_says "$work/f" "pid $reader .*waits for bytes from the FIFO $work/f"
	exec 3>&-
	wait
}

# The commonest of hangs: nobody comes to the other end.
who_waits_for_a_fifos_other_end_is_told() {
	ph mkfifo "$work/f"
	has "$(ph who "$work/f")" "in no process that can be seen"
	"$POSTHASTE" cat "$work/f" &
	reader=$!
	eventually who_says "$work/f" "pid $reader .*waits until somebody opens the other end of the FIFO $work/f"
	has "$(ph info "$reader")" "waits until somebody opens the other end of the FIFO $work/f"
	kill "$reader"
	cat "$work/f" >"$work/got" &
	reader=$!
	exec 3>"$work/f"
	eventually who_says "$work/f" "pid $reader (.*), reads$"
	has "$(ph who "$work/f")" "), writes"
	exec 3>&-
	wait "$reader"
}

# Somebody removed the name and made it anew: those who have the old one wait for ever, and this is why.
what_lost_its_name_is_seen_as_long_as_it_is_open() {
	ph mk jobs
	"$POSTHASTE" recv jobs &
	receiver=$!
	eventually who_says jobs "pid $receiver .*waits"
	ph rm jobs
	has "$(ph who jobs)" "the queue /jobs (unlinked); who opens that name finds another one"
	ph mk jobs
	has "$(ph ls | grep unlinked)" " /jobs "
	same 2 "$(ph who jobs | grep -c '^object ')"
	has "$(ph who jobs)" "pid $receiver "
	kill "$receiver"
}

# Bytes of every part of the file, and cuts: a command ends with one of its own statuses, whatever it finds.
no_damage_ends_a_look() {
	ph mk q
	ph sem mk s --holders
	ph sem mk p
	ph shm mk m 8k
	for file in mq.q sem.s sem.p; do
		for at in 0 8 64 512 576 1024 2048 4096; do
			cp "$POSTHASTE_DIR/$file" "$POSTHASTE_DIR/$file-$at"
			head -c 512 /dev/urandom |
				dd of="$POSTHASTE_DIR/$file-$at" bs=1 seek=$at conv=notrunc 2>/dev/null
		done
		head -c 700 "$POSTHASTE_DIR/$file" >"$POSTHASTE_DIR/$file-cut"
		: >"$POSTHASTE_DIR/$file-empty"
		mkfifo "$POSTHASTE_DIR/$file-fifo"
		ln -s nowhere "$POSTHASTE_DIR/$file-link"
		mkdir "$POSTHASTE_DIR/$file-dir"
	done
	echo nonsense >"$POSTHASTE_DIR/pipe.77"
	echo nonsense >"$POSTHASTE_DIR/sig.77"
	ph ls >"$work/ls"
	has "$(grep q-cut "$work/ls")" damaged
	has "$(grep q-0 "$work/ls")" damaged
	has "$(cat "$work/ls")" "signals  /77"
	ph ls --json >/dev/null
	ph deadlock >/dev/null
	ph stats --prometheus >"$work/stats"
	has "$(cat "$work/stats")" 'posthaste_damaged{kind="mq",name="/q-cut"} 1'
	ph top --once --interval 0.1 >/dev/null
	for name in q-64 q-cut q-576 p-512; do
		ph who $name >/dev/null
		ph info $name >/dev/null 2>&1 || true
	done
	ph who s-4096 >/dev/null
	ph doctor --fix >/dev/null || true
}

# Whoever looks may be stopped or killed at any time.
a_stopped_observer_stops_nobody() {
	ph mk jobs
	"$POSTHASTE" top --once --interval 0.1 --json >/dev/null
	before=$(ls -A "$POSTHASTE_DIR")
	"$POSTHASTE" top --once --interval 300 >/dev/null &
	observer=$!
	kill -STOP "$observer"
	seq 2000 | "$POSTHASTE" send jobs &
	same 2000 "$(ph recv jobs -n 2000 | tail -n 1)"
	kill -KILL "$observer"
	wait
	same "$before" "$(ls -A "$POSTHASTE_DIR")"
}

# The semaphores of two processes of an ordinary user, and the user's own look at them. The test has to be root's to
# become him.
own_objects_need_no_root() {
	[ "$(id -u)" = 0 ] && command -v setpriv >/dev/null || return 0
	cp "$POSTHASTE" "$work/posthaste"
	chmod 755 "$base" "$base"/* "$work"
	mkdir "$work/own"
	chown 65534:65534 "$POSTHASTE_DIR" "$work/own"
	cat >"$work/cross" <<-'END'
		as="setpriv --reuid=65534 --regid=65534 --clear-groups"
		$as "$1/posthaste" sem mk a --holders
		$as "$1/posthaste" sem mk b --holders
		for pair in "a b" "b a"; do
			set -- "$1" $pair
			$as "$1/posthaste" lock "$2" -- sh -c \
				": >'$1/own/$2'; until [ -e '$1/own/$3' ]; do sleep 0.02; done; '$1/posthaste' lock $3 -- true" &
		done
		wait
	END
	timeout -s KILL 60 sh "$work/cross" "$work" & # which ends all of them, should this test fail
	eventually stuck
	has "$(cat "$work/said")" "holds 1"
	kill -KILL $(sed -n 's/^  pid \([0-9]*\) .*/\1/p' "$work/said")
	wait
}

stuck() {
	status=0
	setpriv --reuid=65534 --regid=65534 --clear-groups "$work/posthaste" deadlock >"$work/said" ||
		status=$?
	[ "$status" = 1 ]
}

# Every series has its HELP and TYPE before it, once; labels are escaped.
stats_are_in_the_format_of_prometheus() {
	ph mk "$(printf 'we"ird\\na\nme\377')"
	ph mk jobs
	ph send jobs x y
	ph sem mk s --holders --value 3
	ph shm mk m 4k
	ph stats --prometheus >"$work/stats"
	has "$(cat "$work/stats")" 'posthaste_queue_messages{kind="mq",name="/jobs"} 2'
	has "$(cat "$work/stats")" 'posthaste_semaphore_value{kind="sem",name="/s"} 3'
	has "$(cat "$work/stats")" 'posthaste_objects{kind="shm"} 1'
	same "" "$(grep -v '^#' "$work/stats" |
		grep -vE '^posthaste_[a-z_]+(\{([a-z]+="([^"\\]|\\["\\n])*",?)+\})? [0-9.e+]+$' || true)"
	awk '
	/^# HELP / { if (help[$3]++) bad = 1; next }
	/^# TYPE / { if (type[$3]++ || !help[$3] || ($4 != "gauge" && $4 != "counter")) bad = 1
		if (($4 == "counter") != ($3 ~ /_total$/)) bad = 1; next }
	{ name = $1; sub(/\{.*/, "", name); if (!type[name] || (name != last && seen[name])) bad = 1
		seen[name] = 1; last = name }
	END { exit bad }' "$work/stats" || complain "out of order"
	if command -v promtool >/dev/null; then
		promtool check metrics <"$work/stats"
	fi
	has "$(ph stats)" "mq              2 objects"
}

what_is_not_there_is_told() {
	fails 1 who nothing
	fails 2 who
	fails 1 who "$work/nothing"
	fails 2 deadlock jobs
	fails 2 stats jobs
	fails 1 info 999999999
}

run_tests \
	who_shows_users_holders_and_sleepers \
	a_stopped_holder_is_called_so \
	a_killed_holder_is_called_dead \
	info_of_a_process_tells_what_it_holds_has_and_waits_for \
	a_number_may_be_an_objects_name \
	ls_shows_users_holders_and_since_when \
	ls_and_info_of_a_queue_name_its_sleepers \
	fifos_alone_are_listed_by_f \
	who_reads_and_who_writes_a_fifo_is_told \
	who_waits_for_a_fifos_other_end_is_told \
	what_lost_its_name_is_seen_as_long_as_it_is_open \
	no_damage_ends_a_look \
	a_stopped_observer_stops_nobody \
	own_objects_need_no_root \
	stats_are_in_the_format_of_prometheus \
	what_is_not_there_is_told
