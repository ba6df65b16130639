/*
 * What differs between instruction sets, and must be known when the glue is compiled. The rest is in
 * arch.c. qemu/README.md says how to add an instruction set.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_ARCH_H
#define DQEMU_ARCH_H

/*
 * DQ_ARCH_STATE: the first so many bytes of CPUArchState are the thread's own: registers, and nothing
 * that points into this process.
 *
 * DQ_ARCH_LONGEST_INSTRUCTION: the translator reads no further from the instruction's first byte.
 */
#if defined(TARGET_RISCV)
#define DQ_ARCH_STATE offsetof(CPUArchState, stimer) /* what follows is of whole machines */
#define DQ_ARCH_LONGEST_INSTRUCTION 4
#else
#define DQ_ARCH_STATE offsetof(CPUArchState, end_reset_fields)
#if defined(TARGET_X86_64)
#define DQ_ARCH_LONGEST_INSTRUCTION 16 /* 15; it is the next byte that says: too long */
#elif defined(TARGET_S390X)
#define DQ_ARCH_LONGEST_INSTRUCTION 6
#else
#define DQ_ARCH_LONGEST_INSTRUCTION 4
#endif
#endif

#endif
