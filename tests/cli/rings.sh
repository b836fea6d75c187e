# SPDX-License-Identifier: MIT
#
# posthaste ls, info, rm and doctor on pipes and FIFOs: the rings are seen as they are, without disturbing
# anybody, and what the dead left goes.
. "$(dirname "$0")/common"

field() { # NAME KEY: the value in the JSON of info
	ph info "$1" --json | tr ',{}' '\n\n\n' | sed -n "s/^\"$2\"://p" | tr -d '"'
}

has_field() { # NAME KEY VALUE
	[ "$(field "$1" "$2")" = "$3" ]
}

# A FIFO $work/f with a reader and a writer of the library, who moves what is written to descriptor 3.
# Their pids: $reader, $writer.
make_pair() {
	ph mkfifo "$work/f" --mode 640
	mkfifo "$work/in"
	"$POSTHASTE" cat "$work/f" >"$work/got" &
	reader=$!
	"$POSTHASTE" write "$work/f" <"$work/in" &
	writer=$!
	exec 3>"$work/in"
	echo one >&3
	eventually grep -qsx one "$work/got"
}

end_pair() {
	exec 3>&-
	wait "$writer"
	wait "$reader"
}

info_of_a_fifo_that_nobody_has_open_tells_of_the_kernel() {
	ph mkfifo "$work/f" --mode 640
	has "$(ph info "$work/f")" "bytes go by     the kernel"
	same fifo "$(field "$work/f" kind)"
	same kernel "$(field "$work/f" state)"
	same 640 "$(field "$work/f" mode)"
	same "$(stat -c %i "$work/f")" "$(field "$work/f" inode)"
	same "" "$(ph ls --names)"
}

a_fifo_in_use_is_seen_by_path_and_by_name() {
	make_pair
	has "$(ph ls --names)" "$work/f"
	same "$work/f" "$(field "$work/f" name)"
	row=$(ph ls --pipes | grep "$work/f ")
	for part in "fifo  " " $(id -un) " " 640 "; do
		has "$row" "$part"
	done
	same "" "$(ph ls --queues --names)"
	has "$(ph ls --json)" "{\"kind\":\"fifo\",\"name\":\"$work/f\""
	same true "$(field "$work/f" attached)"
	end_pair
}

# It is known by its number to who got it as a descriptor.
a_fifo_that_came_without_a_path_has_a_name_too() {
	make_pair
	names=$(ph ls --names | grep '^fifo:')
	for name in $names; do
		same "$name" "$(field "$name" name)"
		same fifo "$(field "$name" kind)"
	done
	end_pair
}

a_reader_that_sleeps_is_counted_and_nobody_is_disturbed() {
	make_pair
	eventually has_field "$work/f" readers_asleep 1
	has "$(ph ls)" r1/s0
	has "$(ph info "$work/f")" "asleep          1 readers, no writers"
	echo two >&3
	eventually grep -qsx two "$work/got"
	end_pair
	same "one two" "$(paste -s -d ' ' "$work/got")"
}

a_pipe_has_its_inode_for_a_name() {
	mkfifo "$work/in"
	"$POSTHASTE" pipe "$POSTHASTE" cat -- "$POSTHASTE" cat <"$work/in" >"$work/got" &
	line=$!
	exec 3>"$work/in"
	echo one >&3
	eventually grep -qsx one "$work/got"
	names=$(ph ls --pipes --names | grep '^pipe:')
	for name in $names; do
		same pipe "$(field "$name" kind)"
		has "$(ph info "$name")" "kind            pipe, inode"
		fails 1 rm "$name"
		has "$error" "a pipe has no name"
	done
	exec 3>&-
	wait "$line"
}

rm_removes_fifos_and_leaves_their_users_alone() {
	make_pair
	ph rm "$work/f"
	[ ! -e "$work/f" ]
	echo two >&3
	eventually grep -qsx two "$work/got"
	end_pair
	fails 1 rm "$work/f"
	ph rm --force "$work/f"
	echo kept >"$work/file"
	fails 1 rm "$work/file"
	has "$error" "neither a queue nor a FIFO"
	same kept "$(cat "$work/file")"
}

a_queue_comes_before_a_fifo_of_that_name() {
	cd "$work"
	ph mkfifo jobs
	ph mk jobs
	same mq "$(field jobs kind)"
	ph rm jobs
	same fifo "$(field jobs kind)"
	ph rm jobs
	fails 1 info jobs
}

what_is_not_there_is_told() {
	fails 1 info "$work/nothing"
	has "$error" "no such FIFO"
	fails 1 info "$work"
	has "$error" "neither a queue nor a FIFO"
	fails 1 info "pipe:[999999999999]"
	has "$error" "no ring of such a pipe"
}

the_rings_of_the_dead_are_found_and_removed() {
	make_pair
	same "0 removed" "$(ph rm --leftovers)"
	kill -KILL "$reader" "$writer"
	wait "$reader" 2>/dev/null || true
	wait "$writer" 2>/dev/null || true
	exec 3>&-
	same unused "$(field "$work/f" state)"
	has "$(ph info "$work/f")" "open            in no process"
	has "$(ph doctor || true)" "posthaste rm --leftovers"
	left=$(ls "$POSTHASTE_DIR" | wc -l)
	same "$left removed" "$(ph rm --leftovers)"
	same "" "$(ls -A -I '.rec.*' "$POSTHASTE_DIR")"
	has "$(ph doctor || true)" "none, and no damaged object"
}

a_file_that_is_no_ring_is_damaged() {
	echo nonsense >"$POSTHASTE_DIR/pipe.77"
	has "$(ph ls | grep pipe.77)" damaged
	has "$(ph ls --json)" '"state":"damaged"'
	fails 1 info "pipe:[77]"
	has "$error" "damaged"
}

doctor_knows_the_size_of_pipes() {
	has "$(ph doctor || true)" " pipes "
}

run_tests \
	info_of_a_fifo_that_nobody_has_open_tells_of_the_kernel \
	a_fifo_in_use_is_seen_by_path_and_by_name \
	a_fifo_that_came_without_a_path_has_a_name_too \
	a_reader_that_sleeps_is_counted_and_nobody_is_disturbed \
	a_pipe_has_its_inode_for_a_name \
	rm_removes_fifos_and_leaves_their_users_alone \
	a_queue_comes_before_a_fifo_of_that_name \
	what_is_not_there_is_told \
	the_rings_of_the_dead_are_found_and_removed \
	a_file_that_is_no_ring_is_damaged \
	doctor_knows_the_size_of_pipes
