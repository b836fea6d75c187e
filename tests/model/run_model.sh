#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tests/model/run_model.sh [full] - checks the models beside it with spin: the protocols hold in every
# configuration below, and each planted bug is found. `full` adds configurations that take minutes and
# gigabytes. JOBS sets how many run at once (2).
#
# Lines of the table: model, expected verdict, flags. The last line of the output: "N passed, N failed".
set -u
here=$(cd "$(dirname "$0")" && pwd)
table()
{
	cat <<'END'
lock holds -DTHREADS=3 -DEAGER=3
lock holds -DTHREADS=3 -DEAGER=1 -DDEATHS=2
lock fails -DTHREADS=3 -DEAGER=3 -DBUG_CLEAR_WAITERS
lock fails -DTHREADS=3 -DEAGER=3 -DBUG_NO_WAKE_ALL
lock fails -DTHREADS=3 -DEAGER=3 -DBUG_TAKE_DROPS_WAITERS
lock fails -DTHREADS=3 -DEAGER=3 -DBUG_PENDING_LATE
lock fails -DTHREADS=3 -DEAGER=3 -DBUG_PENDING_EARLY
lock fails -DTHREADS=3 -DEAGER=3 -DBUG_NO_REPAIR
lock fails -DTHREADS=3 -DEAGER=3 -DBUG_BLIND_STORE
wait holds -DRECEIVERS=2 -DSENDS=1
wait holds -DRECEIVERS=1 -DSENDS=2 -DRECEIVES=2 -DDEATHS=2
wait holds -DRECEIVERS=2 -DSENDS=2 -DDEPTH=2
wait holds -DRECEIVERS=2 -DSENDS=2 -DDEPTH=2 -DONE_LOCK
wait fails -DRECEIVERS=2 -DSENDS=2 -DBUG_FLAG_UNDER_OWN_LOCK
wait fails_ -DRECEIVERS=2 -DSENDS=2 -DBUG_FLAG_NOT_NUMBERED
wait fails -DRECEIVERS=2 -DSENDS=2 -DBUG_NO_SECOND_LOOK
wait fails -DRECEIVERS=2 -DSENDS=2 -DBUG_EVENT_READ_LATE
wait fails -DRECEIVERS=1 -DSENDS=1 -DBUG_BUMP_AFTER_COMMIT
wait fails -DRECEIVERS=2 -DSENDS=2 -DBUG_CLEAR_ALWAYS
wait fails -DRECEIVERS=2 -DSENDS=2 -DBUG_NO_DUTY
wait fails -DRECEIVERS=2 -DSENDS=2 -DBUG_DUTY_LATE
wait fails -DRECEIVERS=2 -DSENDS=2 -DBUG_CLEAR_EARLY
wait fails -DRECEIVERS=2 -DSENDS=2 -DBUG_WOKEN_DROPS_DUTY
wait fails -DRECEIVERS=2 -DSENDS=2 -DBUG_DEATHWORD_LAST
wait fails -DRECEIVERS=2 -DSENDS=2 -DBUG_NO_PASSING_ON
wait fails_ -DRECEIVERS=2 -DSENDS=2 -DBUG_FLAG_BEFORE_EVENT
claim holds -DDEATHS=1 -DGIVE_UPS=1
claim holds -DDEATHS=1 -DEXPIRES
claim holds -DDEATHS=1 -DDEPTH=2 -DRECEIVES=3
claim holds -DDEATHS=2 -DSENDERS=1 -DRECEIVERS=2 -DRECEIVES=1
claim holds -DRECEIVERS=2 -DRECEIVES=1 -DEXPIRES
claim holds -DSTOPS=1 -DEXPIRES -DLOOKS_AGAIN
claim fails -DSTOPS=1 -DEXPIRES
claim fails -DBUG_NO_HAND_ON
claim fails -DDEATHS=1 -DBUG_HAND_ON_WITHOUT_R
claim fails -DBUG_NO_REANNOUNCE
claim fails -DDEATHS=1 -DBUG_BUMP_AFTER_COMMIT
claim fails -DDEATHS=1 -DSENDERS=1 -DRECEIVERS=2 -DRECEIVES=1 -DBUG_REPAIR_RINGS_NOT
claim fails_ -DRECEIVERS=2 -DSENDS=2 -DBUG_SAME_NUMBER
pipe_order holds -DWRITERS=2 -DWRITES=2
pipe_order holds -DREADERS=2 -DDEATHS=1
pipe_order holds -DREADERS=2 -DPOLLS=1 -DWRITES=2 -DDEATHS=1
pipe_order holds -DCLOSERS=1 -DDEATHS=1
pipe_order holds -DSTRANGE=1 -DWRITES=2 -DDEATHS=1
pipe_order fails -DBUG_GOES_UNSEEN
pipe_order fails -DBUG_WAITS_FOR_NOBODY
pipe_order fails -DBUG_LEASE_AFTER_DRAIN
pipe_order fails -DBUG_IMPATIENT
pipe_order fails -DBUG_NO_DROP
pipe_order fails -DWRITES=4 -DBUG_TAKE_SEALED
pipe_order fails -DWRITES=4 -DREADERS=2 -DDEATHS=1 -DBUG_TAKE_DEAD
pipe_order fails -DCLOSERS=1 -DBUG_FLUSH_UNLEASED
pipe_order fails -DCLOSERS=1 -DDEATHS=1 -DBUG_CLEARS_UNDER_W
pipe_order fails -DREADERS=2 -DWRITES=2 -DBUG_SLEEPS_UNSEEN
pipe_order fails -DREADERS=2 -DWRITES=2 -DBUG_SLEEPERS_FIRST
pipe_room holds -DSEALS=1 -DDEATHS=1
pipe_room holds -DDEATHS=2
pipe_room fails -DSEALS=1 -DBUG_BUMP_BEFORE_END
pipe_room fails -DSEALS=1 -DBUG_WAITERS_READ_EARLY
pipe_room fails -DSEALS=1 -DDEATHS=1 -DBUG_CLEARS_FLAG
pipe_room fails -DSEALS=1 -DDEATHS=1 -DBUG_END_WITHOUT_DUTY
pipe_room fails -DSEALS=1 -DDEATHS=1 -DBUG_EVENT_READ_LATE
pipe_room fails -DDEATHS=2 -DBUG_SLEEP_WITHOUT_DUTY
pipe_room fails -DDEATHS=1 -DBUG_NO_WAITERS
pipe_room fails -DREADERS=2 -DREADS=1 -DDEATHS=1 -DBUG_TAKE_OVER_DROPS_WAITERS
pipe_room fails -DREADERS=2 -DREADS=1 -DDEATHS=1 -DBUG_WAKE_AFTER_R
sem_word holds -DDEATHS=1
sem_word holds -DGIVE_UPS=1 -DTAKERS=1
sem_word holds -DDESTROY
sem_word fails -DDEATHS=1 -DBUG_POST_WITHOUT_DUTY
sem_word fails -DDEATHS=1 -DBUG_SLEEP_WITHOUT_DUTY
sem_word fails -DDEATHS=1 -DBUG_WOKEN_DROPS_DUTY
sem_word fails -DDEATHS=1 -DBUG_DEATHWORD_LAST
sem_word fails -DBUG_NO_HAND_ON
sem_word fails -DBUG_LEAVES_ZERO
sem_word fails -DBUG_MARK_STORED
sem_word fails -DBUG_NOT_COMPARED
sem_word fails -DGIVE_UPS=1 -DBUG_CANCELLED_SILENTLY
sem_word fails -DGIVE_UPS=1 -DTAKERS=1 -DBUG_LEAVES_WOKEN
sem_word fails -DDESTROY -DBUG_MARK_AWAY_LATER
sem_truth holds -DDEATHS=2 -DREAPERS=2
sem_truth holds -DUNITS=1 -DROUNDS=3 -DDEATHS=1 -DREAPERS=1
sem_truth holds -DACTORS=3 -DSHARE -DROUNDS=1 -DDEATHS=1 -DREAPERS=1
sem_truth fails -DBUG_NEVER_CONFIRMED
sem_truth fails -DACTORS=3 -DBUG_CONFIRM_ONCE
sem_truth fails -DACTORS=3 -DBUG_CONFIRM_UNSEEN
sem_truth fails -DACTORS=3 -DBUG_NO_COUNT
sem_truth fails -DDEATHS=2 -DREAPERS=2 -DBUG_NO_REPAIR
sem_truth fails -DUNITS=1 -DDEATHS=1 -DREAPERS=1 -DBUG_RETURNED_LATE
sem_bell holds -DFREE=1
sem_bell holds -DFREE=1 -DGIVES2=1 -DGIVE_UPS=1
sem_bell fails -DFREE=1 -DWANTS0=2 -DWANTS1=0 -DBUG_NO_EPOCH
sem_bell fails -DFREE=1 -DGIVES2=1 -DBUG_MARK_BEFORE_EVENT
sem_bell fails -DFREE=1 -DENDS=1 -DGIVE_UPS=1 -DBUG_MARK_WAKES_NOBODY
sem_bell fails_ -DN=4 -DWANTS0=2 -DHAS1=1 -DHAS2=0 -DGIVES2=1 -DGIVES3=1 -DBUG_MANY_TELL_NOBODY
sem_bell fails_ -DN=4 -DHAS1=1 -DHAS2=0 -DWANTS1=0 -DWANTS3=1 -DGIVES2=2 -DDEATHS=0 -DGIVE_UPS=1 -DBUG_LEAVES_WOKEN
signal_bell holds -DDEATHS=2
signal_bell holds -DTAKER -DDEATHS=2
signal_bell fails -DBUG_BELL_AFTER_COMMIT
signal_bell fails -DTAKER -DBUG_BELL_AFTER_COMMIT
signal_bell fails -DDEATHS=0 -DBUG_HEARD_AFTER_LOOK
signal_bell fails -DTAKER -DDEATHS=0 -DBUG_NO_SECOND_LOOK
signal_bell fails -DBUG_OWED_BEFORE_BELL
signal_order holds -DSENDS=3 -DSENDS1=2
signal_order fails -DBUG_NOT_FETCHED
signal_order fails -DBUG_NO_PLACE
signal_order fails -DSENDS=3 -DBUG_FRAME_LAST
signal_order fails -DSENDS=3 -DBUG_EQUALS_FIRST
signal_order fails -DSENDS=3 -DBUG_READS_ONCE
END
	[ "${1:-}" = full ] && cat <<'END'
lock holds -DTHREADS=4
lock holds -DTHREADS=3 -DEAGER=3 -DDEATHS=2
wait holds -DRECEIVERS=2 -DSENDS=2
wait holds -DRECEIVERS=2 -DSENDS=2 -DDEPTH=2 -DDEATHS=2
wait holds -DRECEIVERS=2 -DSENDS=2 -DDEPTH=2 -DGIVE_UPS=1
wait holds -DRECEIVERS=1 -DSENDERS=2 -DSENDS=1
wait holds -DSENDERS=2 -DRECEIVERS=1 -DSENDS=1 -DRECEIVES=2
claim holds -DRECEIVERS=2 -DRECEIVES=1 -DDEATHS=1
claim holds -DDEATHS=1 -DDEPTH=2 -DSENDS=2 -DRECEIVES=3
claim holds -DDEATHS=2 -DEXPIRES
claim holds -DRECEIVERS=2 -DSENDS=2
claim holds -DSENDERS=3
claim holds -DSENDERS=3 -DRECEIVES=3
pipe_order holds -DWRITERS=2 -DWRITES=2 -DDEATHS=1
pipe_order holds -DWRITERS=2 -DWRITES=2 -DCLOSERS=1
pipe_order holds -DREADERS=2 -DDEATHS=2 -DSEALS=2
pipe_order holds -DREADERS=2 -DCLOSERS=1 -DDEATHS=1
pipe_order holds -DSTRANGE=2 -DREADERS=2 -DDEATHS=1
pipe_room holds -DREADERS=2 -DDEATHS=1
pipe_room holds -DWRITERS=3 -DSEALS=1 -DDEATHS=1 -DREADS=1
sem_word holds -DDEATHS=2
sem_word holds -DDEATHS=1 -DGIVE_UPS=1 -DTAKERS=1
sem_truth holds -DACTORS=3
sem_truth holds -DACTORS=3 -DSHARE -DDEATHS=1 -DREAPERS=1
sem_truth holds -DACTORS=3 -DNEWCOMER -DDEATHS=2 -DREAPERS=1
sem_bell holds -DFREE=1 -DENDS=1 -DGIVE_UPS=1
sem_bell holds -DFREE=1 -DDEATHS=2
sem_bell holds -DFREE=1 -DWANTS1=2 -DGIVES2=1
signal_order holds -DSENDS=3
END
}

# run_one LINE-NUMBER MODEL EXPECTED FLAGS...: one verdict line into a file of its own.
run_one()
{
	number=$1 model=$2 expected=$3
	shift 3
	options="-O1 ${COMPRESS:-}"
	# The other order of processes leads to most of the bugs much sooner, before optimising pays;
	# `fails_` says that the usual order does.
	[ "$expected" != fails ] || options='-O0 -DREVERSE'
	expected=${expected%_}
	mkdir "$work/$number" && cd "$work/$number" || exit 2
	{
		spin -a "$@" "$here/$model.pml" &&
			# shellcheck disable=SC2086
			cc $options -w -DSAFETY -DNOFAIR -DMEMLIM=8000 -o pan pan.c &&
			./pan -m20000
	} >log 2>&1
	states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' log)
	if grep -q 'errors: 0$' log && ! grep -qE 'error: max search|reached -DMEMLIM|out of memory' log; then
		verdict=holds
	elif grep -qE '^pan:[0-9]+: (assertion violated|invalid end state)' log; then
		verdict=fails
	else
		verdict='was not checked'
	fi
	word=FAIL
	[ "$verdict" = "$expected" ] && word=PASS
	echo "$word $model $* $verdict (${states:-0} states)" >"$work/$number.verdict"
	[ $word = PASS ] || tail -n 20 log >>"$work/$number.verdict"
	rm -rf "${work:?}/$number"
}

# The script runs itself for one line of the table: `one WORK-DIRECTORY ...`.
if [ "${1:-}" = one ]; then
	work=$2
	shift 2
	run_one "$@"
	exit 0
fi

for tool in spin cc; do
	command -v $tool >/dev/null && continue
	echo "this needs $tool (Debian packages: spin, gcc)" >&2
	exit 2
done
work=$(mktemp -d "${TMPDIR:-/tmp}/posthaste-model-XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 2' INT TERM

[ "${1:-}" = full ] && export COMPRESS=-DCOLLAPSE
table "${1:-}" | awk -v work="$work" '{ print "one", work, NR + 100, $0 }' |
	xargs -P "${JOBS:-2}" -L 1 sh "$here/run_model.sh"
cat "$work"/*.verdict
passed=$(cat "$work"/*.verdict | grep -c '^PASS')
failed=$(($(table "${1:-}" | wc -l) - passed))
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
