# SPDX-License-Identifier: MIT
#
# Python's multiprocessing, whose locks, queues and pools are named semaphores without a name, and whose shared
# memory is shm_open's, with a workload that checks its own result; and POSIX message queues by ctypes. With the
# system's own interpreter. Natively and on the library, and with workers that are killed.
. "$(dirname "$0")/common"
needs /usr/bin/python3 python3-minimal
/usr/bin/python3 -c 'import multiprocessing, ctypes' 2>/dev/null || needs /nowhere/python3 python3

python() {
	both_ways /usr/bin/python3 "$(dirname "$0")/programs/$1" "$2"
	diff "$work/native" "$work/run" >&2 || complain "the output differs"
}

pool_and_queue_with_fork() {
	python workers.py fork
}

pool_and_queue_with_spawn() {
	python workers.py spawn
}

shared_memory_and_its_tracker() {
	python sharing.py all
}

message_queues_by_ctypes() {
	python queues.py all
}

killed_workers_leave_the_others_and_no_names() {
	python killed.py all
}

run_tests \
	pool_and_queue_with_fork \
	pool_and_queue_with_spawn \
	shared_memory_and_its_tracker \
	message_queues_by_ctypes \
	killed_workers_leave_the_others_and_no_names
