# shellcheck shell=bash
# Filters of ImageMagick, which works with OpenMP's threads; only the pixels are kept.
# SPDX-License-Identifier: GPL-2.0-or-later
export OMP_NUM_THREADS=4 MAGICK_CONFIGURE_PATH=$SYSROOT/etc/ImageMagick-6
modules=$(echo "$SYSROOT"/usr/lib/aarch64-linux-gnu/ImageMagick-*/modules-Q16)
export MAGICK_CODER_MODULE_PATH=$modules/coders MAGICK_CODER_FILTER_PATH=$modules/filters
for filter in "-blur 0x3" "-resize 50%" "-rotate 17"; do
    # shellcheck disable=SC2086 # an option and its value
    guest convert-im6.q16 -size 256x256 gradient:red-blue $filter -depth 8 rgb:"${filter%% *}.rgb" || exit
done
