#!/bin/bash
# What README.md shows for a rack works on one: its commands run as they stand, one after the other,
# on h1 to h4 for n1 to n4. Installing the package on each host is what it begins with; here every
# host has dqemu in its PATH already.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/rack/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/rack/run.sh
. "$(dirname "$0")/run.sh"
time_limit 200
need_build
cd "$SCRATCH" || exit 1

awk '/^```sh rack$/ { on = 1; next } /^```/ { on = 0 } on' "$TOP/README.md" >block
mapfile -t commands <block
[ ${#commands[@]} -gt 0 ] || bail_out "README.md has no block for a rack"

installs() { # COMMAND: the package is the one that make deb makes
    local version architecture
    version=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$TOP/deploy/debian/changelog")
    architecture=$(dpkg --print-architecture)
    [[ $1 == "sudo apt install ./dqemu_${version}_${architecture}.deb "* ]] || { echo "$1"; return 1; }
}

works() { # COMMAND
    rm -f out err
    rack_try 60 1 env PATH="$TOP/build:/usr/bin:/bin" bash -c 'cd /root/readme && eval "$1"' readme "$1" \
        </dev/null >out 2>err
    status=$?
    [ $status = 0 ] || fails "it fails" || return
    case $1 in
    *./prog*) [ "$(<out)" = 'big_sum: e296fc8f6dd3c57c' ] || fails "the program's output is another" || return ;;
    *--check*) [ "$(grep -c '^h[1-4] .* same .* all, ' out)" = 4 ] || fails "the table is another" || return ;;
    esac
    nothing_left
}

rack_up 4
rack_slurm_up
rack_on 1 mkdir /root/readme
rack_put 1 "$GUESTS/big_sum" /root/readme/prog
for command in "${commands[@]}"; do
    name="README.md: ${command%%  *}"
    case $command in
    "sudo apt install "*) holds "$name" installs "$command" ;;
    *) holds "$name" works "$(sed 's/\bn\([1-9]\)\b/h\1/g' <<<"$command")" ;;
    esac
done
done_testing
