#!/bin/bash
# x264 with threads: frames depend on earlier ones, and the stream is the same bit for bit.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/real/lib.sh
. "$(dirname "$0")/lib.sh"
need_programs usr/bin/x264
enter_scratch

python3 - >video.y4m <<'END'
import sys

width, height, frames = 160, 96, 24
out = sys.stdout.buffer
out.write(b"YUV4MPEG2 W%d H%d F25:1 Ip A1:1 C420jpeg\n" % (width, height))
for f in range(frames):
    out.write(b"FRAME\n")
    out.write(bytes((2 * x + 3 * y + 5 * f + ((x - 4 * f) * (y - 2 * f) >> 6)) & 255
                    for y in range(height) for x in range(width)))
    for sign in (1, -1):
        out.write(bytes((x + sign * (y + f)) & 255
                        for y in range(height // 2) for x in range(width // 2)))
END

same "x264 --threads 4" 2 90 usr/bin/x264 --threads 4 --quiet --no-progress -o out.264 ../video.y4m
check "there is a stream" test -s dqemu/out.264
same "x264 --threads 4 --sliced-threads" 1 90 \
    usr/bin/x264 --threads 4 --sliced-threads --quiet --no-progress -o out.264 ../video.y4m
done_testing
