#!/bin/bash
# All guests, built for s390x (big-endian), on three nodes do what they do under plain QEMU. Not one
# of the default instruction sets: make ISAS=s390x all guests
# SPDX-License-Identifier: GPL-2.0-or-later
if [ ! -x "$(dirname "$0")/../../build/dqemu-s390x" ]; then
    echo "1..0 # SKIP there is no build/dqemu-s390x; make ISAS=s390x all guests"
    exit 0
fi
exec "$(dirname "$0")/run_isa.sh" s390x
