# SPDX-License-Identifier: MIT
#
# posthaste mount: what the namespace holds can be listed, read and removed by any program, messages go in and out
# through files, and a mount that is stopped or killed changes nothing for others.
. "$(dirname "$0")/common"

# begin: mounts at $work/m; the process that serves is $server.
begin() {
	mkdir -p "$work/m"
	"$POSTHASTE" mount --foreground "$work/m" &
	server=$!
	eventually test -d "$work/m/mq"
}

end_jobs() {
	fusermount3 -u -z "$work/m" 2>/dev/null || true
	jobs -p >"$work/.jobs"
	[ ! -s "$work/.jobs" ] || kill -KILL $(cat "$work/.jobs") 2>/dev/null || true
}

# take QUEUE [FLAG]: one read
take() {
	dd if="$work/m/messages/$1" bs=64k count=1 status=none ${2:+iflag="$2"}
}

# give QUEUE [FLAG]: one write, of what comes in
give() {
	dd of="$work/m/messages/$1" bs=64k count=1 status=none conv=notrunc ${2:+oflag="$2"}
}

objects_are_listed_by_kind() {
	ph mk jobs
	ph mk jokes
	ph sem mk lamp
	ph shm mk lake 4k
	begin
	same "messages mq pipe port sem shm" "$(ls "$work/m" | paste -s -d ' ')"
	same "jobs jokes" "$(ls "$work/m/mq" | paste -s -d ' ')"
	same "jobs jokes" "$(ls "$work/m/messages" | paste -s -d ' ')"
	same "lamp" "$(ls "$work/m/sem")"
	same "lake" "$(ls "$work/m/shm")"
	same "" "$(ls "$work/m/pipe")"
	[ ! -e "$work/m/mq/other" ] || complain "there is no such queue"
}

files_have_owner_mode_size_and_times() {
	ph mk jobs --mode 640
	ph shm mk lake 10k --mode 664
	begin
	same "640 $(id -u) $(id -g)" "$(stat -c '%a %u %g' "$work/m/mq/jobs")"
	same "600" "$(stat -c %a "$work/m/messages/jobs")" # the group has half of what a queue takes
	same "664 10240" "$(stat -c '%a %s' "$work/m/shm/lake")"
	same "$(cat "$work/m/mq/jobs" | wc -c)" "$(stat -c %s "$work/m/mq/jobs")"
	[ "$(($(date +%s) - $(stat -c %Z "$work/m/mq/jobs")))" -lt 3600 ] || complain "it is not that old"
	ph send jobs x
	sent=$(stat -c %Y "$work/m/mq/jobs")
	[ "$sent" -ge "$(stat -c %X "$work/m/mq/jobs")" ] || complain "it was sent to after it was made"
	ph recv jobs >/dev/null
	[ "$(stat -c %X "$work/m/mq/jobs")" -ge "$sent" ] || complain "it was received from"
}

a_queue_shows_the_line_that_linux_shows() {
	ph mk jobs
	begin
	same "QSIZE:0          NOTIFY:0     SIGNO:0     NOTIFY_PID:0     " "$(cat "$work/m/mq/jobs")"
	ph send jobs four
	ph send jobs --priority 5 seven77
	has "$(cat "$work/m/mq/jobs")" "QSIZE:11 "
	ph recv jobs >/dev/null
	has "$(cat "$work/m/mq/jobs")" "QSIZE:4 "
}

semaphores_pipes_and_memory_show_what_they_are() {
	ph sem mk lamp --value 7
	ph sem mk slots --holders --value 4
	head -c 300000 /dev/urandom >"$work/wanted"
	ph shm mk lake 300000
	ph shm write lake <"$work/wanted"
	begin
	has "$(cat "$work/m/sem/lamp")" "VALUE:7 "
	"$POSTHASTE" lock slots -n 3 -- sleep 60 &
	eventually grep -q "VALUE:1 .*HELD:3 .*HOLDERS:1 " "$work/m/sem/slots"
	cmp "$work/wanted" "$work/m/shm/lake"
	same "$(tail -c 5 "$work/wanted" | od -c)" "$(tail -c 5 "$work/m/shm/lake" | od -c)"
	ph mkfifo "$work/f"
	"$POSTHASTE" cat "$work/f" >"$work/got" &
	(head -c 50000000 /dev/zero && exec sleep 60) | "$POSTHASTE" write "$work/f" &
	eventually a_pipe_shows "$(is_asan && echo STATE: || echo "SIZE:65536 ")" # whose reader may be late for a ring
}

a_pipe_shows() {
	cat "$work"/m/pipe/fifo.* 2>/dev/null | grep -q "$1"
}

ports_show_who_has_joined() {
	begin
	"$POSTHASTE" wait-signal USR1 --name bell >"$work/got" &
	eventually grep -s -q "MEMBERS:1 " "$work/m/port/bell"
	ph kill -s USR1 bell
	wait $!
}

rm_removes_objects() {
	ph mk jobs
	ph sem mk lamp
	ph shm mk lake 4k
	begin
	rm "$work/m/mq/jobs" "$work/m/sem/lamp" "$work/m/shm/lake"
	same "" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR")"
	! rm "$work/m/mq/jobs" 2>"$work/err" || complain "it was there no more"
}

nothing_else_is_changed_through_the_mount() {
	ph mk jobs
	ph sem mk lamp
	begin
	for attempt in "rm -f $work/m/messages/jobs" "touch $work/m/mq/new" "mkdir $work/m/new" "chmod 666 $work/m/mq/jobs" \
		"mv $work/m/mq/jobs $work/m/mq/other" "rmdir $work/m/mq" "cp $work/m/mq/jobs $work/m/sem/lamp"; do
		! $attempt 2>"$work/err" || complain "$attempt: that worked"
		has "$(cat "$work/err")" "ermitted"
	done
	same "mq.jobs sem.lamp" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR" | paste -s -d ' ')"
}

each_write_is_a_message_and_so_is_each_read() {
	ph mk jobs
	begin
	printf 'one\ntwo' | give jobs
	echo three >"$work/m/messages/jobs"
	echo four >>"$work/m/messages/jobs"
	same "one
two" "$(ph recv jobs)"
	same three "$(take jobs)"
	same four "$(take jobs)"
	ph send jobs --priority 1 low
	ph send jobs --priority 9 high
	same high "$(take jobs)"
	same low "$(take jobs)"
	head -c 8192 /dev/urandom >"$work/wanted"
	give jobs <"$work/wanted"
	take jobs | cmp - "$work/wanted"
	same "" "$(ph recv jobs --all)"
}

what_does_not_fit_is_refused_and_nothing_is_lost() {
	ph mk jobs --size 2m --depth 2
	ph send jobs 0123456789
	begin
	! dd if="$work/m/messages/jobs" bs=5 count=1 status=none 2>"$work/err" || complain "it has ten bytes"
	has "$(cat "$work/err")" "Message too long"
	same 0123456789 "$(take jobs)"
	# More than the kernel passes on in one piece must not become several messages.
	! dd if=/dev/zero of="$work/m/messages/jobs" bs=2M count=1 status=none conv=notrunc 2>"$work/err" ||
		complain "so much fits in no request"
	has "$(cat "$work/err")" "Message too long"
	head -c 2000000 /dev/zero | ph send jobs --whole
	! dd if="$work/m/messages/jobs" bs=4M count=1 status=none >"$work/out" 2>"$work/err" ||
		complain "so much fits in no answer"
	same 2000000 "$(ph recv jobs --whole | wc -c)"
}

a_call_that_must_not_wait_does_not() {
	ph mk jobs --depth 1
	begin
	! take jobs nonblock 2>"$work/err" || complain "there is no message"
	has "$(cat "$work/err")" "temporarily unavailable"
	echo first | give jobs nonblock
	! echo second | give jobs nonblock 2>"$work/err" || complain "there is no room"
	# Nor if others wait before it.
	echo second | give jobs &
	eventually asleep jobs senders 1
	! echo third | give jobs nonblock 2>"$work/err" || complain "there is no room"
	has "$(cat "$work/err")" "temporarily unavailable"
	same first "$(take jobs)"
	wait $!
	same second "$(take jobs)"
}

readers_wait_for_messages_and_writers_for_room() {
	ph mk jobs --depth 2
	begin
	cat "$work/m/messages/jobs" >"$work/got" &
	reader=$!
	eventually asleep jobs receivers 1
	seq 100 | ph send jobs
	seq 100 | tr -d '\n' >"$work/wanted"
	eventually cmp -s "$work/wanted" "$work/got"
	kill -TERM "$reader"
	eventually asleep jobs receivers 0 # who is killed may take one with him
	ph send jobs a b
	printf c | give jobs &
	eventually asleep jobs senders 1
	same "a b c" "$(ph recv jobs -n 3 --lines | paste -s -d ' ')"
	wait $!
}

# More than libfuse has threads.
many_wait_at_the_same_time() {
	ph mk jobs --depth 4
	begin
	pids=
	for i in $(seq 30); do
		take jobs >"$work/got$i" &
		pids="$pids $!"
	done
	eventually asleep jobs receivers 30
	same jobs "$(ls "$work/m/mq")"
	seq 30 | ph send jobs
	wait $pids
	same "$(seq 30)" "$(for got in "$work"/got*; do
		cat "$got"
		echo
	done | sort -n)"
}

a_signal_ends_a_wait_and_nothing_is_taken() {
	ph mk jobs --depth 1
	begin
	take jobs >"$work/got" &
	pid=$!
	eventually asleep jobs receivers 1
	kill -TERM $(pgrep -P "$pid" dd || echo "$pid")
	wait "$pid" 2>/dev/null || true
	eventually asleep jobs receivers 0
	ph send jobs kept
	echo never | give jobs &
	pid=$!
	eventually asleep jobs senders 1
	kill -KILL $(pgrep -P "$pid" dd || echo "$pid")
	wait "$pid" 2>/dev/null || true
	eventually asleep jobs senders 0
	same kept "$(ph recv jobs --all)"
	same "" "$(cat "$work/got")"
}

a_stopped_mount_stops_nobody_else() {
	ph mk jobs --depth 4
	begin
	take jobs >"$work/got" &
	eventually asleep jobs receivers 1
	kill -STOP "$server"
	seq 1000 | ph send jobs &
	# What the sleeper of the mount was woken for he leaves to those who run.
	ph recv jobs -n 999 --timeout 20 >/dev/null
	kill -CONT "$server"
	wait $!
}

a_killed_mount_takes_nothing_with_it() {
	ph mk jobs --depth 4
	begin
	take jobs >"$work/got" 2>"$work/err" &
	eventually asleep jobs receivers 1
	kill -KILL "$server"
	wait $! 2>/dev/null || true
	[ -s "$work/err" ] || complain "the reader was told nothing"
	eventually asleep jobs receivers 0
	seq 100 | ph send jobs &
	same "$(seq 100)" "$(ph recv jobs -n 100 --timeout 20)"
	wait $!
	same "" "$(cat "$work/got")"
	same "mq.jobs" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR")"
	fusermount3 -u "$work/m"
	begin
	same jobs "$(ls "$work/m/mq")"
}

what_is_damaged_is_shown_as_such() {
	echo nonsense >"$POSTHASTE_DIR/mq.bad"
	mkfifo "$POSTHASTE_DIR/shm.bad"
	ln -s /nowhere "$POSTHASTE_DIR/sem.bad"
	begin
	same "STATE:damaged" "$(cat "$work/m/mq/bad")"
	ls -l "$work/m/mq" "$work/m/shm" "$work/m/sem" >/dev/null
	! take bad 2>"$work/err" || complain "that is no queue"
	! cat "$work/m/shm/bad" 2>"$work/err" || complain "that is no shared memory"
	rm "$work/m/mq/bad" "$work/m/shm/bad" "$work/m/sem/bad"
	same "" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR")"
}

it_stays_behind_until_it_is_unmounted() {
	ph mk jobs
	mkdir "$work/m"
	(cd "$(dirname "$POSTHASTE_DIR")" && POSTHASTE_DIR=namespace ph mount "$work/m") # by a relative name
	same jobs "$(ls "$work/m/mq")"
	server=$(pgrep -f "mount $work/m\$")
	fusermount3 -u "$work/m"
	eventually ended "$server"
	begin
	kill -TERM "$server"
	wait "$server"
	! [ -d "$work/m/mq" ] || complain "it is still mounted"
}

wrong_calls_are_told() {
	fails 2 mount
	fails 2 mount a b
	fails 2 mount --nonsense a
	fails 1 mount "$work/nowhere"
	has "$error" "mkdir"
	: >"$work/file"
	fails 1 mount "$work/file"
	fails 1 mount "$POSTHASTE_DIR"
	has "$error" "the namespace's own files are there"
	fails 1 mount "$(dirname "$POSTHASTE_DIR")"
}

tests="objects_are_listed_by_kind files_have_owner_mode_size_and_times
	a_queue_shows_the_line_that_linux_shows semaphores_pipes_and_memory_show_what_they_are
	ports_show_who_has_joined rm_removes_objects nothing_else_is_changed_through_the_mount
	each_write_is_a_message_and_so_is_each_read what_does_not_fit_is_refused_and_nothing_is_lost
	a_call_that_must_not_wait_does_not readers_wait_for_messages_and_writers_for_room
	many_wait_at_the_same_time a_signal_ends_a_wait_and_nothing_is_taken a_stopped_mount_stops_nobody_else
	a_killed_mount_takes_nothing_with_it what_is_damaged_is_shown_as_such
	it_stays_behind_until_it_is_unmounted wrong_calls_are_told"

# Why it cannot be tested here; empty if it can, or if it should and fails.
obstacle() {
	command -v fusermount3 >/dev/null || {
		echo "there is no fusermount3"
		return
	}
	mkdir -p "$base/probe/m" "$base/probe/n"
	if said=$(POSTHASTE_DIR=$base/probe/n "$POSTHASTE" mount "$base/probe/m" 2>&1); then
		fusermount3 -u "$base/probe/m"
	else
		case $said in
		*"built without libfuse3"* | */dev/fuse* | *"not permitted"*) echo "$said" ;;
		esac
	fi
}

reason=$(obstacle)
if [ -n "$reason" ]; then
	echo "skipped: $reason"
	echo "0 passed, 0 failed, $(echo $tests | wc -w) skipped"
	exit 0
fi
# shellcheck disable=SC2086
run_tests $tests
