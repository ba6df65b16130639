#!/bin/sh
# The same under AddressSanitizer and UBSan: see torture.t.
# SPDX-License-Identifier: GPL-2.0-or-later
exec timeout -k 5 $((180 * ${DQEMU_TIME_SCALE:-1})) "$(dirname "$0")/../../build/tests/asan/torture"
