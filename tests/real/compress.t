#!/bin/bash
# Parallel compressors: pigz, xz, zstd and 7z give the same bytes as under plain QEMU, and what
# they give can be read back by this machine or by themselves.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/real/lib.sh
. "$(dirname "$0")/lib.sh"
need_programs usr/bin/pigz usr/bin/xz usr/bin/zstd usr/lib/p7zip/7z
enter_scratch
make_text 120000 >text
touch -d 2000-01-01 text

same "pigz -p 8" 4 60 usr/bin/pigz -p 8 -c ../text
check "gzip reads it" eval 'gzip -dc dqemu/stdout | cmp - text'

same "xz -T 4" 2 120 usr/bin/xz -T 4 --block-size=256KiB -2 -c ../text
check "xz reads it" eval 'xz -dc dqemu/stdout | cmp - text'
cp dqemu/stdout text.xz
same "xz -T 4 -d" 1 60 usr/bin/xz -T 4 -dc ../text.xz
check "and gives the text" cmp dqemu/stdout text

same "zstd -T4" 2 60 usr/bin/zstd -T4 -B256KiB -q -o text.zst ../text
cp dqemu/text.zst .
same "zstd -d" 0 60 usr/bin/zstd -d -q -c ../text.zst
check "and gives the text" cmp dqemu/stdout text

same "7z a -mmt=4" 1 120 usr/lib/p7zip/7z a -bso0 -bsp0 \
    -m0=lzma2:d=256k:c=1m -mx=3 -mmt=4 text.7z ../text
cp dqemu/text.7z .
same "7z t" 0 60 usr/lib/p7zip/7z t -bso0 -bsp0 -mmt=4 ../text.7z
done_testing
