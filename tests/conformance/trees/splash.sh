# shellcheck shell=bash
# SPLASH-3: its programs, with inputs of a second or so. They have threads themselves (trees.sh).
# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck disable=SC2034,SC2154 # trees.sh uses and sets variables

# name, folder, program, what is compared, arguments. Two do not print the same twice under plain QEMU:
# radiosity says how often threads met, and volrend writes a byte into its images that it never set.
table="
barnes          apps/barnes                          BARNES          output  <small
fmm             apps/fmm                             FMM             output  <inputs/input.4.256
ocean           apps/ocean/contiguous_partitions     OCEAN           output  -p4 -n34
ocean-non       apps/ocean/non_contiguous_partitions OCEAN           output  -p4 -n34
radiosity       apps/radiosity                       RADIOSITY       status  -p 4 -ae 5000 -bf 0.1 -en 0.05 -test -batch
raytrace        apps/raytrace                        RAYTRACE        output  -p4 -m64 inputs/teapot.env
volrend         apps/volrend                         VOLREND         status  4 inputs/head-scaleddown4 4
water-nsquared  apps/water-nsquared                  WATER-NSQUARED  output  <small
water-spatial   apps/water-spatial                   WATER-SPATIAL   output  <small
cholesky        kernels/cholesky                     CHOLESKY        output  -p4 -t <inputs/lshp.O
fft             kernels/fft                          FFT             output  -p4 -m12 -t -l5 -n1024
lu              kernels/lu/contiguous_blocks         LU              output  -p4 -n128 -t
lu-non          kernels/lu/non_contiguous_blocks     LU              output  -p4 -n128 -t
radix           kernels/radix                        RADIX           output  -p4 -n65536 -t
"

# One program, in a copy of the tree: its Makefiles build in place.
build() { # FOLDER
    local host=${cc%gcc}
    # a table that a program of the library makes when it is built
    [ "$1" != apps/volrend ] || make -s -C "$1/libtiff" CC='gcc -w' g3states.h
    make -s -C "$1" CC="$cc -static -w" TOOLCHAIN_PREFIX="$host"
}

# smaller than the inputs that it has
small_input() { # NAME
    case $1 in
    barnes) sed 's/^16384$/1024/' inputs/n16384-p4 >small ;;
    water-*) sed 's/512  3   6/64  3   6/' inputs/n512-p4 >small ;;
    esac
}

all_lines() {
    local name folder program compare arguments
    while read -r name folder program compare arguments; do
        [[ -n $name && splash/$name =~ $pattern ]] || continue
        if { build "$folder" && (cd "$folder" && small_input "$name"); } >&2; then
            echo "splash/$name tree - 3 300 $compare inputs $folder && splash $folder/$program $arguments"
        else
            echo "splash/$name" >>"$out/failed"
        fi
    done <<<"$table"
}

prepare() {
    [ -e "$out/codes" ] || cp -r "$tree/codes" "$out/codes"
    cd "$out/codes" || exit
}
