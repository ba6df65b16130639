#!/bin/bash
# Completion in bash: what is offered for a line, and that it offers every option there is.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"
[ -x "$DQEMU_LAUNCH" ] || bail_out "$DQEMU_LAUNCH is missing: run make"

# shellcheck source=deploy/dqemu-launch.bash
. "$TOP/deploy/dqemu-launch.bash"
PATH=${DQEMU_LAUNCH%/*}:$PATH
export HOME=$SCRATCH/home
mkdir -p "$HOME/.ssh" "$SCRATCH/dir/sub"
cd "$SCRATCH/dir" || exit 1
touch prog 'a file' sub/inner

# What bash hands to the function for LINE with the cursor at its end: words split at blanks, = and
# : outside of quotes.
complete_line() { # LINE
    local line=$1 word="" char quote="" i
    COMP_LINE=$line COMP_POINT=${#line} COMP_WORDBREAKS=$' \t\n"\'><=;|&(:' COMP_WORDS=() COMPREPLY=()
    for ((i = 0; i < ${#line}; i++)); do
        char=${line:i:1}
        if [[ $char == \' ]]; then
            quote=$([[ -n $quote ]] || echo 1)
        fi
        if [[ -n $quote || $char != [\ =:] ]]; then
            word+=$char
            continue
        fi
        [[ -z $word ]] || COMP_WORDS+=("$word")
        word=
        [[ $char == ' ' ]] || COMP_WORDS+=("$char")
    done
    [[ -z $word && $line == *[=:] ]] || COMP_WORDS+=("$word")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _dqemu_launch dqemu-launch "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
}

offers() { # LINE WORD...: these and no others, in any order
    local line=$1 got want
    shift
    complete_line "$line"
    got=$(printf '%s\n' "${COMPREPLY[@]}" | sort)
    want=$(printf '%s\n' "$@" | sort)
    if [ "$got" = "$want" ]; then
        pass "'$line'"
    else
        fail "'$line'" < <(printf 'wanted:\n%s\noffered:\n%s\n' "$want" "$got")
    fi
}

offers_all() { # NAME LINE WORD...: these among others
    local name=$1 missing="" word
    complete_line "$2"
    shift 2
    for word in "$@"; do
        printf '%s\n' "${COMPREPLY[@]}" | grep -qxF -- "$word" || missing+=" $word"
    done
    if [ $# -gt 0 ] && [ -z "$missing" ]; then
        pass "$name"
    else
        fail "$name" <<<"not offered:$missing"
    fi
}

# ---- options

mapfile -t own < <(sed -nE "s/^X\([A-Z_]+, ('.'|0), \"([a-z-]+)\",.*/--\2/p" "$TOP/deploy/options.inc")
offers_all "every option of the launcher (${#own[@]})" "dqemu-launch -" "${own[@]}"
if [ "${#own[@]}" = "$(grep -c '^X(' "$TOP/deploy/options.inc")" ]; then
    pass "that was all of them"
else
    fail "that was all of them" < "$TOP/deploy/options.inc"
fi
mapfile -t letters < <(sed -nE "s/^X\([A-Z_]+, '(.)',.*/-\1/p" "$TOP/deploy/options.inc")
offers_all "their letters" "dqemu-launch -" "${letters[@]}"
mapfile -t passed < <(sed -n '/emulator_table\[\] = {/,/^};/p' "$TOP/deploy/options.c" |
    grep -oE '\{"[^"]+"' | sed 's/{"\(.*\)"/-\1/')
offers_all "every option of the emulator (${#passed[@]})" "dqemu-launch -" "${passed[@]}"
offers "dqemu-launch --pl" --placement
offers "dqemu-launch -n 3 --pl" --placement
offers "dqemu-launch --verbose --stats --pl" --placement
offers "dqemu-launch -L sub -strace --pl" --placement
offers "dqemu-launch --stats=x --pl" --placement
offers "dqemu-launch --wrap 'ip netns exec n%n' --pl" --placement

# ---- values

mapfile -t policies < <(sed -nE 's/^ *\[DQ_PLACEMENT_.*\] = "(.*)",/\1/p' "$TOP/dqemu/config.c")
offers "dqemu-launch --placement " "${policies[@]}"
offers "dqemu-launch --placement sp" spread
offers "dqemu-launch --placement=" "${policies[@]}"
offers "dqemu-launch --placement=p" pack
mapfile -t tunables < <("$DQEMU_LAUNCH" --print-tunables | grep -oE '^[a-z_.]+=')
offers_all "every tunable (${#tunables[@]})" "dqemu-launch -o " "${tunables[@]}"
offers "dqemu-launch --option hold" hold_us=
offers "dqemu-launch -o run_pages=3,hold" 3,hold_us=
offers "dqemu-launch --option=run_pages=3,hold" 3,hold_us=
offers "dqemu-launch -n " ""
offers "dqemu-launch -L s" sub
offers "dqemu-launch --stats=p" prog
offers "dqemu-launch --node-binary p" prog

# ---- those that need hosts, by name, whether this launcher has them or not

cat >"$HOME/.ssh/config" <<'END'
Host n1 n2 *.rack !n9
    User somebody
host head
END
cat >"$HOME/.ssh/known_hosts" <<'END'
# known
nas,10.0.0.7 ssh-ed25519 AAAA
[port.rack]:2222 ssh-ed25519 AAAA
|1|abc=|def= ssh-ed25519 AAAA
@cert-authority *.rack ssh-ed25519 AAAA
END
value_of() { # OPTION VALUE WORD...: what is offered for the option's value begins with these
    local option=$1 value=$2 missing="" word
    shift 2
    COMPREPLY=()
    _dqemu_launch_value "$option" dqemu-launch 2>/dev/null
    for word in "$@"; do
        printf '%s\n' "${COMPREPLY[@]}" | grep -qxF -- "$word" || missing+=" $word"
    done
    if [ -z "$missing" ]; then
        pass "$option '$value'"
    else
        fail "$option '$value'" < <(echo "not offered:$missing"; printf '%s\n' "${COMPREPLY[@]}")
    fi
}
value_of --hosts "" n1 n2 head nas port.rack 10.0.0.7
value_of -H "n1,he" "n1,head"
value_of --transport "" tcp rdma auto
value_of --bind-to "" core none
value_of --interface "" lo
value_of -x HOM HOME
value_of --wdir s sub
value_of --hostfile p prog
value_of --root s sub
value_of --volume p prog
value=
COMPREPLY=()
_dqemu_launch_value --hosts dqemu-launch
if printf '%s\n' "${COMPREPLY[@]}" | grep -E '[*|!@]'; then
    fail "no patterns and no hashes among hosts" < <(printf '%s\n' "${COMPREPLY[@]}")
else
    pass "no patterns and no hashes among hosts"
fi

# ---- the program, and what is its own

offers "dqemu-launch " prog 'a file' sub
offers "dqemu-launch -n 2 p" prog
offers "dqemu-launch -n 2 -- p" prog
offers "dqemu-launch -- -" ""
offers "dqemu-launch ./prog a" 'a file'
offers "dqemu-launch ./prog --pl" ""
offers "dqemu-launch ./prog --placement " prog 'a file' sub
offers "dqemu-launch ./prog sub/" sub/inner

if [ "$(bash --norc -c ". '$TOP/deploy/dqemu-launch.bash'; complete -p dqemu-launch")" = \
    "complete -F _dqemu_launch dqemu-launch" ]; then
    pass "bash knows whose completion it is"
else
    fail "bash knows whose completion it is" </dev/null
fi
PATH=/nosuch complete_line "dqemu-launch --pl"
if [ ${#COMPREPLY[@]} = 0 ]; then
    pass "without a launcher nothing is offered"
else
    fail "without a launcher nothing is offered" < <(printf '%s\n' "${COMPREPLY[@]}")
fi

echo "1..$point"
[ "$failed" = 0 ]
