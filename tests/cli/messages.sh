# SPDX-License-Identifier: MIT
#
# posthaste send, recv and peek: what goes in comes out, byte for byte, in the right order, in each of
# the framings.
. "$(dirname "$0")/common"

the_highest_priority_comes_first_and_the_oldest_of_it() {
	ph mk jobs
	ph send jobs low
	ph send jobs -p 32767 top
	ph send jobs -p 5 first second
	same "top first second low" "$(ph recv jobs -n 4 | paste -s -d ' ')"
}

recv_shows_priorities_when_asked() {
	ph mk jobs
	ph send jobs -p 7 seven
	same "$(printf '7\tseven')" "$(ph peek jobs --show-priority)"
	same "$(printf '7\tseven')" "$(ph recv jobs -P)"
}

peek_leaves_the_message() {
	ph mk jobs
	ph send jobs one two
	same one "$(ph peek jobs)"
	same one "$(ph peek jobs)"
	same "one two" "$(ph recv jobs -n 2 | paste -s -d ' ')"
	fails 1 peek jobs
}

lines_keep_empty_messages_and_a_last_line_without_newline() {
	ph mk jobs
	printf 'a\n\nb' | ph send jobs
	printf 'a\n\nb\n' >"$work/wanted"
	ph recv jobs -n 3 >"$work/got"
	cmp "$work/wanted" "$work/got"
	fails 1 peek jobs
}

no_input_sends_nothing_by_lines_and_one_empty_message_whole() {
	ph mk jobs
	ph send jobs </dev/null
	fails 1 recv jobs --nonblock
	ph send jobs --whole </dev/null
	same '{"prio":0,"size":0,"data":""}' "$(ph recv jobs --json)"
}

whole_keeps_every_byte() {
	ph mk jobs --size 300k
	head -c 300000 /dev/urandom >"$work/data"
	ph send jobs --whole <"$work/data"
	ph recv jobs --whole >"$work/got"
	cmp "$work/data" "$work/got"
}

length_prefixed_output_is_valid_input() {
	ph mk a --depth 100
	ph mk b --depth 100
	printf '\003\000\000\000a\nb\000\000\000\000\002\000\000\000\377\000' >"$work/frames"
	ph send a --length-prefixed <"$work/frames"
	ph recv a --all --length-prefixed | ph send b -L
	ph recv b -n 3 -L >"$work/got"
	cmp "$work/frames" "$work/got"
}

length_prefixed_input_that_is_cut_off_is_refused() {
	ph mk jobs
	for input in '\003\000' '\003\000\000\000ab'; do
		status=0
		printf "$input" | ph send jobs -L 2>"$work/err" || status=$?
		same 1 "$status"
		has "$(cat "$work/err")" "in the middle of message 1"
	done
	fails 1 recv jobs --nonblock
}

json_escapes_text_and_encodes_what_is_not_text() {
	ph mk jobs
	printf 'say "hi"\t\\\303\251' | ph send jobs --whole -p 3
	printf '\377\000\001' | ph send jobs --whole
	same '{"prio":3,"size":12,"data":"say \"hi\"\u0009\\é"}' "$(ph recv jobs --json)"
	same '{"prio":0,"size":3,"data_base64":"/wAB"}' "$(ph recv jobs --json)"
}

a_message_may_have_the_full_size_and_not_a_byte_more() {
	ph mk jobs --size 100
	line=$(printf '%0100d' 1)
	ph send jobs "$line"
	same "$line" "$(ph recv jobs)"
	echo "$line" | ph send jobs
	same "$line" "$(ph recv jobs)"
	fails 1 send jobs "${line}0"
	has "$error" "101 bytes, this queue takes 100"
	status=0
	printf 'ok\n%s0\nnever\n' "$line" | ph send jobs 2>"$work/err" || status=$?
	same 1 "$status"
	has "$(cat "$work/err")" "message 2 is longer than the 100 bytes"
	same ok "$(ph recv jobs --all)"
}

send_takes_messages_that_look_like_options_behind_two_dashes() {
	ph mk jobs
	ph send jobs -- -x --json
	same "-x --json" "$(ph recv jobs --all | paste -s -d ' ')"
}

a_hundred_thousand_lines_pass_through_a_small_queue_in_order() {
	ph mk jobs --depth 16 --size 64
	seq 100000 >"$work/wanted"
	"$POSTHASTE" send jobs <"$work/wanted" &
	ph recv jobs -n 100000 >"$work/got"
	wait $!
	cmp "$work/wanted" "$work/got"
}

several_receivers_share_the_messages_and_none_gets_lost() {
	ph mk jobs --depth 16 --size 64
	pids=
	for i in 1 2 3; do
		"$POSTHASTE" recv jobs --follow --timeout 2 >"$work/got$i" 2>"$work/err" &
		pids="$pids $!"
	done
	seq 20000 | ph send jobs
	for pid in $pids; do
		status=0
		wait "$pid" || status=$?
		same 124 "$status"
	done
	seq 20000 >"$work/wanted"
	sort -n "$work"/got? | cmp "$work/wanted" -
}

all_takes_what_is_there_and_does_not_wait() {
	ph mk jobs
	same "" "$(ph recv jobs --all)"
	ph send jobs a b c
	same "a b c" "$(ph recv jobs --all | paste -s -d ' ')"
}

run_tests \
	the_highest_priority_comes_first_and_the_oldest_of_it \
	recv_shows_priorities_when_asked \
	peek_leaves_the_message \
	lines_keep_empty_messages_and_a_last_line_without_newline \
	no_input_sends_nothing_by_lines_and_one_empty_message_whole \
	whole_keeps_every_byte \
	length_prefixed_output_is_valid_input \
	length_prefixed_input_that_is_cut_off_is_refused \
	json_escapes_text_and_encodes_what_is_not_text \
	a_message_may_have_the_full_size_and_not_a_byte_more \
	send_takes_messages_that_look_like_options_behind_two_dashes \
	a_hundred_thousand_lines_pass_through_a_small_queue_in_order \
	several_receivers_share_the_messages_and_none_gets_lost \
	all_takes_what_is_there_and_does_not_wait
