/*
 * What differs between instruction sets: how a system call's result gets into registers, as
 * each linux-user/<isa>/cpu_loop.c does it, and what else only one of them has. Another instruction
 * set adds its lines here and in arch.h; qemu/README.md has the list.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "dqemu/translate.h"

/*
 * Per instruction set: SYSCALL_LENGTH, of the instruction that the thread has just executed; PC and
 * RESULT, where the next instruction's address and a system call's result are.
 */
#if defined(TARGET_AARCH64)
#define SYSCALL_LENGTH(env) 4 /* svc #0 */
#define PC(env) (env)->pc
#define RESULT(env) (env)->xregs[0]
#elif defined(TARGET_ARM)
#define SYSCALL_LENGTH(env) ((env)->thumb ? 2 : 4) /* svc #0 */
#define PC(env) (env)->regs[15]
#define RESULT(env) (env)->regs[0]
#elif defined(TARGET_RISCV)
#define SYSCALL_LENGTH(env) 4 /* ecall */
#define PC(env) (env)->pc
#define RESULT(env) (env)->gpr[xA0]
#elif defined(TARGET_S390X)
#define SYSCALL_LENGTH(env) (env)->int_svc_ilen /* svc, or execute of one */
#define PC(env) (env)->psw.addr
#define RESULT(env) (env)->regs[2]
#elif defined(TARGET_X86_64)
#define SYSCALL_LENGTH(env) 2 /* syscall, int $0x80 */
#define PC(env) (env)->eip
#define RESULT(env) (env)->regs[R_EAX]
#else
#error "dqemu does not know this instruction set yet: see qemu/README.md"
#endif

void dq_arch_syscall_result(CPUArchState *env, abi_long ret)
{
    if (ret == -QEMU_ERESTARTSYS) {
        PC(env) -= SYSCALL_LENGTH(env);
    } else if (ret != -QEMU_ESIGRETURN) {
        RESULT(env) = ret;
    }
}

void dq_arch_syscall_interrupted(CPUArchState *env)
{
    PC(env) += SYSCALL_LENGTH(env);
    RESULT(env) = -TARGET_EINTR;
}

/* ---------------------------------------------------------------- calls about registers */

#if defined(TARGET_AARCH64)

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

#else

bool dq_arch_prctl_is_local(abi_long option)
{
    return false;
}

bool dq_arch_prctl_is_about_pointers(abi_long option)
{
    return false;
}

#if defined(TARGET_ARM)

/* Whether its system calls are those of the newer ABI. */
uint64_t dq_arch_beyond_head(CPUArchState *env)
{
    return env->eabi;
}

void dq_arch_set_beyond_head(CPUArchState *env, uint64_t value)
{
    env->eabi = value;
}

#else

uint64_t dq_arch_beyond_head(CPUArchState *env)
{
    return 0;
}

void dq_arch_set_beyond_head(CPUArchState *env, uint64_t value) {}

#endif
#endif

bool dq_arch_syscall_is_local(int num)
{
#if defined(TARGET_X86_64)
    return num == TARGET_NR_arch_prctl; /* the bases of two segments */
#else
    return false;
#endif
}

bool dq_arch_syscall_is_masters(int num)
{
#if defined(TARGET_X86_64)
    return num == TARGET_NR_modify_ldt; /* QEMU has the table's address in a variable of its own */
#else
    return false;
#endif
}

/* ---------------------------------------------------------------- memory */

bool dq_arch_page_is_masters(int page_flags)
{
#if defined(TARGET_AARCH64)
    return page_flags & PAGE_MTE; /* tags live beside QEMU's page flags, in one process */
#else
    return false;
#endif
}

/*
 * x86: QEMU maps a table of segments for each thread, in the guest's memory. With 64 bits nothing
 * ever changes in it, and the calls that would are not there; so the threads of a cluster share the
 * first one's, wherever they are, and no thread that ends takes it along.
 */
bool dq_cpu_shares_tables(CPUState *parent)
{
    static bool shared; /* for good: a forked child has inherited shared tables */

    shared |= dq_config.nodes > 1;
    if (shared) {
        OBJECT(parent)->free = g_free;
    }
    return shared;
}

/* x86: calls into the kernel's vsyscall page are emulated; that page is above all others. */
static vaddr page_beyond; /* 0: there is none */

bool dq_is_beyond(vaddr addr)
{
    return page_beyond && (addr & TARGET_PAGE_MASK) == page_beyond;
}

bool dq_page_beyond(vaddr page, int flags)
{
    unsigned long reserved = reserved_va;

    if (dq_config.nodes == 1) {
        return false;
    }
    reserved_va = 0; /* or it would be refused; the process has one thread still */
    page_set_flags(page, page | ~TARGET_PAGE_MASK, flags);
    reserved_va = reserved;
    page_beyond = page;
    return true;
}

/* ---------------------------------------------------------------- Arm's kernel helpers */

void dq_helper_lock(void)
{
    if (dq_config.nodes == 1) {
        mmap_lock();
    }
}

void dq_helper_unlock(void)
{
    if (dq_config.nodes == 1) {
        mmap_unlock();
    }
}

void dq_kernel_trap(CPUArchState *env)
{
#if defined(TARGET_ARM) && !defined(TARGET_AARCH64)
    const uint32_t cmpxchg = 0xffff0fc0, cmpxchg64 = 0xffff0f60;
    bool is64 = env->regs[15] == cmpxchg64;

    if (!dq_on_slave() || (env->regs[15] != cmpxchg && !is64)) {
        return;
    }
    for (int i = is64 ? 0 : 2; i <= 2;
         i++) { /* a fault would not be made again: it has to be the last word */
        if (!page_get_flags(env->regs[i])) {
            dq_learn(env->regs[i], 1);
        }
    }
    if (dq_is_foreign(env->regs[2]) ||
        (is64 && (dq_is_foreign(env->regs[0]) || dq_is_foreign(env->regs[1])))) {
        dq_thread_move(env);
    }
#endif
}
