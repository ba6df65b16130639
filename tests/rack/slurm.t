#!/bin/bash
# In an allocation of Slurm a run needs no list of hosts: it takes those of the allocation and starts
# its nodes with srun, never with ssh. A job whose node dies says so and ends; a job that is cancelled leaves
# nothing on any host.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck source=tests/rack/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/rack/run.sh
. "$(dirname "$0")/run.sh"
time_limit 300
need_build
cd "$SCRATCH" || exit 1

guest=$GUESTS/big_sum
sum='big_sum: e296fc8f6dd3c57c'
in_path=(env PATH="$TOP/build:/usr/bin:/bin")

is() { # WHAT GOT WANTED
    [ "$2" = "$3" ] || { printf '%s is "%s", not "%s"\n' "$@"; return 1; }
}

# The hosts of nodes 0, 1, ... as --display-map has them.
map_of() { # FILE
    sed -n 's/^dqemu: node [0-9]*: host \([^,]*\), 10\.83\.0\.\([0-9]*\)$/\1=\2/p' "$1" | paste -sd ' '
}

allocated() { # MAP ARGUMENT... of salloc
    local map=$1
    shift
    rm -f out err
    rack_try 60 1 "${in_path[@]}" salloc -Q "$@" dqemu-launch --display-map "$guest" </dev/null >out 2>err
    status=$?
    [ "$status" = 0 ] && [ "$(<out)" = "$sum" ] || fails "the run has failed" || return
    is "the map" "$(map_of err)" "$map" || { story; return 1; }
    nothing_left
}

# Somebody to whom no administrator has given anything: the project's folder is at a place that he may
# reach, and he has a folder of his own.
user=65534 place=/mnt
give_user() {
    local k
    for k in 1 2 3 4; do
        rack_must $k mount --bind "$TOP" $place
        rack_must $k install -d -o $user -g $user /tmp/user
        [ ! -e /dev/userfaultfd ] || rack_must $k bash -ec '
            mknod -m 600 /run/rack/userfaultfd c $((16#$(stat -c %t /dev/userfaultfd))) \
                $((16#$(stat -c %T /dev/userfaultfd)))
            mount --bind /run/rack/userfaultfd /dev/userfaultfd'
    done
}

of_a_user() {
    rm -f out err
    rack_try 60 1 setpriv --reuid $user --regid $user --clear-groups \
        env -C /tmp/user HOME=/tmp/user USER=nobody LOGNAME=nobody PATH=$place/build:/usr/bin:/bin \
        salloc -Q -N 3 dqemu-launch -v --display-map --stats=stats $place/build/guests/big_sum \
        </dev/null >out 2>err
    status=$?
    [ "$status" = 0 ] && [ "$(<out)" = "$sum" ] || fails "the run has failed" || return
    is "the map" "$(map_of err)" "h1=1 h2=2 h3=3" || { story; return 1; }
    grep -q 'page faults of threads alone are served' err || fails "there was more than nothing" || return
    rack_on 1 jq -e '[.nodes[] | select(.node > 0) | .threads] | min > 0' /tmp/user/stats >/dev/null ||
        fails "threads have stayed at home" || return
    nothing_left
}

no_ssh() {
    local k
    for k in 1 2 3 4; do
        ! rack_on $k grep -q 'Accepted publickey' /var/log/sshd.log || { rack_log $k; return 1; }
    done
}

# ---- batch jobs; what they say goes to ./job

submit() { # ARGUMENT... of sbatch: $job is its number
    rack_on 1 rm -f /root/job.out
    job=$(rack_try 30 1 "${in_path[@]}" sbatch --parsable -o /root/job.out --open-mode=append "$@" </dev/null) ||
        { echo "sbatch has failed"; return 1; }
}

said() {
    rack_on 1 cat /root/job.out >job 2>/dev/null
}

job_says() { # LINE
    said
    grep -qxs -- "$1" job
}

state_of() {
    rack_on 1 scontrol show job "$job" | tr -s ' ' '\n' | sed -n 's/^JobState=//p'
}

job_has_ended() {
    case $(state_of) in
    COMPLETED | FAILED | CANCELLED | TIMEOUT | NODE_FAIL) ;;
    *) return 1 ;;
    esac
}

ends_as() { # STATE EXITCODE
    await 60 job_has_ended || { echo "the job does not end"; rack_on 1 scontrol show job "$job"; said; cat job; all_left; return 1; }
    said
    is "the job's state" "$(state_of)" "$1" || { cat job; return 1; }
    [ -z "${2:-}" ] || is "its status" "$(rack_on 1 scontrol show job "$job" | tr -s ' ' '\n' |
        sed -n 's/^ExitCode=//p')" "$2" || { cat job; return 1; }
    await 20 rack_clean || { all_left; return 1; }
}

example() {
    submit "$TOP/deploy/dqemu.sbatch" "$guest" && ends_as COMPLETED 0:0 || return
    is "the map" "$(map_of job)" "h1=1 h2=2 h3=3 h4=4" || { cat job; return 1; }
    grep -qx "$sum" job && grep -q '^dqemu: [0-9.]* s on 4 nodes$' job || { cat job; return 1; }
}

cat >busy.job <<'END'
#!/bin/bash
exec dqemu-launch --contact 3 -- "$@"
END
chmod +x busy.job

busy_job() {
    submit -N 3 /root/batch "$GUESTS/busy" 300 || return
    await 60 job_says "busy: all run" && return
    echo "the job does not run"
    rack_on 1 scontrol show job "$job"
    cat job
    return 1
}

node_dies() {
    local pids
    busy_job || return
    mapfile -t pids < <(of_role node 3)
    is "the number of nodes on h3" ${#pids[@]} 1 && kill -KILL "${pids[0]}" || return
    ends_as FAILED 125:0 || return
    is "the number of lines" "$(grep -c '^dqemu: ' job)" 1 || { cat job; return 1; }
    grep -qE '^dqemu: node 2 \(host h3, 10\.83\.0\.3\) was lost: killed by signal 9 \(host h3: last contact [0-9.]+ s ago\); .*; logs are in /tmp/dqemu-' job ||
        { cat job; return 1; }
}

cancelled() {
    busy_job || return
    rack_try 30 1 scancel "$job" </dev/null || return
    ends_as CANCELLED
}

host_dies() {
    busy_job || return
    rack_kill 3
    await 60 job_has_ended || { echo "the job does not end"; said; cat job; return 1; }
    said
    await 20 rack_clean || { all_left; return 1; }
    grep -q '^dqemu: node 2 (host h3, 10.83.0.3) was lost' job || [ "$(state_of)" = NODE_FAIL ] ||
        { state_of; cat job; return 1; }
}

rack_up 4
rack_slurm_up
rack_put 1 busy.job /root/batch
holds "salloc: the hosts of the allocation, one node each" allocated "h1=1 h2=2 h3=3" -N 3
holds "as many nodes as tasks were asked for" allocated "h1=1 h1=1 h2=2 h2=2" -N 2 --ntasks-per-node=2
holds "a launcher outside the allocation comes on top" allocated "h1=1 h3=3 h4=4" -N 2 -w h3,h4
holds "the example of a batch script" example
give_user
holds "a job of an ordinary user, to whom nothing was given" of_a_user
holds "a job whose node is killed says so and ends" node_dies
holds "a job that is cancelled leaves nothing" cancelled
holds "all without ssh" no_ssh
expect "outside of an allocation --hosts is needed" 0 "$sum" '' --hosts h1,h2 "$guest"
holds "a job of which a host dies ends" host_dies
done_testing
