# SPDX-License-Identifier: MIT
#
# A PostgreSQL 15 server: its processes share unnamed semaphores in memory that they inherit, and make objects of shared
# memory for parallel queries. pgbench on it, then one backend is killed and the server starts all over, then pgbench
# again; the accounts must balance, and nothing may be left behind. Natively and on the library.
. "$(dirname "$0")/common"
pg=/usr/lib/postgresql/15/bin
needs $pg/postgres postgresql-15
needs $pg/pgbench postgresql-15

# The server does not run as root: then as the user that the package has made, who must be able to read what he runs.
prepare() {
	dir=$work/$1
	mkdir -p "$work/bin" "$dir/space"
	cp "$POSTHASTE" "$(dirname "$POSTHASTE")/libposthaste-preload.so" "$work/bin/"
	as=
	if [ "$(id -u)" -eq 0 ]; then
		as="setpriv --reuid postgres --regid postgres --clear-groups"
		chmod 755 "$base" "$work/.." "$work" "$work/bin"
		chown -R postgres: "$dir"
	fi
	POSTHASTE_DIR=$dir/space
	run=
	[ "$1" = native ] || run="$work/bin/posthaste run --"
}

sql() { # STATEMENT...
	$as $run $pg/psql -h "$dir" -d postgres -Atq -v ON_ERROR_STOP=1 "$@" 2>>"$dir/errors"
}

start() {
	$as $run $pg/initdb -A trust -N -D "$dir/data" >"$dir/initdb" 2>&1 || complain "initdb: $(cat "$dir/initdb")"
	$as $run $pg/postgres -D "$dir/data" -k "$dir" -c listen_addresses= -c fsync=off -c shared_buffers=16MB \
		-c dynamic_shared_memory_type=posix -c max_connections=20 -c autovacuum=off -c max_wal_senders=0 \
		-c wal_level=minimal -c parallel_setup_cost=0 -c parallel_tuple_cost=0 -c min_parallel_table_scan_size=0 \
		-c restart_after_crash=on >"$dir/log" 2>&1 &
	server=$!
	eventually sql -c 'select 1' >/dev/null
}

bench() {
	$as $run $pg/pgbench -h "$dir" -n -c 4 -j 2 -t 100 postgres >"$dir/bench" 2>&1 ||
		complain "pgbench: $(cat "$dir/bench" "$dir/log")"
	grep -q 'number of transactions actually processed: 400/400' "$dir/bench" || complain "$(cat "$dir/bench")"
}

accounts_balance() {
	same t "$(sql -c 'select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)
		and (select sum(bbalance) from pgbench_branches) = (select sum(tbalance) from pgbench_tellers)')"
	same 100000 "$(sql -c 'select count(*) from pgbench_accounts where aid > 0')"
	has "$(sql -c 'explain analyze select sum(abalance) from pgbench_accounts')" "Workers Launched: 2"
}

victim() {
	pid=$(sql -c "select pid from pg_stat_activity where query = 'select pg_sleep(600)' and pid <> pg_backend_pid()")
	[ -n "$pid" ]
}

is_back() {
	[ "$(grep -c 'database system is ready to accept connections' "$dir/log")" -ge 2 ] && sql -c 'select 1' >/dev/null
}

kill_a_backend() {
	sql -c 'select pg_sleep(600)' >/dev/null &
	client=$!
	eventually victim
	kill -KILL "$pid"
	! wait $client || complain "the client of the killed backend saw nothing"
	eventually is_back
	grep -q 'was terminated by signal 9' "$dir/log" || complain "$(cat "$dir/log")"
}

serve() {
	prepare "$1"
	start
	$as $run $pg/pgbench -h "$dir" -i -I dtGp -q postgres >"$dir/init" 2>&1 || complain "$(cat "$dir/init")"
	bench
	accounts_balance
	kill_a_backend
	bench
	accounts_balance
	[ "$1" = native ] || is_on_the_library
	kill -INT $server
	wait $server || complain "the server ends with status $?: $(tail "$dir/log")"
	clean
}

is_on_the_library() {
	grep -q libposthaste-preload.so "/proc/$server/maps" || complain "the library is not underneath"
	# Those of a parallel query may go at any moment.
	find "$POSTHASTE_DIR" -name 'shm.PostgreSQL.*' -print 2>/dev/null | grep -q . || complain "its shared memory is not the library's"
}

the_server_natively() {
	serve native
}

the_server_on_the_library() {
	serve library
}

run_tests \
	the_server_natively \
	the_server_on_the_library
