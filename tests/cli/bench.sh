# SPDX-License-Identifier: MIT
#
# The benchmark: what it offers, and that every workload comes to its end, with its own checks (no message,
# unit or block lost or given to two) and the figures that others read from its JSON. No figure is judged here.
. "$(dirname "$0")/common"

# measured ROOM TEST KEY...: one short repetition, whose line has numbers above 0 for those keys.
measured() {
	room=$1 test=$2
	shift 2
	line=$(ph bench "$room" --only "$test" --reps 1 --ms 1 --json)
	has "$line" "{\"room\":\"$room\",\"test\":\"$test\","
	for key; do
		echo "$line" | grep -q "\"$key\":[0-9.e+-]*[1-9]" || complain "no $key in $line"
	done
}

rooms_and_tests_are_offered() {
	for room in mq pipe sem signal shm; do
		has "$(ph bench --help)" "$room"
		has "$(ph bench --list "$room")" "$room "
	done
	has "$(ph bench --list shm)" "arena-mix"
	same "sem  contend-8           a lock, nothing inside, 0 bytes, procs 8" \
		"$(ph bench --list sem --only contend-8)"
	fails 2 bench nonsense
	fails 2 bench sem --only nonsense
	fails 2 bench --reps 0
	fails 2 bench --peer /nonsense
}

messages_are_measured() {
	measured mq same posthaste_ns
	measured pipe same posthaste_ns kernel_ns ratio
	measured pipe roundtrip posthaste_ns kernel_ns p50_ns p99_ns kernel_p50_ns
}

semaphores_are_measured_beside_others() {
	measured sem pair-private posthaste_ns kernel_ns ratio
	measured sem pair-holders posthaste_ns kernel_ns sysv_ns flock_ns flock_ratio
	measured sem stream posthaste_ns kernel_ns sysv_ns
	measured sem roundtrip p50_ns p99_ns kernel_p50_ns ratio
	measured sem contend-8 posthaste_ns posthaste_cpu_ns kernel_cpu_ns cpu_ratio
	measured sem holders-8 posthaste_ns posthaste_cpu_ns flock_cpu_ns
}

signals_are_measured_beside_the_kernels() {
	measured signal same posthaste_ns kernel_ns ratio
	measured signal standard posthaste_ns kernel_ns ratio
	measured signal stream posthaste_ns kernel_ns ratio
	measured signal many posthaste_ns kernel_ns ratio
	measured signal roundtrip p50_ns p99_ns kernel_p50_ns kernel_p99_ns ratio
	measured signal burst-100 posthaste_ns kernel_ns ratio
	measured signal single p50_ns kernel_p50_ns
	measured signal single-standard p50_ns kernel_p50_ns
	has "$(ph bench signal --only check --reps 1 --ms 1 --json)" '"posthaste_ns":'
}

shared_memory_is_measured_beside_shm_open() {
	measured shm life-4k posthaste_ns kernel_ns fallocate_ns fallocate_ratio
	measured shm open-64k posthaste_ns kernel_ns ratio
}

blocks_are_measured_beside_malloc() {
	measured shm arena-pair posthaste_ns kernel_ns ratio
	measured shm arena-mix-x4 posthaste_ns kernel_cpu_ns
}

a_table_is_for_people() {
	table=$(ph bench sem --only pair-shared --reps 1 --ms 1)
	has "$table" "sem: semaphores"
	has "$table" "pair-shared"
	has "$table" "medians of 1 interleaved repetition;"
}

nothing_is_left_behind() {
	ph bench sem shm signal --only 'pair-*' --only 'life-4k' --only 'open-64k' --only 'arena-pair' --only 'same' \
		--only 'burst-10' --reps 1 --ms 1 --json >/dev/null
	same "" "$(ls -A "$POSTHASTE_DIR")"
}

run_tests \
	rooms_and_tests_are_offered \
	messages_are_measured \
	semaphores_are_measured_beside_others \
	signals_are_measured_beside_the_kernels \
	shared_memory_is_measured_beside_shm_open \
	blocks_are_measured_beside_malloc \
	a_table_is_for_people \
	nothing_is_left_behind
