#!/bin/bash
# Guests whose pages would be split, on two nodes with splitting switched off.
# SPDX-License-Identifier: GPL-2.0-or-later
set -u
case ${DQEMU_TEST_SPLIT:-on} in
off | force)
    echo "1..0 # SKIP DQEMU_TEST_SPLIT says how the groups' own tests run"
    exit 0
    ;;
esac
export DQEMU_TEST_NODES=${DQEMU_TEST_NODES:-2}
exec "$(dirname "$0")/run_group.sh" --split off memory sync split
