#!/bin/bash
# Runs a command in N small virtual machines joined by soft RDMA.
#
# Each machine boots a stock Debian kernel with an RDMA device (soft-RoCE or
# siw) on eth0, sees this machine's root file system read-only, and has its
# own empty /tmp.  The machines share one layer-2 network that exists only
# inside a private network namespace; nothing can leave it.
#
# SPDX-License-Identifier: GPL-2.0-or-later
set -euo pipefail
shopt -s nullglob

usage() {
    cat <<'USAGE'
usage: vm.sh run [OPTION]... -- COMMAND [ARG]...
       vm.sh prepare [--driver siw]     fetch and build, boot nothing
       vm.sh clean                      remove the cache

Runs COMMAND as root in every machine and copies its output here, each line
prefixed with [vmN].  Exits with the first non-zero status of any machine;
124: out of time; 125: a machine failed before it could report a status.

  --vms N          number of machines (default 2)
  --driver D       rxe (default), siw, or none
  --timeout SEC    limit for the whole run, boot included (default 300)
  --grace SEC      once one machine failed, stop the others after this
                   long (default 10)
  --smp N          processors per machine (default 1)
  --mem MIB        memory per machine (default 512)
  --mtu BYTES      MTU of eth0 (default 1500; use 4200 for 4096-byte RoCE MTU)
  --cpu MODEL      QEMU processor model
  --accel A        tcg or kvm (default: kvm where it can run a stock kernel)
  --share DIR      DIR is writable in the machines, at its own path (may be
                   given several times)
  --env NAME=VAL   set a variable for COMMAND (may be given several times)
  --append TEXT    extra kernel command line
  --keep           keep the run directory (console logs) and name it
  -v, --verbose    say what takes how long

In a machine: VM_INDEX (1..N), VM_COUNT, VM_IP (10.77.0.$VM_INDEX), VM_DRIVER,
and VM_SHARED, a directory all machines and the host see, for rendezvous.
Names vm1..vmN resolve.  COMMAND starts once every machine is ready, in the
directory vm.sh was started in.

DQEMU_CACHE      what was downloaded and built is kept in its folder vm (default: build/cache)
DQEMU_VM_KERNEL  kernel package (default: what linux-image-amd64 depends on)
USAGE
}

die() { echo "vm.sh: $*" >&2; exit 125; }
say() { if [ -n "$verbose" ]; then echo "vm.sh: $*" >&2; fi; }

self=$(readlink -f "${BASH_SOURCE[0]}")
cache=${DQEMU_CACHE:-${self%/*}/../../build/cache}/vm
mkdir -p "$cache"
cache=$(readlink -f "$cache")
verbose=

# Modules the machines may load, beside what these depend on.
modules="virtio_pci virtio_net 9pnet_virtio 9p af_packet
    rdma_rxe rdma_ucm ib_umad crc32_generic crc32-pclmul
    libcrc32c crc32c_generic crc32c-intel
    sch_netem sch_tbf sch_prio veth dummy"

# ---------------------------------------------------------------- preparing

download() { # PACKAGE: to the current folder; with a list of packages that is too old, in two steps
    local apt=(apt-get -qq -o APT::Sandbox::User=root)
    "${apt[@]}" download "$1" 2>/dev/null ||
        { [ "$(id -u)" = 0 ] && "${apt[@]}" update && "${apt[@]}" download "$1"; }
}

# fetch PACKAGE DIR: unpack a Debian package under DIR without installing it.
fetch() {
    local dl=$cache/dl deb
    mkdir -p "$dl" "$2"
    (cd "$dl" && rm -f "${1}"_*.deb && download "$1") ||
        die "cannot download $1 (try apt-get update)"
    deb=("$dl/${1}"_*.deb)
    dpkg -x "${deb[0]}" "$2"
    rm -f "${deb[0]}"
}

kernel_package() {
    if [ -n "${DQEMU_VM_KERNEL:-}" ]; then
        echo "$DQEMU_VM_KERNEL"
    elif [ -s "$cache/kernel" ]; then    # keep to the one first fetched
        cat "$cache/kernel"
    else
        apt-cache depends linux-image-amd64 |
            sed -n 's/.*Depends: \(linux-image-[0-9][^ ]*\).*/\1/p' | head -n 1
    fi
}

# A bzImage holds a compressed ELF kernel.  QEMU can start the ELF file
# directly, which under emulation saves more time than the rest of the boot.
unpack_vmlinux() {
    local setup off len magic
    setup=$(od -An -tu1 -j497 -N1 "$1")
    off=$(od -An -tu4 -j584 -N4 "$1")
    len=$(od -An -tu4 -j588 -N4 "$1")
    off=$(((setup + 1) * 512 + off))
    magic=$(od -An -tx1 -j"$off" -N4 "$1" | tr -d ' ')
    case $magic in
    fd377a58) set -- "$1" "$2" xz -dc --single-stream ;;
    1f8b*) set -- "$1" "$2" gzip -dcq ;;
    28b52ffd) set -- "$1" "$2" zstd -dcq ;;
    *) cp "$1" "$2"; return ;;
    esac
    # the four bytes after the stream make some decompressors complain
    tail -c +$((off + 1)) "$1" | head -c "$len" | "${@:3}" >"$2.tmp" || :
    if [ "$(head -c 4 "$2.tmp" | od -An -tx1 | tr -d ' ')" = 7f454c46 ]; then
        mv "$2.tmp" "$2"
    else
        rm -f "$2.tmp"; cp "$1" "$2"
    fi
}

# Debian's kernels leave siw out (RDMA_SIW is not set), so build that one
# module from the same version's source, against the same version's headers.
build_siw() {
    local b=$kdir/build h src
    say "building siw.ko"
    rm -rf "$b"; mkdir -p "$b"
    local base=${kver%-*}            # 6.1.0-56-amd64 -> 6.1.0-56
    local minor
    minor=$(echo "$kver" | cut -d. -f1,2)
    fetch "linux-headers-$kver" "$b/h"
    fetch "linux-headers-$base-common" "$b/h"
    fetch "linux-kbuild-$minor" "$b/h"
    fetch "linux-source-$minor" "$b/s"
    src=linux-source-$minor
    mkdir -p "$b/src"
    tar -C "$b/src" -xJf "$b/s/usr/src/$src.tar.xz" "$src/drivers/infiniband/sw/siw"
    h=$b/h/usr/src/linux-headers-$kver
    sed -i "s#/usr/src/linux-headers#$b/h/usr/src/linux-headers#" "$h/Makefile"
    make -s -C "$h" M="$b/src/$src/drivers/infiniband/sw/siw" \
        CONFIG_RDMA_SIW=m modules >"$kdir/siw.log" 2>&1 ||
        die "building siw failed, see $kdir/siw.log"
    strip --strip-debug -o "$kdir/siw.ko" "$b/src/$src/drivers/infiniband/sw/siw/siw.ko"
    rm -rf "$b"
}

build_initramfs() {
    local r=$kdir/initramfs mods=$kdir/root/lib/modules/$kver m f wanted=
    rm -rf "$r"
    mkdir -p "$r"/{bin,sbin,dev,proc,sys,job,host,lib/modules/"$kver"}
    cp "$kdir/root/bin/busybox" "$r/bin/busybox"
    for m in sh mount mkdir cat chroot poweroff sleep ip modprobe grep hostname ls; do
        ln -s busybox "$r/bin/$m"
    done
    ln -s ../bin/busybox "$r/sbin/modprobe"    # where the kernel looks for it
    [ -s "$kdir/modules.dep" ] ||
        busybox_depmod -n "$kdir/root" >"$kdir/modules.dep"
    for m in $modules; do
        f=$(awk -F: -v m="/$m.ko" 'index($1, m) && $1 ~ /\.ko(\.xz)?$/ { print $1 $2; exit }' \
            "$kdir/modules.dep")
        wanted+=" $f"            # empty where the kernel has it built in
    done
    for f in $(printf '%s\n' $wanted | sort -u); do
        mkdir -p "$r/lib/modules/$kver/${f%/*}"
        cp "$mods/$f" "$r/lib/modules/$kver/$f"
    done
    if [ -s "$kdir/siw.ko" ]; then cp "$kdir/siw.ko" "$r/lib/modules/$kver/"; fi
    busybox_depmod "$r" 2>/dev/null
    guest_init >"$r/init"
    chmod +x "$r/init"
    # not compressed: unpacking costs more than reading, under emulation
    (cd "$r" && find . | "$kdir/root/bin/busybox" cpio -o -H newc 2>/dev/null) >"$kdir/initramfs.tmp"
    mv "$kdir/initramfs.tmp" "$kdir/initramfs.cpio"
    rm -rf "$r"
}

busybox_depmod() {    # [-n] ROOT
    local n=
    if [ "$1" = -n ]; then n=-n; shift; fi
    "$kdir/root/bin/busybox" depmod $n -b "$1" "$kver"
}

prepare() {
    local pkg
    mkdir -p "$cache"
    exec 9>"$cache/lock"
    flock 9
    pkg=$(kernel_package)
    [ -n "$pkg" ] || die "no linux-image-amd64 known to apt (try apt-get update)"
    kver=${pkg#linux-image-}
    kdir=$cache/$kver
    if [ ! -s "$kdir/vmlinux" ]; then
        say "fetching $pkg"
        fetch "$pkg" "$kdir/root"
        fetch busybox-static "$kdir/root"
        unpack_vmlinux "$kdir/root/boot/vmlinuz-$kver" "$kdir/vmlinux"
        echo "$pkg" >"$cache/kernel"
    fi
    if [ "$driver" = siw ] && [ ! -s "$kdir/siw.ko" ]; then
        build_siw
    fi
    if [ ! -s "$kdir/initramfs.cpio" ] || [ "$self" -nt "$kdir/initramfs.cpio" ] ||
        [ "$kdir/siw.ko" -nt "$kdir/initramfs.cpio" ]; then
        build_initramfs
    fi
    flock -u 9
    exec 9>&-
}

# ------------------------------------------------------- inside the machine

# VM_* come from the kernel command line: the kernel hands words it does not
# know to init as environment variables.
guest_init() {
    cat <<'INIT'
#!/bin/sh
export PATH=/bin:/sbin
finish() { echo "$1" >/job/rc.$VM_INDEX; poweroff -f; }
fail() { echo "vm.sh: $*" >>/job/out.$VM_INDEX; finish 125; }
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
modprobe -a virtio_pci 9p 9pnet_virtio virtio_net
o=trans=virtio,version=9p2000.L,msize=512000
mount -t 9p -o $o job /job || { echo "vm.sh: no job directory"; poweroff -f; }
mount -t 9p -o $o,ro,cache=loose host /host || fail "cannot mount the host's root"
mount -t proc proc /host/proc
mount -t sysfs sysfs /host/sys
mount -t devtmpfs dev /host/dev
mkdir -p /host/dev/pts /host/dev/shm
ln -s /proc/self/fd /host/dev/fd
mount -t devpts devpts /host/dev/pts
for d in /dev/shm /run /tmp /var/tmp; do mount -t tmpfs tmpfs /host$d; done
mkdir -p /host/run/vm
mount -o bind /job/shared /host/run/vm
i=0
while IFS= read -r d; do
    mkdir -p "/host$d"
    mount -t 9p -o $o "share$i" "/host$d" || fail "cannot mount $d"
    i=$((i + 1))
done </job/shares
IFS= read -r d </job/cwd
if [ ! -d "/host$d" ]; then        # it is under our own /tmp
    mkdir -p "/host$d"
    mount -t 9p -o $o,ro,cache=loose cwd "/host$d" || fail "cannot mount $d"
fi

hostname vm$VM_INDEX
cat /job/hosts >/host/run/hosts
mount -o bind /host/run/hosts /host/etc/hosts
ip link set lo up
ip link set eth0 mtu $VM_MTU up || fail "no eth0"
ip addr add $VM_IP/24 dev eth0
if [ "$VM_DRIVER" != none ]; then
    modprobe -a crc32_generic rdma_ucm $VM_RDMA_MODULE || fail "no $VM_RDMA_MODULE module"
    PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot /host \
        rdma link add ${VM_DRIVER}0 type $VM_DRIVER netdev eth0 ||
        fail "rdma link add failed"
    n=0
    until grep -q 4 /sys/class/infiniband/${VM_DRIVER}0/ports/1/state; do
        sleep 0.1
        n=$((n + 1))
        [ $n -lt 100 ] || fail "${VM_DRIVER}0 does not become active"
    done
fi

: >/job/ready.$VM_INDEX
n=1
while [ $n -le $VM_COUNT ]; do
    if [ -e /job/ready.$n ]; then n=$((n + 1)); else sleep 0.1; fi
done
VM_SHARED=/run/vm chroot /host /bin/bash /run/vm/.command \
    </dev/null >>/job/out.$VM_INDEX 2>&1
finish $?
INIT
}

# ------------------------------------------------------------------ running

cleanup() {
    local p
    for p in ${pids[@]+"${pids[@]}"}; do kill "$p" 2>/dev/null || :; done
    wait
    if [ -n "$keep" ]; then
        echo "vm.sh: kept $job" >&2
    else
        rm -rf "$job"
    fi
}

run() {
    local i p d n q net status=0 done_pid rc grace_pid='' left t0
    t0=$(date +%s%N)
    mkdir "$job/shared"
    chmod 1777 "$job/shared"
    {
        echo '127.0.0.1 localhost'
        for ((i = 1; i <= vms; i++)); do echo "10.77.0.$i vm$i"; done
    } >"$job/hosts"
    printf '%s' "$PWD" >"$job/cwd"
    echo >>"$job/cwd"
    : >"$job/shares"
    {
        echo 'export HOME=/tmp TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
        echo 'unset VM_RDMA_MODULE VM_MTU; ulimit -l unlimited'
        for d in ${envs[@]+"${envs[@]}"}; do printf 'export %q\n' "$d"; done
        printf 'cd %q && exec' "$PWD"
        printf ' %q' "$@"
        echo
    } >"$job/shared/.command"

    n=0
    local fs=(-virtfs "local,path=$job,mount_tag=job,security_model=none"
        -virtfs "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"
        -virtfs "local,path=$PWD,mount_tag=cwd,security_model=none,readonly=on,multidevs=remap")
    for d in ${shares[@]+"${shares[@]}"}; do
        echo "$d" >>"$job/shares"
        fs+=(-virtfs "local,path=$d,mount_tag=share$n,security_model=none,multidevs=remap")
        n=$((n + 1))
    done

    # our own network namespace (see main): a bridge with one tap per machine
    ip link set lo up
    ip link add br0 mtu "$mtu" type bridge forward_delay 0 mcast_snooping 0
    ip link set br0 up

    local rdma_module=$driver
    case $driver in rxe) rdma_module=rdma_rxe ;; none) rdma_module= ;; esac
    for ((i = 1; i <= vms; i++)); do
        : >"$job/out.$i"
        ip tuntap add "tap$i" mode tap
        ip link set "tap$i" mtu "$mtu" master br0 up
        net="tap,id=n0,ifname=tap$i,script=no,downscript=no"
        printf -v q '52:54:00:77:00:%02x' "$i"
        # event_idx: on a busy machine a network device under TCG stood still for good with it, its
        # queue full, while the rest of the virtual machine went on
        timeout -k 5 "$timeout" qemu-system-x86_64 \
            -machine q35 -accel "$accel" -cpu "$cpu" -smp "$smp" -m "$mem" \
            -nodefaults -no-user-config -display none -no-reboot \
            -serial "file:$job/console.$i" \
            -kernel "$kdir/vmlinux" -initrd "$kdir/initramfs.cpio" \
            -append "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check\
 VM_INDEX=$i VM_COUNT=$vms VM_IP=10.77.0.$i VM_DRIVER=$driver\
 VM_RDMA_MODULE=$rdma_module VM_MTU=$mtu $append" \
            -netdev "$net" -device "virtio-net-pci,netdev=n0,mac=$q,romfile=,event_idx=off" \
            "${fs[@]}" </dev/null >"$job/qemu.$i" 2>&1 &
        pids[i]=$!
        tail -n +1 -f -s 0.1 --pid=$! "$job/out.$i" 2>/dev/null |
            sed -u "s/^/[vm$i] /" &
        tails[i]=$!
    done

    left=$vms
    while [ "$left" -gt 0 ]; do
        rc=0
        wait -n -p done_pid "${pids[@]}" $grace_pid || rc=$?
        if [ "$done_pid" = "$grace_pid" ]; then
            grace_pid=
            for p in "${pids[@]}"; do kill "$p" 2>/dev/null || :; done
            continue
        fi
        for i in "${!pids[@]}"; do
            if [ "${pids[i]}" = "$done_pid" ]; then break; fi
        done
        unset "pids[i]"
        left=$((left - 1))
        wait "${tails[i]}" || :
        if [ -s "$job/rc.$i" ]; then
            read -r rc <"$job/rc.$i"
        elif [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
            echo "vm.sh: vm$i: not done after $timeout s" >&2
            rc=124
        elif [ "$status" != 0 ]; then
            echo "vm.sh: vm$i: stopped" >&2
            rc=$status
        else
            echo "vm.sh: vm$i ended without a status:" >&2
            tail -n 15 "$job/qemu.$i" "$job/console.$i" >&2 || :
            rc=125
        fi
        # a test that fails may have met a fault of the kernel's
        grep -E -A 25 'BUG:|Oops|general protection|soft lockup|rcu_sched|WARNING:' "$job/console.$i" |
            head -n 60 | sed "s/^/vm.sh: vm$i: /" >&2 || :
        say "vm$i: status $rc after $((($(date +%s%N) - t0) / 1000000)) ms"
        if [ "$rc" != 0 ] && [ "$status" = 0 ]; then
            status=$rc
            if [ "$left" -gt 0 ]; then
                sleep "$grace" &
                grace_pid=$!
            fi
        fi
    done
    if [ -n "$grace_pid" ]; then kill "$grace_pid" 2>/dev/null || :; fi
    return "$status"
}

# --------------------------------------------------------------------- main

vms=2 driver=rxe timeout=300 grace=10 smp=1 mem=512 mtu=1500 cpu='' accel='' append='' keep=''
shares=() envs=() pids=() tails=()
[ $# -gt 0 ] || { usage >&2; exit 125; }
action=$1
original=("$@")
shift
while [ $# -gt 0 ]; do
    case $1 in
    --vms | --driver | --timeout | --grace | --smp | --mem | --mtu | --cpu | --accel | --append)
        [ $# -gt 1 ] || die "$1 needs a value"
        printf -v "${1#--}" %s "$2"; shift ;;
    --share) [ -d "${2:-}" ] || die "--share needs a directory"
        shares+=("$(readlink -f "$2")"); shift ;;
    --env) envs+=("${2?}"); shift ;;
    --keep) keep=1 ;;
    -v | --verbose) verbose=1 ;;
    -h | --help) usage; exit 0 ;;
    --) shift; break ;;
    *) die "unknown option $1" ;;
    esac
    shift
done
case $driver in rxe | siw | none) ;; *) die "unknown driver $driver" ;; esac
case $vms in '' | *[!0-9]* | 0) die "--vms needs a number" ;; esac

case $action in
-h | --help | help) usage ;;
clean) rm -rf "$cache" ;;
prepare) prepare ;;
run)
    [ $# -gt 0 ] || die "no COMMAND"
    if [ -z "${DQEMU_VM_INSIDE:-}" ]; then
        for tool in qemu-system-x86_64 ip rdma unshare timeout; do
            PATH=$PATH:/usr/sbin:/sbin command -v $tool >/dev/null || die "no $tool"
        done
        prepare            # before the network goes away
        map=
        if [ "$(id -u)" != 0 ]; then map=-r; fi
        DQEMU_VM_INSIDE=1 exec unshare -n $map "$self" "${original[@]}"
    fi
    unset DQEMU_VM_INSIDE
    PATH=$PATH:/usr/sbin:/sbin
    prepare
    if [ -z "$accel" ]; then
        accel=tcg
        # kvm-pvm runs a stock kernel's own code by slow interpretation
        if [ -w /dev/kvm ] && [ ! -e /sys/module/kvm_pvm ]; then accel=kvm; fi
    fi
    if [ -z "$cpu" ]; then
        cpu=host
        if [ "$accel" = tcg ]; then cpu=max,la57=off; fi
    fi
    job=$(mktemp -d "${TMPDIR:-/tmp}/dqemu-vm.XXXXXX")
    trap cleanup EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    rc=0
    run "$@" || rc=$?
    exit "$rc"
    ;;
*) usage >&2; exit 125 ;;
esac
