#!/bin/bash
# All guests, built for arm, on three nodes do what they do under plain QEMU.
# SPDX-License-Identifier: GPL-2.0-or-later
exec "$(dirname "$0")/run_isa.sh" arm
