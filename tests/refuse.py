#!/usr/bin/env python3
"""Run a command to which the kernel refuses something: refuse.py WHAT COMMAND...

protected-memory  to read its own protected memory, as under proc_mem.force_override=never (Linux
                  6.12), which no machine is booted with for a test: reads of one byte at a place, by
                  which a node finds that out, fail with EIO
userfaultfd       the system call and (not here: a user who may not open it) the device, as in many
                  containers

SPDX-License-Identifier: GPL-2.0-or-later
"""

import ctypes
import errno
import os
import struct
import sys

MACHINE = os.uname().machine
PREAD64 = {"x86_64": 17, "aarch64": 67, "riscv64": 67}[MACHINE]
USERFAULTFD = {"x86_64": 323, "aarch64": 282, "riscv64": 282}[MACHINE]
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO = 0x7FFF0000, 0x00050000
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
NUMBER, LENGTH = 0, 16 + 2 * 8  # in struct seccomp_data; the length's lower half

RULES = {
    "protected-memory": (
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 0, 3, PREAD64),
        (LOAD, 0, 0, LENGTH),
        (JUMP_IF_EQUAL, 0, 1, 1),
        (RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.EIO),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW),
    ),
    "userfaultfd": (
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_EQUAL, 0, 1, USERFAULTFD),
        (RETURN, 0, 0, SECCOMP_RET_ERRNO | errno.EPERM),
        (RETURN, 0, 0, SECCOMP_RET_ALLOW),
    ),
}
filters = b"".join(struct.pack("=HBBI", *instruction) for instruction in RULES[sys.argv[1]])


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filters", ctypes.c_char_p)]


libc = ctypes.CDLL(None, use_errno=True)
program = Program(len(filters) // 8, filters)
if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
    PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)
):
    sys.exit(f"refuse.py: {os.strerror(ctypes.get_errno())}")
os.execvp(sys.argv[2], sys.argv[2:])
