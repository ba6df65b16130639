#!/bin/sh
# Everything that may come from the network, fed to the decoder: see tests/fuzz/fuzz_frame.c.
# SPDX-License-Identifier: GPL-2.0-or-later
exec build/tests/asan/fuzz_frame
