#!/bin/bash
# TAP for all guests of another instruction set than AArch64 (which has its own tests, one a group),
# on three nodes.
#
#   run_isa.sh ISA
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
export DQEMU_TEST_ISA=$1 DQEMU_TEST_NODES=${DQEMU_TEST_NODES:-3}
cd "$(dirname "$0")/../guests" || exit 1
groups=()
for group in */; do
    # The tools serve other tests and have nothing to expect.
    [ "$group" = tools/ ] || groups+=("${group%/}")
done
exec ../e2e/run_group.sh "${groups[@]}"
