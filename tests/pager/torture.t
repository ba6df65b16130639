#!/bin/sh
# Memory shared by several node processes, without the emulator. Needs userfaultfd.
# SPDX-License-Identifier: GPL-2.0-or-later
exec timeout -k 5 $((120 * ${DQEMU_TIME_SCALE:-1})) "$(dirname "$0")/../../build/tests/torture"
