# SPDX-License-Identifier: MIT
#
# posthaste run: what it starts and what it refuses, who inherits, what is left out, what is written down.
. "$(dirname "$0")/../cli/common"
programs=$1

# status_of WANTED ARGUMENT...: of any status; what it prints is left in $work/out and $work/err.
status_of() {
	wanted=$1
	shift
	status=0
	"$POSTHASTE" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
	[ "$status" = "$wanted" ] ||
		complain "posthaste $*: wanted status $wanted, got $status: $(cat "$work/err")"
}

compile() { # OUT OPTION...: a program that does nothing
	out=$1
	shift
	echo 'int main(void) { return 0; }' >"$work/nothing.c"
	"$@" -o "$out" "$work/nothing.c" 2>"$work/err"
}

the_status_is_the_programs() {
	status_of 0 run true
	status_of 7 run -- sh -c 'exit 7'
	status_of 127 run no-such-program
	has "$(cat "$work/err")" "posthaste: run: no-such-program: no such program in PATH"
	status_of 127 run ./no-such-program
	echo text >"$work/text"
	status_of 126 run "$work/text"
	status_of 126 run "$work"
}

a_wrong_call_is_refused() {
	fails 2 run
	fails 2 run --nonsense true
	fails 2 run --only true
	fails 2 run --only mq,pipe true
	fails 2 run --only "" true
	fails 2 run --log "" true
	POSTHASTE_DIR=$work/nowhere fails 1 run true
	has "$error" nowhere
}

the_program_is_the_process_that_was_started() {
	"$POSTHASTE" run sh -c 'echo $$ >"$work/pid"; kill -TERM $$' 2>/dev/null &
	started=$!
	status=0
	wait $started || status=$?
	same "$started" "$(cat "$work/pid")"
	same 143 "$status"
}

what_cannot_be_preloaded_into_is_refused() {
	if compile "$work/static" "${CC:-cc}" -static; then
		fails 1 run "$work/static"
		has "$error" "statically linked"
		printf '#!%s\n' "$work/static" >"$work/script"
		chmod +x "$work/script"
		fails 1 run "$work/script"
		has "$error" "$work/static is statically linked"
	fi
	if compile "$work/musl" musl-gcc; then
		fails 1 run "$work/musl"
		has "$error" "another C library"
	fi
}

a_set_user_id_program_runs_as_ever() {
	[ "$(id -u)" -eq 0 ] || return 0
	mkdir "$work/bin"
	chmod 755 "$base" "$base/${work#"$base"/}" "$work/.." "$work/bin" 2>/dev/null || true
	cp "$POSTHASTE" "$(dirname "$POSTHASTE")/libposthaste-preload.so" "$work/bin"
	cp "$(command -v env)" "$work/bin/set"
	chmod 4755 "$work/bin/set"
	chmod 777 "$POSTHASTE_DIR"
	status=0
	setpriv --reuid 65534 --regid 65534 --clear-groups "$work/bin/posthaste" run "$work/bin/set" true \
		2>"$work/err" || status=$?
	same 0 "$status"
	has "$(cat "$work/err")" "the system runs it without the library"
}

all_versions_of_the_names_are_the_librarys() {
	ph run "$programs/names" >"$work/names"
	same 0 "$(grep -vc ' libposthaste-preload.so$' "$work/names" || true)"
	"$programs/names" >"$work/names"
	same 0 "$(grep -vc ' libc.so.6$' "$work/names" || true)"
}

mistakes_are_answered_as_by_the_system() {
	"$programs/errors" >"$work/system"
	ph run "$programs/errors" >"$work/library"
	[ "$(wc -l <"$work/system")" -gt 150 ] || complain "the program ended early"
	diff "$work/system" "$work/library" >&2 || complain "the lines differ"
	same "" "$(ph ls --names)"
}

# shm NAME: a child of every kind makes an object of that name.
makes='import os, subprocess, sys
from _posixshmem import shm_open
def make(name): os.close(shm_open("/" + name, os.O_CREAT | os.O_RDWR, mode=0o600))
if len(sys.argv) > 1:
    make(sys.argv[1])
    os._exit(0)
if os.fork() == 0:
    make("forked")
    os._exit(0)
os.wait()
again = [sys.executable, __file__]
os.waitpid(os.posix_spawn(again[0], again + ["spawned"], os.environ), 0)
subprocess.run(again + ["started"], check=True)
subprocess.run(" ".join(again) + " shell", shell=True, check=True)
os.execv(again[0], again + ["execed"])
'

children_inherit_it() {
	[ -x /usr/bin/python3 ] || return 0
	printf '%s' "$makes" >"$work/makes.py"
	ph run /usr/bin/python3 "$work/makes.py"
	same "/execed /forked /shell /spawned /started" "$(ph ls --shm --names | tr '\n' ' ' | sed 's/ $//')"
}

only_leaves_the_rest_to_the_system() {
	ph run --only mq "$programs/names" >/dev/null
	ph run --only mq,sem --log "$work/log" "$programs/objects" /only-$$
	same "mq sem" "$(ph ls | awk 'NR > 1 {print $1}' | sort | tr '\n' ' ' | sed 's/ $//')"
	[ -e "/dev/shm/only-$$" ] || complain "the object is not where the system puts it"
	POSTHASTE_ONLY=mq,sem ph run "$programs/objects" --remove /only-$$
	same "" "$(ph ls --names)"
	[ ! -e "/dev/shm/only-$$" ] || complain "the object was not removed"
}

a_log_has_a_line_for_each_call() {
	cd "$work"
	ph run --log calls "$programs/objects" /logged
	ph run --log calls "$programs/objects" /logged
	ph run --log calls "$programs/objects" --remove /logged
	grep -q ' mq_open("/logged", 0x[0-9a-f]*, 0600, depth 4, size 16) = [0-9]*$' calls ||
		complain "no line for mq_open: $(cat calls)"
	grep -q ' mq_open("/logged".*) = -1 EEXIST$' calls || complain "no line for the second"
	grep -q ' sem_open("/logged", 0x[0-9a-f]*, 0600, 1) at 0x[0-9a-f]* = 0$' calls || complain "no sem_open"
	grep -q ' shm_unlink("/logged") = 0$' calls || complain "no line for shm_unlink"
	same 0 "$(grep -vcE '^[0-9]+\.[0-9]{6} [0-9]+/[0-9]+ [a-z_0-9]+\(.*\).* = -?[0-9]+( E[A-Z]+)?$' calls || true)"
}

lines_of_many_processes_do_not_mix() {
	for i in 1 2 3 4 5 6 7 8; do
		ph run --log "$work/calls" "$programs/rate" 250 >/dev/null &
	done
	wait
	# 250 sends and 250 receives, and an open, an unlink and the closes of each.
	same 2000 "$(grep -c ' mq_send(.*) = 0$' "$work/calls")"
	same 2000 "$(grep -c ' mq_receive(.*) = 64$' "$work/calls")"
	same 0 "$(grep -vcE '^[0-9]+\.[0-9]{6} [0-9]+/[0-9]+ [a-z_]+\(.*\) = -?[0-9]+$' "$work/calls" || true)"
}

what_is_preloaded_already_stays() {
	same "$(dirname "$(readlink -f "$POSTHASTE")")/libposthaste-preload.so:/nowhere.so" \
		"$(LD_PRELOAD=/nowhere.so "$POSTHASTE" run sh -c 'echo "$LD_PRELOAD"' 2>/dev/null)"
	once=$(ph run sh -c 'echo "$LD_PRELOAD"')
	same "$once" "$(ph run "$POSTHASTE" run sh -c 'echo "$LD_PRELOAD"')"
}

run_tests \
	the_status_is_the_programs \
	a_wrong_call_is_refused \
	the_program_is_the_process_that_was_started \
	what_cannot_be_preloaded_into_is_refused \
	a_set_user_id_program_runs_as_ever \
	all_versions_of_the_names_are_the_librarys \
	mistakes_are_answered_as_by_the_system \
	children_inherit_it \
	only_leaves_the_rest_to_the_system \
	a_log_has_a_line_for_each_call \
	lines_of_many_processes_do_not_mix \
	what_is_preloaded_already_stays
