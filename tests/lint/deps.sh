#!/bin/bash
# The rules of the layers: which folder may include which, who may know QEMU, who may know an
# instruction set, and how long the patch series may be. Prints each breach; status 1 if any.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."

bad=0
breach() { echo "$*"; bad=1; }

# ---- includes point one way: deploy, tests -> master, slave -> dqemu -> proto

# may FOLDER: the folders whose headers its files may include
may() {
    case $1 in
    proto) echo proto ;;
    dqemu) echo dqemu proto ;;
    master) echo master dqemu proto ;;
    slave) echo slave dqemu proto ;;
    deploy) echo deploy master slave dqemu proto ;;
    tests) echo tests deploy master slave dqemu proto ;;
    esac
}

for folder in proto dqemu master slave deploy tests; do
    # an include in quotes is ours, is generated, or breaks the rule that only glue sees QEMU
    while IFS=: read -r file line text; do
        name=$(sed -E 's/.*"([^"]+)".*/\1/' <<<"$text")
        case $name in
        dqemu-buildid.h) continue ;;
        esac
        if [ -e "$(dirname "$file")/$name" ]; then
            continue
        fi
        if [[ $name != */* || ! -e $name ]]; then
            # guests have headers of their own, one folder up
            [ -e "tests/guests/$name" ] && [[ $file == tests/guests/* ]] && continue
            breach "$file:$line: \"$name\" is not a header of this project (QEMU's are for qemu/glue)"
        elif [[ " $(may $folder) " != *" ${name%%/*} "* ]]; then
            breach "$file:$line: $folder/ may not depend on $name"
        fi
    done < <(grep -rnE '^\s*#\s*include\s*"' --include='*.[ch]' --include='*.inc' $folder)
    while IFS=: read -r file line _; do
        breach "$file:$line: a header of QEMU outside qemu/glue"
    done < <(grep -rnE '^\s*#\s*include\s*<(qemu|exec|tcg|hw|qapi|user|accel)/' \
        --include='*.[ch]' --include='*.inc' $folder)
done
while IFS=: read -r file line _; do
    breach "$file:$line: qemu/glue may not depend on deploy or tests"
done < <(grep -rnE '^\s*#\s*include\s*"(deploy|tests)/' --include='*.[ch]' qemu/glue)

# ---- the emulator's own words: the instruction set is the glue's business (but for the list of them all)

while IFS=: read -r file line _; do
    breach "$file:$line: names an instruction set"
done < <(grep -rniwE '(qemu-)?(aarch64|arm64|armv[0-9]\w*|riscv(32|64)?|x86|x86[_-]64|amd64|i[3-6]86|mips\w*|ppc\w*|powerpc|s390x?|loongarch\w*|sparc\w*|m68k)|__(x86_64|aarch64|i386|riscv)__' \
    --include='*.[ch]' --include='*.inc' --exclude=isas.inc proto dqemu master slave)

# ---- the series stays short

limit=300
mapfile -t series < <(sed -E 's/[[:space:]]*(#.*)?$//; /^$/d' qemu/patches/series)
changed=$(cd qemu/patches && awk '/^(---|\+\+\+) / { next } /^[-+]/ { n++ } END { print n + 0 }' "${series[@]}")
[ "$changed" -lt $limit ] ||
    breach "qemu/patches: the series changes $changed lines; it stays under $limit"

exit $bad
