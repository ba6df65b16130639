#!/bin/bash
# A remote shell without secrets, for the machines of tests/rdma: as light as can be, since
# these are slow. For dqemu-launch's --rsh.
#
#   rsh.sh serve PORT                   on each machine, until killed
#   rsh.sh HOST PORT COMMAND ARG...     runs that there, with this standard input and output
#
# The connection begins with a line that holds the folder and the command, quoted for a shell.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -u

case $1 in
serve)
    exec socat -lf/dev/null "TCP-LISTEN:$2,fork,reuseaddr" "EXEC:$0 run"
    ;;
run)
    IFS= read -r line || exit 1
    eval "$line"
    ;;
*)
    host=$1 port=$2
    shift 2
    exec {peer}<>"/dev/tcp/$host/$port" || exit 255
    { printf 'cd %q && exec' "$PWD" && printf ' %q' "$@" && echo; } >&"$peer"
    # The end of our input ends that of the command; its end is ours, whatever might still come.
    socat -u - "FD:$peer,shut-down" <&0 &
    socat -u "FD:$peer,shut-none" -
    kill $! 2>/dev/null
    ;;
esac
