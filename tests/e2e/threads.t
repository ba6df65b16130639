#!/bin/bash
# The guests of tests/guests/threads on one to four nodes do what they do under plain QEMU.
# SPDX-License-Identifier: GPL-2.0-or-later
exec "$(dirname "$0")/run_group.sh" threads
