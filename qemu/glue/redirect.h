/*
 * The hooks of code generation for split pages (see split.c), in a header of their own: tcg/ knows
 * nothing of linux-user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_REDIRECT_H
#define DQEMU_REDIRECT_H

/* How the instruction that is being translated accesses memory; of this thread. 0: as always. */
extern __thread unsigned dq_redirect_level;

TCGTemp *dq_gen_redirect(TCGOpcode opc, TCGTemp *addr, MemOpIdx oi);
void dq_gen_redirected(TCGOpcode opc, TCGTemp *copy);

/* gen_ldst(), before the access: the address to use. */
static inline TCGTemp *dq_redirect(TCGOpcode opc, TCGTemp *addr, MemOpIdx oi)
{
    return unlikely(dq_redirect_level) ? dq_gen_redirect(opc, addr, oi) : addr;
}

/* ... and after it. */
static inline void dq_redirected(TCGOpcode opc, TCGTemp *addr, TCGTemp *copy)
{
    if (unlikely(addr != copy)) {
        dq_gen_redirected(opc, copy);
    }
}

#endif
