#!/bin/bash
# An OpenMP program with the shared libraries of Debian's libgomp.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/real/lib.sh
. "$(dirname "$0")/lib.sh"
need_programs usr/lib/aarch64-linux-gnu/libgomp.so.1
enter_scratch

if aarch64-linux-gnu-gcc -std=gnu11 -D_GNU_SOURCE -O2 -fopenmp -I "$TOP/tests/guests" \
    -o openmp "$TOP/tests/guests/compute/openmp.c" 2>diagnosis; then
    pass "built against shared libraries"
else
    fail "built against shared libraries" <diagnosis
fi
same "OpenMP loops, reductions, ordered output and tasks" 2 60 "$PWD/openmp"
done_testing
