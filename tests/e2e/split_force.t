#!/bin/bash
# All other guests on three nodes, with every page split that two nodes write.
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
cd "$(dirname "$0")/../guests" || exit 1
case ${DQEMU_TEST_SPLIT:-on} in
off | force)
    echo "1..0 # SKIP DQEMU_TEST_SPLIT says how the groups' own tests run"
    exit 0
    ;;
esac
groups=()
for group in */; do
    # split has a test of its own; the tools serve other tests and have nothing to expect.
    case $group in
    split/ | tools/) ;;
    *) groups+=("${group%/}") ;;
    esac
done
export DQEMU_TEST_NODES=${DQEMU_TEST_NODES:-3}
exec ../e2e/run_group.sh --split force "${groups[@]}"
