# SPDX-License-Identifier: MIT
#
# posthaste doctor: it finds what is planted, says the remedy, and judges by its status.
. "$(dirname "$0")/common"

# The findings on stdout, whatever the status.
doctor() {
	ph doctor "$@" || true
}

a_finding_of_every_subject_is_there() {
	findings=$(doctor)
	for subject in namespace space logout leftovers kernel processors descriptors; do
		has "$findings" " $subject "
	done
}

json_is_an_object_a_line() {
	has "$(doctor --json)" '"subject":"namespace"'
	same "$(doctor --json | wc -l)" "$(doctor --json | grep -c '^{"severity":".*","subject":".*"}$')"
}

leftovers_are_found_with_their_remedy() {
	touch -d '1 hour ago' "$POSTHASTE_DIR/.tmp-00000000000000000000000000000000"
	mkfifo "$POSTHASTE_DIR/.poll.0123"
	findings=$(doctor)
	has "$findings" "rm $POSTHASTE_DIR/.poll.0123"
}

a_fifo_in_use_is_no_leftover() {
	mkfifo "$POSTHASTE_DIR/.poll.0123"
	exec 3<>"$POSTHASTE_DIR/.poll.0123"
	has "$(doctor)" "none, and no damaged object"
	exec 3<&-
}

a_damaged_queue_is_bad() {
	echo nonsense >"$POSTHASTE_DIR/mq.broken"
	status=0
	findings=$(ph doctor) || status=$?
	same 1 "$status"
	has "$findings" "BAD   damaged"
	has "$findings" "posthaste rm broken"
}

a_directory_in_which_others_may_remove_objects_is_bad() {
	chmod 777 "$POSTHASTE_DIR"
	status=0
	findings=$(ph doctor) || status=$?
	same 1 "$status"
	has "$findings" "chmod +t $POSTHASTE_DIR"
}

a_namespace_that_is_not_there_is_bad() {
	POSTHASTE_DIR=$work/nowhere
	status=0
	findings=$(ph doctor) || status=$?
	same 1 "$status"
	has "$findings" "mkdir -m 700 $work/nowhere"
}

few_descriptors_and_small_files_are_noticed() {
	has "$(ulimit -n 100 && doctor)" "ulimit -n 4096"
	has "$(ulimit -f 100000 && doctor)" "ulimit -f unlimited"
}

one_processor_is_noticed() {
	has "$(taskset -c "$(first_processor)" "$POSTHASTE" doctor || true)" "note  processors"
}

first_processor() {
	taskset -cp $$ | sed 's/.*: *//; s/[-,].*//'
}

# What is in somebody's hands is no leftover, however old it looks.
fix_removes_what_the_dead_left_and_only_that() {
	ph mk jobs # before: where every queue is polled, its open sweeps unused FIFOs
	ph send jobs x
	: >"$POSTHASTE_DIR/.tmp-dead"
	: >"$POSTHASTE_DIR/.tmp-living"
	mkfifo "$POSTHASTE_DIR/.poll.0123" "$POSTHASTE_DIR/.poll.4567"
	exec 3<>"$POSTHASTE_DIR/.tmp-living" 4<>"$POSTHASTE_DIR/.poll.4567"
	echo nonsense >"$POSTHASTE_DIR/mq.broken"
	findings=$(doctor --fix)
	has "$findings" "removed .tmp-dead"
	has "$findings" "removed .poll.0123"
	same 2 "$(echo "$findings" | grep -c '^fixed ')"
	for file in .tmp-living .poll.4567 mq.jobs mq.broken; do
		[ -e "$POSTHASTE_DIR/$file" ] || complain "$file is gone"
	done
	[ ! -e "$POSTHASTE_DIR/.tmp-dead" ] && [ ! -e "$POSTHASTE_DIR/.poll.0123" ]
	exec 3<&- 4<&-
	same x "$(ph recv jobs)"
}

fix_gives_units_of_the_dead_back() {
	ph sem mk a --holders --value 3
	"$POSTHASTE" lock a -n 2 -- sleep 300 &
	holder=$!
	eventually holds a "$holder"
	has "$(doctor --fix)" "the dead have left nothing"
	kill -KILL "$holder"
	wait "$holder" 2>/dev/null || true
	eventually is_dead a
	has "$(doctor --fix --json)" '{"severity":"fixed","subject":"leftovers","text":"/a: 2 units came back'
	same 3 "$(ph sem value a)"
	has "$(doctor --fix)" "the dead have left nothing"
}

holds() {
	ph who "$1" | grep -q "^holds .*pid $2 "
}

is_dead() {
	ph who "$1" | grep -q "^holds .* dead"
}

fix_puts_borrowed_messages_of_the_dead_back() {
	"$(dirname "$POSTHASTE")/tests/cli/party" knot_borrowed >"$work/party" &
	eventually grep -qs ready "$work/party"
	has "$(doctor --fix)" "the dead have left nothing"
	kill -KILL "$(sed -n 's/^borrower //p' "$work/party")"
	eventually gives_back
	same 1 "$(ph info q --json | sed 's/.*"curmsgs":\([0-9]*\).*/\1/')"
}

gives_back() {
	doctor --fix | grep -q "^fixed .* /q: 1 messages that dead processes had borrowed went back"
}

fix_removes_memory_and_rings_without_users() {
	"$POSTHASTE" shm mk gone 4k --reclaim &
	maker=$!
	ph shm mk kept 4k
	eventually test -e "$POSTHASTE_DIR/shm.gone"
	doctor --fix >/dev/null
	[ -e "$POSTHASTE_DIR/shm.gone" ] || complain "it is in use"
	kill -KILL "$maker"
	wait "$maker" 2>/dev/null || true
	has "$(doctor --fix)" "removed 1 pieces of shared memory"
	[ ! -e "$POSTHASTE_DIR/shm.gone" ] && [ -e "$POSTHASTE_DIR/shm.kept" ]
}

run_tests \
	fix_removes_what_the_dead_left_and_only_that \
	fix_gives_units_of_the_dead_back \
	fix_puts_borrowed_messages_of_the_dead_back \
	fix_removes_memory_and_rings_without_users \
	a_finding_of_every_subject_is_there \
	json_is_an_object_a_line \
	leftovers_are_found_with_their_remedy \
	a_fifo_in_use_is_no_leftover \
	a_damaged_queue_is_bad \
	a_directory_in_which_others_may_remove_objects_is_bad \
	a_namespace_that_is_not_there_is_bad \
	few_descriptors_and_small_files_are_noticed \
	one_processor_is_noticed
