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

run_tests \
	a_finding_of_every_subject_is_there \
	json_is_an_object_a_line \
	leftovers_are_found_with_their_remedy \
	a_fifo_in_use_is_no_leftover \
	a_damaged_queue_is_bad \
	a_directory_in_which_others_may_remove_objects_is_bad \
	a_namespace_that_is_not_there_is_bad \
	few_descriptors_and_small_files_are_noticed \
	one_processor_is_noticed
