# shellcheck shell=bash
# Slurm on a rack: the real daemons of Debian's packages, one slurmd on each host and slurmctld on
# h1, with munge between them. Sourced by lib.sh.
#
#   rack_slurm_up [K...]    start what is not running on those hosts (all), and wait until srun can
#                           use all hosts that are on; after rack_boot K: rack_slurm_up K
#
# A host is a machine of its own to Slurm by its name, addresses and folders. Control groups belong to
# the whole machine, so Slurm finds the processes of a job in /proc. Every host has four processors,
# whatever the machine has.
#
# SPDX-License-Identifier: GPL-2.0-or-later

# shellcheck disable=SC2154 # rack_hosts and rack_stdout are lib.sh's

rack_slurm_conf() {
    cat <<END
ClusterName=rack
SlurmctldHost=h1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/rack/slurmctld.pid
SlurmdPidFile=/run/rack/slurmd.pid
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=30
KillWait=2
SlurmdParameters=config_overrides
NodeName=h[1-$rack_hosts] CPUs=4 State=UNKNOWN
PartitionName=rack Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

# slurmd always loads a plugin for control groups; this one does nothing before it is asked to.
rack_slurm_cgroup_conf() {
    echo CgroupPlugin=cgroup/v1
}

# One host: its files, then whatever of its daemons is not there.
rack_slurm_start() { # K KEY
    rack_slurm_conf | rack_must "$1" tee /etc/slurm/slurm.conf >/dev/null
    rack_slurm_cgroup_conf | rack_must "$1" tee /etc/slurm/cgroup.conf >/dev/null
    # shellcheck disable=SC2016 # expanded by the inner shell
    rack_must "$1" bash -ec '
        runs() { [ -s "/run/rack/$1.pid" ] && kill -0 "$(cat "/run/rack/$1.pid")" 2>/dev/null; }
        install -d -o root -g root -m 700 /etc/munge /var/spool/munge
        install -d -m 755 /run/munge /var/spool/slurmd /var/spool/slurmctld
        rm -f /etc/munge/munge.key
        (umask 077 && echo "$1" >/etc/munge/munge.key)
        runs munged || munged --pid-file=/run/rack/munged.pid --log-file=/var/log/munged.log \
            --seed-file=/var/spool/munge/seed
        [ "$HOSTNAME" != h1 ] || runs slurmctld || slurmctld
        runs slurmd || slurmd' slurm "$2"
}

rack_slurm_ready() { # every host that is on is idle
    local k on=0
    for k in "${!rack_init[@]}"; do
        [ -z "${rack_init[k]}" ] || on=$((on + 1))
    done
    [ "$(rack_on 1 sinfo -h -N -t idle -o %N 2>/dev/null | wc -l)" = "$on" ]
}

rack_slurm_up() { # [K...]
    local k tool key='one secret for all hosts of a rack, which ends with it'
    for tool in slurmctld slurmd munged srun; do
        command -v "$tool" >/dev/null || bail_out "$tool is missing: run make deps"
    done
    [ $# -gt 0 ] || set -- "${!rack_init[@]}"
    for k; do
        rack_slurm_start "$k" "$key"
    done
    if await 30 rack_slurm_ready; then
        # the controller's helper, which writes no file of its own
        rack_must 1 bash -c 'pgrep -x slurmscriptd >/run/rack/slurmscriptd.pid'
        return 0
    fi
    {
        rack_on 1 sinfo -N -l 2>&1
        for k; do
            rack_log "$k" | tail -n 20
        done
    } | sed 's/^/# /' >&"$rack_stdout"
    bail_out "Slurm does not come up on the rack"
}
