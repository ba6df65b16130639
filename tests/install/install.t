#!/bin/bash
# make install and make uninstall: what is installed works without the build tree and its debugging
# symbols, is complete, and goes again without a trace.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
need_build
[ -x "$GUESTS/big_sum" ] || bail_out "$GUESTS/big_sum is missing: run make guests"
unset MAKEFLAGS MAKELEVEL MFLAGS DQEMU_NODES DQEMU_NODE_BINARY
isas=$(cd "$TOP/build" && find . -maxdepth 1 -name 'dqemu-[a-z]*' ! -name '*-launch' -executable -printf '%f\n' |
    sed 's/^dqemu-//' | sort | paste -sd ' ')

stage="$SCRATCH/stage of it"
root=$stage/opt/dq

make_() { # TARGET ARGUMENT...: with what it says in $SCRATCH/said
    timeout "$(scaled 300)" make -C "$TOP" ISAS="$isas" "$@" >"$SCRATCH/said" 2>&1
}

files() {
    find "$stage" -type f -printf '%P %m\n' | sort
}

if make_ install DESTDIR="$stage" PREFIX=/opt/dq; then
    pass "make install"
else
    fail "make install" <"$SCRATCH/said"
fi

wanted=$(
    cd "$TOP" || exit
    echo "bin/dqemu-launch 755"
    # shellcheck disable=SC2086
    printf 'libexec/dqemu/dqemu-%s 755\n' $isas
    for page in deploy/*.scd; do
        page=$(basename "$page" .scd)
        echo "share/man/man${page##*.}/$page 644"
    done
    echo "share/bash-completion/completions/dqemu-launch 644"
    printf 'share/doc/dqemu/%s 644\n' README.md COPYING examples/{dqemu.sbatch,hostfile.example}
)
wanted=$(sed 's|^|opt/dq/|' <<<"$wanted" | sort)
if [ "$(files)" = "$wanted" ]; then
    pass "all files, with their modes, and no others"
else
    fail "all files, with their modes, and no others" < <(diff <(echo "$wanted") <(files))
fi

size() { # FILE: in MiB, rounded up
    echo $((($(stat -c %s "$1") + 1048575) / 1048576))
}
stripped=1
for program in "$root"/bin/* "$root"/libexec/dqemu/*; do
    ! readelf -S --wide "$program" | grep -qE '\.(debug_info|symtab)' || stripped=
done
node=$root/libexec/dqemu/dqemu-aarch64
name="programs without symbols: a node has $(size "$node") MiB instead of $(size "$TOP/build/dqemu-aarch64")"
if [ -n "$stripped" ]; then
    pass "$name"
else
    fail "$name" < <(ls -l "$root"/bin/* "$root"/libexec/dqemu/*)
fi

# Run it from a place where no build tree is beside it.
mark=$$-install
want=$("${ORACLE[@]}" "$GUESTS/big_sum")
for nodes in 1 2 3; do
    got=$(cd "$SCRATCH" && run_marked $mark 60 "$root/bin/dqemu-launch" -n $nodes "$GUESTS/big_sum" \
        2>"$SCRATCH/err" </dev/null)
    status=$?
    if [ $status = 0 ] && [ "$got" = "$want" ] && [ ! -s "$SCRATCH/err" ] &&
        check_none_left $mark >>"$SCRATCH/err"; then
        pass "the installed launcher runs a program on $(plural $nodes node)"
    else
        { echo "status $status, stdout '$got'"; cat "$SCRATCH/err"; } >"$SCRATCH/diagnosis"
        fail "the installed launcher runs a program on $(plural $nodes node)" <"$SCRATCH/diagnosis"
    fi
done
launched=$("$root/bin/dqemu-launch" --version)
if [ "$launched" = "$("$DQEMU_LAUNCH" --version)" ]; then
    pass "it is this version"
else
    fail "it is this version" <<<"$launched"
fi

for page in dqemu-launch dqemu hostfile; do
    if [ -n "$(MANPATH=$root/share/man man -w "$page" 2>"$SCRATCH/err")" ]; then
        pass "man $page"
    else
        fail "man $page" <"$SCRATCH/err"
    fi
done
if bash --norc -c '. "$1"; complete -p dqemu-launch' - \
    "$root/share/bash-completion/completions/dqemu-launch" >"$SCRATCH/said" 2>&1; then
    pass "completion can be loaded"
else
    fail "completion can be loaded" <"$SCRATCH/said"
fi
if bash -n "$root/share/doc/dqemu/examples/dqemu.sbatch"; then
    pass "the batch script is one"
else
    fail "the batch script is one" </dev/null
fi

if make_ install DESTDIR="$stage" PREFIX=/opt/dq && [ "$(files)" = "$wanted" ]; then
    pass "installed twice is installed once"
else
    fail "installed twice is installed once" <"$SCRATCH/said"
fi

echo theirs >"$root/bin/theirs"
if make_ uninstall DESTDIR="$stage" PREFIX=/opt/dq && [ "$(files)" = "opt/dq/bin/theirs 644" ] &&
    [ -z "$(find "$stage" -mindepth 1 -empty)" ]; then
    pass "make uninstall leaves what is not ours, and nothing else"
else
    find "$stage" >>"$SCRATCH/said"
    fail "make uninstall leaves what is not ours, and nothing else" <"$SCRATCH/said"
fi
rm "$root/bin/theirs"
if make_ install DESTDIR="$stage" && make_ uninstall DESTDIR="$stage" && make_ uninstall DESTDIR="$stage" &&
    make_ uninstall DESTDIR="$stage" PREFIX=/opt/dq && [ -z "$(find "$stage" -mindepth 1 ! -path "$stage/opt*")" ]; then
    pass "make uninstall of the default prefix leaves nothing, also a second time"
else
    find "$stage" >>"$SCRATCH/said"
    fail "make uninstall of the default prefix leaves nothing, also a second time" <"$SCRATCH/said"
fi

echo "1..$point"
[ "$failed" = 0 ]
