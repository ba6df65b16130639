#!/bin/bash
# All guests as a user for whom no administrator has done anything: page faults of threads alone are
# served, and system calls use copies of the guest's memory.
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
cd "$(dirname "$0")/../guests" || exit 1
if [ "$(id -u)" != 0 ] && [ -w /dev/userfaultfd ]; then
    export DQEMU_OPTIONS=${DQEMU_OPTIONS:+$DQEMU_OPTIONS,}threads_only=1
fi
groups=()
for group in */; do
    # The tools serve other tests and have nothing to expect.
    [ "$group" = tools/ ] || groups+=("${group%/}")
done
export DQEMU_TEST_AS=threads DQEMU_TEST_NODES=${DQEMU_TEST_NODES:-3}
exec ../e2e/run_group.sh "${groups[@]}"
