# SPDX-License-Identifier: MIT
#
# posthaste mk, rm, ls and info: queues come, are seen as they are, and go.
. "$(dirname "$0")/common"

field() { # QUEUE KEY: the value in the JSON of info
	ph info "$1" --json | tr ',{}' '\n\n\n' | sed -n "s/^\"$2\"://p" | tr -d '"'
}

mk_makes_a_queue_of_the_depth_and_size_asked_for() {
	ph mk jobs --depth 7 --size 2k
	same 7 "$(field jobs maxmsg)"
	same 2048 "$(field jobs msgsize)"
	same 0 "$(field jobs curmsgs)"
}

mk_without_attributes_takes_those_of_the_system() {
	ph mk jobs
	depth=$(cat /proc/sys/fs/mqueue/msg_default 2>/dev/null || echo 10)
	size=$(cat /proc/sys/fs/mqueue/msgsize_default 2>/dev/null || echo 8192)
	same "$depth" "$(field jobs maxmsg)"
	same "$size" "$(field jobs msgsize)"
}

mk_takes_the_mode_as_it_is_named_and_else_obeys_the_umask() {
	(umask 077 && ph mk named --mode 664)
	(umask 0 && ph mk plain)
	same 664 "$(field named mode)"
	same 600 "$(field plain mode)"
}

mk_refuses_a_name_that_is_taken_unless_told_otherwise() {
	ph mk jobs --depth 3
	fails 1 mk jobs
	has "$error" "/jobs: exists already"
	ph mk jobs --exist-ok --depth 5
	same 3 "$(field jobs maxmsg)"
}

mk_says_when_there_is_no_room() {
	fails 1 mk huge --depth 1000000000 --size 1g
	same "" "$(ph ls --names)"
}

a_name_may_be_written_with_or_without_its_slash() {
	ph mk /jobs
	ph send jobs one
	same one "$(ph recv /jobs)"
	ph rm jobs
	same "" "$(ph ls --names)"
}

names_that_no_queue_can_have_are_usage_errors() {
	for name in "" / a/b //a . .. /..; do
		fails 2 mk "$name"
	done
	fails 2 mk "$(printf '%0300d' 0)"
}

long_names_are_listed_whole() {
	for length in 200 252 253 255; do
		long=$(printf "%0${length}d" 7)
		ph mk "$long"
		same "/$long" "$(ph ls --names)"
		has "$(ph info "$long")" "/$long"
		ph rm "$long"
	done
}

rm_removes_all_it_can_and_tells_of_the_rest() {
	ph mk a
	ph mk b
	fails 1 rm a nothing b
	has "$error" "/nothing: no such queue"
	same "" "$(ph ls --names)"
	ph rm --force nothing
}

ls_sorts_by_name_and_shows_a_row_each() {
	ph mk b --depth 3 --size 64
	ph mk a
	ph send b x
	same "/a /b" "$(ph ls --names | paste -s -d ' ')"
	same 3 "$(ph ls | wc -l)"
	row=$(ph ls -Q | grep /b)
	for part in "$(id -un)" 600 " 1/3 " 64 r0/s0 ms ok; do
		has "$row" "$part"
	done
}

ls_of_an_empty_namespace_is_only_a_heading() {
	same 1 "$(ph ls | wc -l)"
	same "" "$(ph ls --json)"
}

ls_shows_a_file_that_is_no_queue_as_damaged() {
	ph mk good
	echo nonsense >"$POSTHASTE_DIR/mq.bad"
	has "$(ph ls | grep /bad)" damaged
	has "$(ph ls --json | grep /bad)" '"state":"damaged"'
	fails 1 info bad
	fails 1 send bad x
	has "$error" "posthaste rm bad"
	ph rm bad
}

ls_does_not_pass_control_characters_of_names_on() {
	ph mk "$(printf 'a\033[31mb')"
	same 0 "$(ph ls | tr -d '\n -~' | wc -c)"
}

info_and_ls_show_who_is_asleep() {
	ph mk jobs
	"$POSTHASTE" recv jobs --timeout 30 >"$work/got" &
	eventually asleep jobs receivers 1
	has "$(ph ls)" r1/s0
	has "$(ph info jobs)" "1 receivers, 0 senders"
	ph send jobs awake
	wait $!
	same awake "$(cat "$work/got")"
	eventually asleep jobs receivers 0
}

info_counts_what_was_sent_and_received_and_by_whom() {
	ph mk jobs
	ph send jobs a b c
	"$POSTHASTE" recv jobs >"$work/got" &
	pid=$!
	wait $pid
	same 3 "$(field jobs sent)"
	same 1 "$(field jobs received)"
	same 2 "$(field jobs curmsgs)"
	has "$(ph info jobs)" "last receiver   pid $pid, "
}

info_of_what_is_not_there_says_how_to_make_it() {
	fails 1 info nothing
	has "$error" "posthaste mk nothing"
}

run_tests \
	mk_makes_a_queue_of_the_depth_and_size_asked_for \
	mk_without_attributes_takes_those_of_the_system \
	mk_takes_the_mode_as_it_is_named_and_else_obeys_the_umask \
	mk_refuses_a_name_that_is_taken_unless_told_otherwise \
	mk_says_when_there_is_no_room \
	a_name_may_be_written_with_or_without_its_slash \
	names_that_no_queue_can_have_are_usage_errors \
	long_names_are_listed_whole \
	rm_removes_all_it_can_and_tells_of_the_rest \
	ls_sorts_by_name_and_shows_a_row_each \
	ls_of_an_empty_namespace_is_only_a_heading \
	ls_shows_a_file_that_is_no_queue_as_damaged \
	ls_does_not_pass_control_characters_of_names_on \
	info_and_ls_show_who_is_asleep \
	info_counts_what_was_sent_and_received_and_by_whom \
	info_of_what_is_not_there_says_how_to_make_it
