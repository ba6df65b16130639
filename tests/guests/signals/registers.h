/*
 * Registers by name, for guests about signals: one place for each instruction set.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef GUEST_REGISTERS_H
#define GUEST_REGISTERS_H

#include <ucontext.h>

#include "guest.h"

/* Leaves garbage in registers that a handler may use: integer, floating-point or vector, and flags. */
static inline void scramble_registers(uint64_t junk)
{
#if defined(__aarch64__)
    __asm__ volatile("dup v0.2d, %0\n\tdup v1.2d, %0\n\tdup v2.2d, %0\n\tdup v7.2d, %0\n\t"
                     "dup v8.2d, %0\n\tdup v15.2d, %0\n\tdup v16.2d, %0\n\tdup v31.2d, %0\n\t"
                     "mov x9, %0\n\tmov x10, %0\n\tmov x11, %0\n\tmov x12, %0\n\tmov x15, %0\n\t"
                     "mov x17, %0\n\tmsr nzcv, %1"
                     :
                     : "r"(junk), "r"((junk % 16) << 28)
                     : "v0", "v1", "v2", "v7", "v8", "v15", "v16", "v31", "x9", "x10", "x11", "x12",
                       "x15", "x17", "cc");
#elif defined(__arm__)
    __asm__ volatile("vmov d0, %0, %0\n\tvmov d1, %0, %0\n\tvmov d7, %0, %0\n\tvmov d8, %0, %0\n\t"
                     "vmov d15, %0, %0\n\tmov r4, %0\n\tmov r8, %0\n\tmov r12, %0\n\t"
                     "msr apsr_nzcvq, %1"
                     :
                     : "r"((uint32_t)junk), "r"((uint32_t)junk << 28)
                     : "d0", "d1", "d7", "d8", "d15", "r4", "r8", "r12", "cc");
#elif defined(__riscv)
    __asm__ volatile("fmv.d.x f0, %0\n\tfmv.d.x f1, %0\n\tfmv.d.x f8, %0\n\tfmv.d.x f10, %0\n\t"
                     "fmv.d.x f15, %0\n\tfmv.d.x f31, %0\n\tmv t0, %0\n\tmv t3, %0\n\tmv t6, %0\n\t"
                     "mv s5, %0\n\tfsflags %0"
                     :
                     : "r"(junk)
                     : "f0", "f1", "f8", "f10", "f15", "f31", "t0", "t3", "t6", "s5");
#elif defined(__s390x__)
    __asm__ volatile("ldgr %%f0, %0\n\tldgr %%f1, %0\n\tldgr %%f8, %0\n\tldgr %%f15, %0\n\t"
                     "lgr %%r1, %0\n\tlgr %%r5, %0\n\tlgr %%r9, %0\n\tltgr %%r1, %%r1"
                     :
                     : "d"(junk)
                     : "f0", "f1", "f8", "f15", "r1", "r5", "r9", "cc");
#elif defined(__x86_64__)
    __asm__ volatile("movq %0, %%xmm0\n\tmovq %0, %%xmm1\n\tmovq %0, %%xmm7\n\tmovq %0, %%xmm15\n\t"
                     "fldpi\n\tfstp %%st(0)\n\tmov %0, %%r8\n\tmov %0, %%r11\n\tmov %0, %%rbx\n\t"
                     "mov %0, %%r15\n\tcmp $1, %%r8"
                     :
                     : "r"(junk)
                     : "xmm0", "xmm1", "xmm7", "xmm15", "st", "r8", "r11", "rbx", "r15", "cc");
#else
#error "registers.h does not know this instruction set"
#endif
}

/* In a ucontext: where it was interrupted, and one register that belongs to no purpose. */
#if defined(__aarch64__)
#define CONTEXT_PC(uc) (uc)->uc_mcontext.pc
#define CONTEXT_REGISTER(uc) (uc)->uc_mcontext.regs[9]
#define SPARE_REGISTER "x9"
#elif defined(__arm__)
#define CONTEXT_PC(uc) (uc)->uc_mcontext.arm_pc
#define CONTEXT_REGISTER(uc) (uc)->uc_mcontext.arm_r8
#define SPARE_REGISTER "r8"
#elif defined(__riscv)
#define CONTEXT_PC(uc) (uc)->uc_mcontext.__gregs[REG_PC]
#define CONTEXT_REGISTER(uc) (uc)->uc_mcontext.__gregs[28]
#define SPARE_REGISTER "t3"
#elif defined(__s390x__)
#define CONTEXT_PC(uc) (uc)->uc_mcontext.psw.addr
#define CONTEXT_REGISTER(uc) (uc)->uc_mcontext.gregs[9]
#define SPARE_REGISTER "r9"
#elif defined(__x86_64__)
#define CONTEXT_PC(uc) (uc)->uc_mcontext.gregs[REG_RIP]
#define CONTEXT_REGISTER(uc) (uc)->uc_mcontext.gregs[REG_R9]
#define SPARE_REGISTER "r9"
#endif

/*
 * An illegal instruction, its length, and how far behind its address a handler finds the program;
 * before and after it, the assembly that sets and reads the spare register and the stack pointer.
 */
#if defined(__aarch64__)
#define ILLEGAL "udf #0"
#define ILLEGAL_LENGTH 4
#define SET_111 "mov x9, #111"
#define GET_REGISTER(to) "mov " to ", x9"
#define GET_STACK(to) "mov " to ", sp"
#elif defined(__arm__)
#define ILLEGAL "udf #0"
#ifdef __thumb__
#define ILLEGAL_LENGTH 2
#else
#define ILLEGAL_LENGTH 4
#endif
#define SET_111 "mov r8, #111"
#define GET_REGISTER(to) "mov " to ", r8"
#define GET_STACK(to) "mov " to ", sp"
#elif defined(__riscv)
#define ILLEGAL ".4byte 0xc0001073" /* a write to a register that is only read */
#define ILLEGAL_LENGTH 4
#define SET_111 "li t3, 111"
#define GET_REGISTER(to) "mv " to ", t3"
#define GET_STACK(to) "mv " to ", sp"
#elif defined(__s390x__)
#define ILLEGAL ".short 0"
#define ILLEGAL_LENGTH 2
#define ILLEGAL_BEHIND 2
#define SET_111 "lghi %%r9, 111"
#define GET_REGISTER(to) "lgr " to ", %%r9"
#define GET_STACK(to) "lgr " to ", %%r15"
#elif defined(__x86_64__)
#define ILLEGAL "ud2"
#define ILLEGAL_LENGTH 2
#define SET_111 "mov $111, %%r9"
#define GET_REGISTER(to) "mov %%r9, " to
#define GET_STACK(to) "mov %%rsp, " to
#endif
#ifndef ILLEGAL_BEHIND
#define ILLEGAL_BEHIND 0
#endif

#endif
