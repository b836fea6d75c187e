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
	if is_asan; then
		same "" "$(ls -A -I '.rec.*' -I 'sig.*' "$POSTHASTE_DIR")"
	else
		same "" "$(ls -A "$POSTHASTE_DIR")"
	fi
}

# Sizes are for reports: half an hour's figures do not get longer by them.
what_is_for_reports_runs_only_there_or_by_its_name() {
	has "$(ph bench --list mq)" "size-4k"
	measured mq size-64 posthaste_ns
	same "" "$(ph bench mq --only 'stream' --reps 1 --ms 1 --json | grep size-)"
}

a_report_takes_gnuplot_and_says_so() {
	status=0
	PATH=/nowhere "$POSTHASTE" bench mq --only same --report "$work/report" >"$work/out" 2>"$work/err" || status=$?
	same 1 "$status"
	has "$(cat "$work/err")" "apt-get install gnuplot-nox"
	same "" "$(cat "$work/out")"
	fails 1 bench mq --only same --report "$work/nowhere/report"
}

a_report_is_a_page_with_pictures() {
	ph bench mq sem --only 'roundtrip' --only 'size-*4*' --only same --reps 2 --ms 1 --report "$work/report" \
		>"$work/out" 2>"$work/err"
	has "$(cat "$work/out")" "roundtrip"
	page=$(cat "$work/report/index.html")
	for word in "message queues" semaphores size-64k sysv "</html>"; do
		has "$page" "$word"
	done
	for picture in mq-ratios mq-sizes mq-roundtrip sem-roundtrip; do
		has "$page" "src=\"$picture.svg\""
		has "$page" "href=\"$picture.png\""
		has "$(head -c 8 "$work/report/$picture.png" | od -c)" "P   N   G"
		has "$(tail -n 2 "$work/report/$picture.svg")" "</svg>"
	done
	same "mq-ratios mq-roundtrip mq-sizes sem-ratios sem-roundtrip" \
		"$(cd "$work/report" && ls ./*.gp | sed 's,^./,,; s,\.gp$,,' | paste -s -d ' ')"
}

# Each contestant's shares are all of his round trips, and what is left falls from all to few.
a_distribution_is_whole() {
	ph bench sem --only roundtrip --reps 3 --ms 2 --report "$work/report" >"$work/out" 2>"$work/err"
	same "3 contestants" "$(awk '
		/^\$d/ { sum = 0; n++; left = 100.001 }
		/^[0-9]/ && NF == 3 && inside { sum += $2; if ($3 != "NaN") { if ($3 > left) print "grows"; left = $3 } }
		/^\$d/ { inside = 1 }
		/^EOD/ && inside { if (sum < 99.9 || sum > 100.1) print "sum " sum; inside = 0 }
		END { print n " contestants" }' "$work/report/sem-roundtrip.gp")"
}

drawn="a_report_is_a_page_with_pictures a_distribution_is_whole"
skipped=
if ! command -v gnuplot >/dev/null; then
	echo "skipped: there is no gnuplot"
	skipped=", 2 skipped"
	drawn=
fi
# shellcheck disable=SC2086
run_tests $drawn \
	what_is_for_reports_runs_only_there_or_by_its_name \
	a_report_takes_gnuplot_and_says_so \
	rooms_and_tests_are_offered \
	messages_are_measured \
	semaphores_are_measured_beside_others \
	signals_are_measured_beside_the_kernels \
	shared_memory_is_measured_beside_shm_open \
	blocks_are_measured_beside_malloc \
	a_table_is_for_people \
	nothing_is_left_behind
