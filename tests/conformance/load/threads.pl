# Perl's interpreter threads: a queue between them, and a shared sum under its lock.
# SPDX-License-Identifier: GPL-2.0-or-later
use strict;
use warnings;
use threads;
use threads::shared;
use Thread::Queue;

my $sum : shared = 0;
my $queue = Thread::Queue->new;
my @workers = map {
    threads->create(sub {
        my $taken = 0;
        while (defined(my $n = $queue->dequeue)) {
            lock $sum;
            $sum += $n * $n;
            $taken++;
        }
        return $taken;
    })
} 1 .. 4;
$queue->enqueue(1 .. 400);
$queue->end;
my $taken = 0;
$taken += $_->join for @workers;
print "$taken taken, sum $sum\n";
