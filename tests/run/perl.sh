# SPDX-License-Identifier: MIT
#
# POSIX message queues from Perl, by FFI::Platypus: a server is killed in the middle, over and over. Natively and on the
# library.
. "$(dirname "$0")/common"
needs /usr/bin/perl perl
/usr/bin/perl -MFFI::Platypus -e 1 2>/dev/null || needs /nowhere/FFI::Platypus libffi-platypus-perl

a_server_that_is_killed_is_replaced() {
	both_ways /usr/bin/perl "$(dirname "$0")/programs/client.pl"
	diff "$work/native" "$work/run" >&2 || complain "the output differs"
	same 3 "$(grep -c '200 right' "$work/run")"
	has "$(cat "$work/run")" "late: -1 1"
}

run_tests a_server_that_is_killed_is_replaced
