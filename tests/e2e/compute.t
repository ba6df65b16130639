#!/bin/bash
# The guests of tests/guests/compute on one to four nodes do what they do under plain QEMU.
# SPDX-License-Identifier: GPL-2.0-or-later
exec "$(dirname "$0")/run_group.sh" compute
