#!/bin/bash
# sort --parallel, from a file and from standard input.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/real/lib.sh
. "$(dirname "$0")/lib.sh"
need_programs usr/bin/sort
enter_scratch
export LC_ALL=C

# sort starts a thread only for large pieces.
make_text 200000 >text
same "sort --parallel=4" 1 90 usr/bin/sort --parallel=4 -S 64M -o sorted ../text
check "it is sorted" sort -c dqemu/sorted
ln -s text input
same "sort --parallel=4 of standard input, by numbers" 1 90 usr/bin/sort --parallel=4 -S 64M -n
check "it is sorted" sort -nc dqemu/stdout
done_testing
