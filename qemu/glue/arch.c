/*
 * What differs between instruction sets: how a system call's result gets into registers, as
 * each linux-user/<isa>/cpu_loop.c does it. Another instruction set adds its lines here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"

#if defined(TARGET_AARCH64)

#define SYSCALL_LENGTH 4 /* svc #0 */

void dq_arch_syscall_result(CPUArchState *env, abi_long ret)
{
    if (ret == -QEMU_ERESTARTSYS) {
        env->pc -= SYSCALL_LENGTH;
    } else if (ret != -QEMU_ESIGRETURN) {
        env->xregs[0] = ret;
    }
}

void dq_arch_syscall_interrupted(CPUArchState *env)
{
    env->pc += SYSCALL_LENGTH;
    env->xregs[0] = -TARGET_EINTR;
}

bool dq_arch_prctl_is_local(abi_long option)
{
    switch (option) {
    case 50: /* PR_SVE_SET_VL */
    case 51: /* PR_SVE_GET_VL */
    case 54: /* PR_PAC_RESET_KEYS */
    case 55: /* PR_SET_TAGGED_ADDR_CTRL */
    case 56: /* PR_GET_TAGGED_ADDR_CTRL */
    case 63: /* PR_SME_SET_VL */
    case 64: /* PR_SME_GET_VL */
        return true;
    default:
        return false;
    }
}

uint64_t dq_arch_beyond_head(CPUArchState *env)
{
    return env->tagged_addr_enable;
}

void dq_arch_set_beyond_head(CPUArchState *env, uint64_t value)
{
    env->tagged_addr_enable = value;
}

bool dq_arch_prctl_is_about_pointers(abi_long option)
{
    return option == 55; /* PR_SET_TAGGED_ADDR_CTRL */
}

/* Allocation tags live beside QEMU's page flags, in the process that runs the thread. */
bool dq_arch_page_is_masters(int page_flags)
{
    return page_flags & PAGE_MTE;
}

#else
#error "dqemu does not know this instruction set yet: see qemu/README.md"
#endif
