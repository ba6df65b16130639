#!/bin/bash
# A root directory of the program's own (--root, --volume): on one node and on three, as an ordinary
# user, and as root where root runs the test.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need_build
[ -x "$GUESTS/rooted" ] || bail_out "$GUESTS/rooted is missing: run make guests"
if [ "$DQEMU_TEST_AS" != self ] && [ "$(id -u)" = 0 ] && [ $# = 0 ]; then
    # both, in one list of points
    "$TOP/tests/user.sh" "$DQEMU_TEST_AS" "$0" user | sed '/^1\.\.[0-9]*$/d' | tee "$SCRATCH/points"
    failed=$((PIPESTATUS[0] != 0))
    point=$(grep -cE '^(not )?ok ' "$SCRATCH/points")
fi
mark=$$-root
cd "$SCRATCH" || exit 1
who=$(id -un 2>/dev/null || id -u)
if [ "$(id -u)" != 0 ] && ! unshare --user --mount true 2>why; then
    skip "a root of its own" "no user namespaces for $who here: $(<why)"
    echo "1..$point"
    exit 0
fi

# The smallest system there is: what it lacks to mount on is made.
mkdir -p root/bin root/etc root/work data/sub outside/work
chmod 755 . root root/bin root/work
cp "$GUESTS/rooted" "$GUESTS/false_shared" root/bin/
printf '#!/bin/rooted names\n' >root/bin/script
chmod 755 root/bin/*
mkdir root/broken
ln -s /bin root/absolute # to be understood in there

run() { # ARGUMENT...
    run_marked "$mark" 60 "$DQEMU_LAUNCH" "$@" >out 2>err </dev/null
    status=$?
    none=$(check_none_left "$mark")
}

# A run and what it says. Nothing of it may be left, neither processes nor mounts.
expect() { # NAME STATUS OUT ERR ARGUMENT...
    local name="$who: $1" want=$2 want_out=$3 want_err=$4
    shift 4
    run "$@"
    # shellcheck disable=SC2053
    if [ $status = "$want" ] && [[ $(<out) == $want_out ]] && [[ $(<err) == $want_err ]] &&
        [ -z "$none" ] && ! grep -q "$PWD/root" /proc/self/mountinfo; then
        pass "$name"
    else
        {
            echo "status $status, not $want; wanted '$want_out' and '$want_err'"
            cat out err
            echo "$none"
        } | fail "$name"
    fi
}

threads_elsewhere() { # STATS
    jq '[.nodes[] | select(.node > 0) | .threads] | add // 0' "$1"
}

ids="uid $(id -u) gid $(id -g)"
listed='/: absolute bin broken dev etc proc sys tmp work
/work:'
started=$(
    for ((i = 0; i < 8; i++)); do
        echo "$listed"
    done
    echo "$ids"
    echo "$listed"
)
for n in 1 3; do
    on=$(plural $n node)
    expect "what is in there, on $on" 0 "$ids" '' -n $n --root root -- /bin/rooted look
    expect "PROGRAM by PATH, on $on" 0 "$ids" '' -n $n -E PATH=/nowhere:/bin --root root rooted look
    expect "PROGRAM by a link, on $on" 0 "$ids" '' -n $n --root=root -- /absolute/rooted look
    expect "the working directory, on $on" 0 "$listed" '' -n $n --root root --wdir /work -- ../bin/rooted names
    expect "programs, on $on" 0 "$started" '' -n $n --root root --wdir /work -- /bin/rooted start names
    expect "a thread becomes another program, on $on" 0 "$ids" '' -n $n --root root -- /bin/rooted become /usr/bin/env
    if [ "$(id -u)" = 0 ]; then
        mkdir -p inner/bin inner/proc inner/x
        cp root/bin/rooted inner/bin
        expect "root changes its root, on $on" 0 $'/: bin proc x\n/: bin proc x' '' -n $n --root root --volume inner:/bin/inner \
            --volume /proc:/bin/inner/proc -- /bin/rooted deeper /bin/inner
        rmdir root/bin/inner
        expect "root becomes a user, on $on" 0 '*uid 4711 gid 0' '' -n $n --root root --wdir / -- /bin/rooted drop
    fi
    expect "a volume, on $on" 0 '' '' -n $n --root root --volume data:/mnt/deep -- /bin/rooted write /mnt/deep/new
    [ "$(cat data/new)" = "written inside" ] && pass "$who: it is written outside, on $on" ||
        fail "$who: it is written outside, on $on" <err
    expect "a volume for reading only, on $on" 1 'Read-only file system' '' \
        -n $n --root root --volume "data:/mnt/deep:ro" -- /bin/rooted write /mnt/deep/other
    expect "a file as a volume, on $on" 0 '' '' \
        -n $n --root root --volume "data/new:/etc/passwd" -- /bin/rooted write /etc/passwd
    rm -rf data/new root/mnt root/etc/passwd
done
(
    cd outside/work || exit 1
    run_marked "$mark" 60 "$DQEMU_LAUNCH" --root ../../root --volume . -- /bin/rooted names
) >out 2>err </dev/null
[[ $(<out) == "/: "*$'\n'"$PWD/outside/work:" ]] && pass "$who: the same working directory, on a volume" ||
    cat out err | fail "$who: the same working directory, on a volume"

rm -rf root/mnt # where it was mounted, if not below /tmp

run -n 3 --stats=stats --root root -- /bin/rooted threads
if [ $status = 0 ] && [ "$(<out)" = "sum 21" ] && [ "$(threads_elsewhere stats)" -ge 3 ]; then
    pass "$who: threads on three nodes"
else
    { cat out err && jq -c '.nodes[]' stats; } | fail "$who: threads on three nodes"
fi
run -n 2 -D "$PWD/log.%d" -d page --root root -- /bin/rooted start names
[ $status = 0 ] && [ "$(find . -maxdepth 1 -name 'log.*' | wc -l)" -ge 3 ] &&
    pass "$who: logs of all programs are outside" || cat err | fail "$who: logs of all programs are outside"

run -n 2 --stats=stats --root root -- /bin/false_shared
if [ $status = 0 ] && jq -e '.pages | any(.what | startswith("falsely_shared (false_shared)"))' stats >why; then
    pass "$who: symbols of a program in the root"
else
    { cat out err && jq -c .pages stats; } | fail "$who: symbols of a program in the root"
fi
run -n 2 --cluster-children -v --root root --wdir /work -- /bin/rooted start names
if [ $status = 0 ] && [ "$(<out)" = "$started" ] && [ "$(grep -c '2 of 2 nodes are ready' err)" = 11 ] &&
    [ -z "$none" ]; then
    pass "$who: --cluster-children"
else
    { cat out err && echo "$none"; } | fail "$who: --cluster-children"
fi
run -n 2 --cluster-children -v --root root -- /bin/rooted become /usr/bin/env
[ $status = 0 ] && [ "$(<out)" = "$ids" ] && [ "$(grep -c '2 of 2 nodes are ready' err)" = 2 ] && [ -z "$none" ] &&
    pass "$who: --cluster-children, a thread becomes another program" ||
    cat out err | fail "$who: --cluster-children, a thread becomes another program"
expect "--wrap" 0 "$ids" '' -n 2 --wrap 'env NODE=%n' --root root -- /bin/rooted look

# Hosts that mean this machine to all but the launcher: only node 0 has the root.
mkdir bin
ln -s "$DQEMU_LAUNCH" bin/dqemu-launch
PATH=$PWD/bin:$PATH run --rsh 'env HOST=%h' --interface lo --prefix /nowhere --hosts n1,n2 --stats=stats \
    --log-dir logs --root root -- /bin/rooted threads
if [ $status = 0 ] && [ "$(<out)" = "sum 21" ] && [ "$(threads_elsewhere stats)" -ge 3 ]; then
    pass "$who: threads on several hosts"
else
    { cat out err && jq -c '.nodes[]' stats; } | fail "$who: threads on several hosts"
fi

# A system of which this user may change nothing.
if [ "$(id -u)" != 0 ]; then
    mkdir -p closed/bin closed/home closed/etc
    : >closed/etc/hosts
    cp root/bin/* closed/bin
    printf x >closed/file
    ln -s bin closed/link
    chmod 555 closed closed/*
    for n in 1 3; do
        on=$(plural $n node)
        expect "a root that cannot be written, on $on" 0 "$ids" '' -n $n --root closed -- /link/rooted look
        expect "what is in it, on $on" 0 '/: bin dev etc file home link proc sys tmp
/home/a/b:' '' -n $n --root closed --volume data/sub:/home/a/b --wdir /home/a/b -- /bin/rooted names
        expect "nothing is made in it, on $on" 1 'Read-only file system' '' \
            -n $n --root closed --volume data:/home/a/b -- /bin/rooted write /home/a/c
        expect "but in a volume, on $on" 0 '' '' \
            -n $n --root closed --volume data:/home/a/b -- /bin/rooted write /home/a/b/c
    done
    [ "$(cat data/c)" = "written inside" ] && [ "$(ls closed closed/home)" = "$(printf 'closed:\nbin\netc\nfile\nhome\nlink\n\nclosed/home:')" ] &&
        pass "$who: it is as it was" || ls -R closed | fail "$who: it is as it was"
fi

# ---- what cannot be

refused() { # NAME STATUS LINE ARGUMENT...
    local name=$1 want=$2 line=$3
    shift 3
    expect "$name" "$want" '' "dqemu: $line" "$@"
    [ "$(wc -l <err)" = 1 ] || fail "one line for: $name" <err
}
refused "no such program" 127 \
    "/bin/missing: no such file in the root $PWD/root; name a program that is there, or mount it with --volume" \
    --root root -- /bin/missing
refused "none in PATH" 127 "missing: no such program in the PATH /bin in the root $PWD/root; name its path there" \
    -E PATH=/bin --root root -- missing
refused "a script" 126 '/bin/script is a script for /bin/rooted names; *' --root root -- /bin/script
refused "no working directory" 125 "--wdir /missing: No such file or directory in the root $PWD/root; *" \
    --root root --wdir /missing -- /bin/rooted look
printf x >root/file
refused "no place for a volume" 125 "--root $PWD/root: cannot make /file/x there: Not a directory; *" \
    --root root --volume data:/file/x -- /bin/rooted look
refused "a directory on a file" 125 "--root $PWD/root: cannot mount /file there: *" \
    --root root --volume data:/file -- /bin/rooted look
if [ "$(id -u)" != 0 ]; then
    chmod 111 closed
    refused "a root that can be neither written nor read" 125 \
        "--root $PWD/closed: cannot make /proc there: Permission denied; make it, or run as who owns *" \
        --root closed -- /bin/rooted look
    chmod -R u+rwX closed
    # a user namespace in which no others may be made; its root gives up what it could do without one
    # shellcheck disable=SC2016 # for that shell
    unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces &&
        exec setpriv --bounding-set=-all --inh-caps=-all -- "$@"' sh \
        "$DQEMU_LAUNCH" -n 1 --root root -- /bin/rooted look >out 2>err
    status=$?
    if [ $status = 125 ] && [ "$(wc -l <err)" = 1 ] &&
        grep -q '^dqemu: --root needs a user namespace, .*sysctl user.max_user_namespaces=' err; then
        pass "$who: no user namespaces, and which setting forbids them"
    else
        { echo "status $status" && cat out err; } |
            fail "$who: no user namespaces, and which setting forbids them"
    fi
fi
expect "--check looks at the root" 0 '*' '' -n 2 --check --root root
refused "--check finds what is wrong with it" 127 '/bin/missing: no such file in the root *' \
    -n 2 --check --root root /bin/missing

echo "1..$point"
[ "$failed" = 0 ]
