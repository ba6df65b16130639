#!/bin/bash
# The guests of tests/guests/split on one to four nodes do what they do under plain QEMU: as pages
# are split when it is worth it, and with every page split that two nodes write.
# SPDX-License-Identifier: GPL-2.0-or-later
exec "$(dirname "$0")/run_group.sh" --split "${DQEMU_TEST_SPLIT:-on,force}" split
