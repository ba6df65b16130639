#!/bin/bash
# The sources keep their form: format, static checks, shell scripts, and the rules of the layers.
# What a tool objects to is shown on stderr.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")/../.."

mapfile -t sources < <(find proto dqemu master slave deploy qemu/glue tests -name '*.[ch]' | sort)
mapfile -t units < <(find proto dqemu master slave deploy -name '*.c' | sort)
mapfile -t scripts < <({
    find tests qemu deploy \( -name '*.sh' -o -name '*.t' -o -name '*.bash' -o -name '*.sbatch' \) -type f
    find .ci -type f
} | sort | while read -r f; do
    ! head -n 12 "$f" | grep -qE '^#!.*\b(ba|)sh\b|shellcheck shell=' || echo "$f"
done)
read -ra flags < <(pkg-config --cflags glib-2.0 gnutls jansson libevent_core)
flags+=(-std=gnu11 -D_GNU_SOURCE -I. -Ibuild)

n=0
check() { # NAME COMMAND...
    local name=$1 said
    shift
    n=$((n + 1))
    if said=$("$@" 2>&1); then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        head -n 60 <<<"$said" | sed 's/^/# /' >&2
    fi
}

format() { clang-format --dry-run -Werror "${sources[@]}"; }

# Suppressed: what cppcheck says of tables made by macros, and of functions that do not return.
static_checks() {
    cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -j "$(nproc)" \
        --enable=warning,portability -D_GNU_SOURCE -I. --suppress=danglingLifetime \
        --suppress=incorrectStringBooleanError --suppress=nullPointerRedundantCheck \
        --suppress=nullPointerArithmeticRedundantCheck \
        --suppress=compareBoolExpressionWithInt \
        "${units[@]}"
}

tidy() {
    printf '%s\n' "${units[@]}" | nice timeout 600 xargs -P "$(nproc)" -n 3 \
        bash -c 'n=$1; shift; exec clang-tidy --quiet "${@:n+1}" -- "${@:1:n}"' \
        tidy "${#flags[@]}" "${flags[@]}"
}

echo 1..5
check "C sources are as clang-format leaves them (make fmt)" format
check "shellcheck is content" shellcheck -x -S warning "${scripts[@]}"
check "the folders depend in one direction, and the series is short" tests/lint/deps.sh
check "cppcheck is content" static_checks
check "clang-tidy is content" tidy
