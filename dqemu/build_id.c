/*
 * The build id, alone in a file: it changes with every other file.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/build_id.h"

#include "dqemu-buildid.h"

const char dq_build_id[] = DQ_BUILD_ID;
