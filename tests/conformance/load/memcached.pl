# Four clients of the memcached at the socket that is named: own keys, and one counter of all.
# SPDX-License-Identifier: GPL-2.0-or-later
use strict;
use warnings;
use threads;
use IO::Socket::UNIX;

sub connected {
    return IO::Socket::UNIX->new(Peer => $ARGV[0]) || die "cannot connect: $!";
}

sub ask {
    my ($socket, $request) = @_;
    print $socket $request;
    $socket->flush;
    return scalar <$socket>;
}

sub client {
    my ($me) = @_;
    my $socket = connected();
    for my $n (1 .. 50) {
        my $value = "$me/$n" x 10;
        my $size = length $value;
        ask($socket, "set k$me.$n 0 0 $size\r\n$value\r\n") eq "STORED\r\n" or return 0;
        ask($socket, "incr sum $n\r\n") =~ /^\d+\r\n$/ or return 0;
        ask($socket, "get k$me.$n\r\n") eq "VALUE k$me.$n 0 $size\r\n" or return 0;
        (<$socket> eq "$value\r\n" && <$socket> eq "END\r\n") or return 0;
    }
    return 1;
}

my $socket = connected();
ask($socket, "set sum 0 0 1\r\n0\r\n") eq "STORED\r\n" or die "not stored";
my @clients = map { my $me = $_; threads->create(sub { client($me) }) } 1 .. 4;
for (@clients) { $_->join or die "a client failed" }
my $sum = ask($socket, "incr sum 0\r\n");
$sum == 4 * 50 * 51 / 2 or die "sum is $sum";
