#!/bin/bash
# fabric.sh N TOP DIR: first process of a rack (lib.sh starts it as init of a PID namespace, with
# network and mount namespaces of its own). It makes the switch, and the disks of the N hosts on a
# tmpfs at /mnt, by way of the empty folder DIR; says its process number on descriptor 8; and then
# only collects orphans. With it ends the rack.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
hosts=$1 top=$2 disks=$3
# /proc is still the machine's, so this is the number by which the machine knows us
read -r pid _ </proc/self/stat

mount --make-rprivate /
# the sources may lie below a folder that is about to be covered: they are kept aside
mount -t tmpfs -o mode=755 rack "$disks"
mkdir "$disks/top"
mount --rbind "$top" "$disks/top"
mount --move "$disks" /mnt

ip -batch - <<END
link set lo up
link add fabric type bridge forward_delay 0 mcast_snooping 0
link set fabric up
END

cd /mnt
ssh-keygen -q -t ed25519 -N '' -C root@rack -f key
cp -a /etc etc
rm -f etc/resolv.conf etc/hosts etc/hostname etc/ssh/ssh_host_* etc/nologin
: >etc/resolv.conf
echo 'hosts: files' >>nsswitch
sed '/^hosts:/d' etc/nsswitch.conf >>nsswitch
mv nsswitch etc/nsswitch.conf
# sshd lets nobody into a locked account
sed -i 's/^root:[^:]*:/root:*:/' etc/shadow
sed -i 's,^root:.*,root:x:0:0:root:/root:/bin/bash,' etc/passwd
echo '127.0.0.1 localhost' >etc/hosts
for k in $(seq "$hosts"); do
    echo "10.83.0.$k h$k" >>etc/hosts
done
cat >etc/ssh/sshd_config <<'END'
ListenAddress 0.0.0.0
HostKey /etc/ssh/host_key
PidFile /run/rack/sshd.pid
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
PrintMotd no
PrintLastLog no
MaxStartups 200
LogLevel VERBOSE
END
cat >config <<'END'
BatchMode yes
StrictHostKeyChecking yes
IdentityFile ~/.ssh/key
END

for k in $(seq "$hosts"); do
    mkdir -p "h$k"/{root/.cache,var/{tmp,log,spool}}
    chmod 1777 "h$k/var/tmp"
    cp -a etc "h$k/etc"
    echo "h$k" >"h$k/etc/hostname"
    ssh-keygen -q -t ed25519 -N '' -C "h$k" -f "h$k/etc/ssh/host_key"
    echo "h$k,10.83.0.$k $(cut -d ' ' -f 1,2 "h$k/etc/ssh/host_key.pub")" >>known_hosts
done
for k in $(seq "$hosts"); do
    install -d -m 700 "h$k/root" "h$k/root/.ssh"
    cp -p key key.pub config known_hosts "h$k/root/.ssh/"
    cp key.pub "h$k/root/.ssh/authorized_keys"
done

mkfifo idle
exec 3<>idle
echo "$pid" >&8
exec 8>&-
# bash collects any child that ends while it waits here
while :; do
    read -r <&3 || true
done
