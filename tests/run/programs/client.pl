# SPDX-License-Identifier: MIT
#
# client.pl - a client and a server of POSIX message queues in Perl: requests by priority, answers on a queue of the
# client's own, a deadline, and a server that is killed in the middle and replaced.
use strict;
use warnings;
use Errno;
use Fcntl qw(O_RDWR O_CREAT O_EXCL);
use FFI::Platypus 2.00;

my $ffi = FFI::Platypus->new(api => 2, lib => [undef]);
$ffi->attach(mq_open   => ['string', 'int'] => ['unsigned int', 'opaque'] => 'int');
$ffi->attach(mq_send   => ['int', 'string', 'size_t', 'unsigned int'] => 'int');
$ffi->attach(mq_receive => ['int', 'opaque', 'size_t', 'unsigned int*'] => 'ssize_t');
$ffi->attach(mq_timedreceive => ['int', 'opaque', 'size_t', 'unsigned int*', 'opaque'] => 'ssize_t');
$ffi->attach($_ => ['string'] => 'int') for qw(mq_unlink);
$ffi->attach($_ => ['int'] => 'int') for qw(mq_close);
$ffi->attach(malloc => ['size_t'] => 'opaque');
$ffi->attach(memcpy => ['opaque', 'string', 'size_t'] => 'opaque');

my $size = 8192; # what a queue has that is made without attributes
my $room = malloc($size);

sub make {
	my ($name) = @_;
	my $q = mq_open($name, O_RDWR | O_CREAT | O_EXCL, 0600, undef);
	die "mq_open $name: $!" if $q < 0;
	return $q;
}

sub put {
	my ($q, $text, $prio) = @_;
	mq_send($q, $text, length $text, $prio) == 0 or die "mq_send: $!";
}

sub take {
	my ($q) = @_;
	my $prio = 0;
	my $n = mq_receive($q, $room, $size, \$prio);
	die "mq_receive: $!" if $n < 0;
	return $n == 0 ? '' : $ffi->cast('opaque', "record($n)*", $room);
}

sub serve {
	my ($requests, $answers) = @_;
	my $pid = fork // die "fork: $!";
	return $pid if $pid;
	while (1) {
		my $word = take($requests);
		put($answers, scalar reverse($word), 0);
		exit 0 if $word eq 'end';
	}
}

my ($there, $back) = map {"/posthaste-$_-$$"} qw(there back);
my ($requests, $answers) = (make($there), make($back));
put($requests, "of priority $_", $_) for 2, 7, 5;
print join(', ', map {take($requests)} 1 .. 3), "\n";

my $server = serve($requests, $answers);
for my $round (1 .. 3) {
	my $right = 0;
	for (1 .. 200) {
		put($requests, "word $_", 0);
		$right += take($answers) eq reverse("word $_");
	}
	print "round $round: $right right\n";
	kill 'KILL', $server;
	waitpid $server, 0;
	print "killed: ", $? & 127, "\n";
	$server = serve($requests, $answers);
}
put($requests, 'end', 0);
print take($answers), "\n";
waitpid $server, 0;
print "ended: $?\n";

my $past = malloc(16);
memcpy($past, pack('qq', 1, 0), 16);
my $prio = 0;
my $r = mq_timedreceive($answers, $room, $size, \$prio, $past);
print "late: $r ", $!{ETIMEDOUT} ? 1 : 0, "\n";
print join(' ', mq_close($requests), mq_close($answers), mq_unlink($there), mq_unlink($back), mq_close($requests)),
	"\n";
