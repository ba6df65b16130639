# bash completion for dqemu-launch                                          -*- shell-script -*-
#
# Options and tunables are what the launcher itself says (--help, --print-tunables), so that they
# are always those of the version at hand; only what their values may be is written here. Needs
# no other file: the package bash-completion loads this one when it is wanted, and it can be
# sourced by hand.
#
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash

# The words of the line up to the cursor, in `words`, with what bash splits at = and : put together
# again; the last one, perhaps empty, is the one to complete.
_dqemu_launch_words() {
    local i word glue=
    words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        # at the cursor, only what stands before it
        if [[ $i == "$COMP_CWORD" && -n $word ]]; then
            local before=${COMP_LINE:0:COMP_POINT}
            while [[ -n $word && $before != *"$word" ]]; do
                word=${word%?}
            done
        fi
        if [[ ${#words[@]} -gt 1 && ($word == [=:]* || -n $glue) ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        glue=
        [[ $word != *[=:] ]] || glue=1
    done
}

# Lines "LONG SHORT ARGUMENT" for the launcher's options: "--nodes -n N", "--verbose -v -",
# "--stats - [=FILE]".
_dqemu_launch_options() { # LAUNCHER
    "$1" --help 2>/dev/null | while IFS= read -r line; do
        [[ $line =~ ^\ {2,6}((-.),\ )?(--[a-z][a-z-]*)(\[=[^\ ]*\]|\ [^\ ]+)?(\ \ |$) ]] || continue
        printf '%s %s %s\n' "${BASH_REMATCH[3]}" "${BASH_REMATCH[2]:--}" "${BASH_REMATCH[4]:--}"
    done
}

_dqemu_launch_tunables() { # LAUNCHER
    "$1" --print-tunables 2>/dev/null | sed -n 's/^\([a-z][a-z_.]*=\).*/\1/p'
}

# Hosts that the user's ssh knows: not patterns, and not the names that it has hashed.
_dqemu_launch_hosts() {
    cat ~/.ssh/config /etc/ssh/ssh_config 2>/dev/null | awk '
        tolower($1) == "host" { for (i = 2; i <= NF; i++) if ($i !~ /[*?!]/) print $i }'
    cat ~/.ssh/known_hosts /etc/ssh/ssh_known_hosts 2>/dev/null | awk '
        /^[#@|]/ || NF < 3 { next }
        { n = split($1, name, ",")
          for (i = 1; i <= n; i++) {
              gsub(/^\[|\](:[0-9]+)?$/, "", name[i])
              if (name[i] !~ /[*?!:]/) print name[i]
          } }'
}

# Offers those of WORDS that begin with what follows the last comma of $value.
_dqemu_launch_list() { # WORDS
    local last=${value##*,} word
    for word in $(compgen -W "$1" -- "$last"); do
        COMPREPLY+=("${value%"$last"}$word")
    done
}

# Offers values for OPTION, of which $value is there already.
_dqemu_launch_value() { # OPTION LAUNCHER
    case $1 in
    --placement) mapfile -t COMPREPLY < <(compgen -W 'spread pack master-only' -- "$value") ;;
    --transport) mapfile -t COMPREPLY < <(compgen -W 'tcp rdma auto' -- "$value") ;;
    --bind-to) mapfile -t COMPREPLY < <(compgen -W 'core none' -- "$value") ;;
    -o | --option)
        _dqemu_launch_list "$(_dqemu_launch_tunables "$2")"
        [[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace 2>/dev/null
        ;;
    -H | --hosts)
        _dqemu_launch_list "$(_dqemu_launch_hosts)"
        compopt -o nospace 2>/dev/null
        ;;
    --interface)
        mapfile -t COMPREPLY < <(compgen -W "$(cd /sys/class/net 2>/dev/null && echo *)" -- "$value")
        ;;
    -x | --export)
        mapfile -t COMPREPLY < <(compgen -e -- "$value")
        compopt -o nospace 2>/dev/null
        ;;
    --wrap | --ssh | --rsh) mapfile -t COMPREPLY < <(compgen -c -- "$value") ;;
    --wdir | --prefix | --log-dir | --root | -L)
        mapfile -t COMPREPLY < <(compgen -d -- "$value")
        compopt -o filenames 2>/dev/null
        ;;
    --stats | --hostfile | --node-binary | --volume | -D | -plugin)
        mapfile -t COMPREPLY < <(compgen -f -- "$value")
        compopt -o filenames 2>/dev/null
        ;;
    esac
}

_dqemu_launch() {
    local launcher=${1/#\~\//$HOME/} words word value long short argument i emulator pending=
    local -A takes=() # option -> its argument
    local -a offered=()
    COMPREPLY=()
    _dqemu_launch_words
    while read -r long short argument; do
        offered+=("$long")
        takes[$long]=$argument
        [[ $short == - ]] || { offered+=("$short") && takes[$short]=$argument; }
    done < <(_dqemu_launch_options "$launcher")
    emulator='-L -E -U -0 -cpu -s -r -R -B -t -g -d -dfilter -D -p -tb-size -seed -trace -plugin'
    for word in $emulator; do
        takes[$word]=X
    done
    emulator+=' -strace -one-insn-per-tb -perfmap -jitdump'

    # Which word is the cursor's: an option, an option's value, the program, or its own?
    for ((i = 1; i < ${#words[@]} - 1; i++)); do
        word=${words[i]}
        if [[ -n $pending ]]; then
            pending=
        elif [[ $word == -- ]]; then
            i=$((i + 1))
            break
        elif [[ $word != -?* ]]; then
            break
        elif [[ ${takes[$word]:--} != - && ${takes[$word]} != \[* ]]; then
            pending=$word
        fi
    done
    word=${words[${#words[@]} - 1]} value=$word
    if [[ -n $pending ]]; then
        _dqemu_launch_value "$pending" "$launcher"
    elif [[ $i == $((${#words[@]} - 1)) && ${words[i - 1]} != -- && $word == --*=* ]]; then
        value=${word#*=}
        _dqemu_launch_value "${word%%=*}" "$launcher"
    elif [[ $i == $((${#words[@]} - 1)) && ${words[i - 1]} != -- && $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "${offered[*]} $emulator" -- "$word")
    else
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        compopt -o filenames 2>/dev/null
    fi

    # bash replaces only what follows the last = or : of the word
    local kept=${value%"${value##*[=:]}"}
    [[ -z $kept || $COMP_WORDBREAKS != *[=:]* ]] || COMPREPLY=("${COMPREPLY[@]#"$kept"}")
}

complete -F _dqemu_launch dqemu-launch
