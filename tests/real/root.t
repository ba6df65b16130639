#!/bin/bash
# A Debian system as the program's root: dynamically linked programs, and a shell script that starts
# others, without anything of the machine but what is mounted there.
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/real/lib.sh
. "$(dirname "$0")/lib.sh"
need_programs usr/bin/sort usr/bin/pigz usr/bin/dash usr/share/base-files
enter_scratch
mark=$$-real-root
if [ "$(id -u)" != 0 ] && ! unshare --user --mount true 2>why; then
    echo "1..0 # SKIP no user namespaces here: $(<why)"
    exit 0
fi

run() { # ARGUMENT...: in ./dqemu, with ./data in the root as /data
    rm -rf dqemu && mkdir dqemu
    (cd dqemu && run_marked $mark 120 "$DQEMU_LAUNCH" -n "$NODES" --stats=../stats --root "$SYSROOT" \
        --volume ../data:/data "$@") >out 2>err </dev/null
    status=$?
}
says() { # TEXT
    echo "status $status" && head -n 20 err && diff <(printf '%s\n' "$1") out && [ $status = 0 ] &&
        check_none_left $mark
}
mkdir data
make_text 200000 >data/text

run -- pigz -p 4 -c /data/text
check "pigz, found by PATH" cmp <(gzip -dc out) data/text
check "its threads ran elsewhere" test "$(threads_elsewhere stats)" -ge 2

cat >data/script <<'END'
#!/bin/sh
cd /data
echo "$0 $*"
sort --parallel=4 -S 64M text | tee sorted | wc -l
for i in 1 2 3; do
    dash -c "echo \$((i * $i)); exit $i" || echo "status $?"
done
./script_of_script again | cat
[ "$(cat /proc/1/comm)" ] && [ -c /dev/null ] && [ -w /tmp ] && echo mounted
test -e /usr/bin/dash && test ! -e "$1" && echo inside
END
printf '#!/usr/bin/env dash\necho "env: $0 $*"\n' >data/script_of_script
chmod +x data/script*
lines=$(wc -l <data/text)
run -- sh /data/script "$TOP/Makefile"
check "a shell script that starts programs" says "/data/script $TOP/Makefile
$lines
0
status 1
0
status 2
0
status 3
env: ./script_of_script again
mounted
inside"
check "what it has sorted is outside" cmp data/sorted <(sort data/text)
done_testing
