#!/bin/bash
# The manual pages: they format without a word, can be found by name, and what they refer to exists.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

mkdir "$SCRATCH/man"
ours=$(cd "$TOP/deploy" && ls ./*.scd | sed -E 's|^\./(.*)\.([157])\.scd$|\1(\2)|')
[ "$(wc -l <<<"$ours")" -ge 3 ] || bail_out "no manual pages in deploy/"

for source in "$TOP"/deploy/*.scd; do
    page=$(basename "$source" .scd)
    if [ ! -s "$TOP/build/man/$page" ]; then
        fail "$page is built" <<<"no build/man/$page: run make"
        continue
    fi
    said=$(LC_ALL=C.UTF-8 MANWIDTH=80 man --warnings -l "$TOP/build/man/$page" 2>&1 >"$SCRATCH/man/$page")
    if [ -z "$said" ] && [ "$(wc -l <"$SCRATCH/man/$page")" -gt 30 ]; then
        pass "$page formats without a warning"
    else
        fail "$page formats without a warning" <<<"$said"
    fi
    if lexgrog "$TOP/build/man/$page" >"$SCRATCH/said" && [[ $(<"$SCRATCH/said") == *"\"${page%.*} - "* ]]; then
        pass "$page has a line for whatis"
    else
        fail "$page has a line for whatis" <"$SCRATCH/said"
    fi
    # ours that are referred to exist, and have that section
    missing=
    for reference in $(sed 's/\*//g' "$source" | grep -oE '\b(dqemu[a-z-]*|hostfile)\([0-9]\)' | sort -u); do
        grep -qxF "$reference" <<<"$ours" || missing+=" $reference"
    done
    if [ -z "$missing" ]; then
        pass "$page refers to pages that exist"
    else
        fail "$page refers to pages that exist" <<<"there is no$missing"
    fi
done

echo "1..$point"
[ "$failed" = 0 ]
