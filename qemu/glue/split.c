/*
 * Split pages meet QEMU: what the host maps, how an access that traps is made anew, and the
 * redirect in translated code. See dqemu/split.h for what splitting is.
 *
 * A page that is split or closed cannot be accessed on the host (PROT_NONE), and so are the shadow
 * pages of a slot that is not in use. An access that meets one traps:
 *
 *  - In translated code, or in a helper that can be unwound: it ends there, and dq_split_settle()
 *    waits until the page is not closed, or has the instruction translated anew, one level up:
 *    1  compares with the one line that the instruction has met, in line, and goes to its place;
 *    2  looks into a table of all lines, in line, and takes the place from there;
 *    3  calls a function before and after, which does accesses in parts that touch two lines.
 *    What traps all the same (a helper that computes with host addresses) has the page joined.
 *  - In our own code for one word of the guest's (dq_guest_load32()): it is repeated. (If the word is
 *    not mapped any more, that is told in the same way.)
 *  - In any other code of QEMU's: the signal handler has the page joined, and returns. It holds no
 *    lock that this needs, because no code does that touches the guest's memory without having asked
 *    for it.
 *  - In the kernel: not at all. It would report EFAULT, so lock_user() pins what a system call gets.
 *
 * Levels belong to instructions, and are kept while anything is split: an instruction that met a
 * split page will meet others.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "internal.h"
#include "qemu/atomic.h"
#include "user/guest-base.h"
#include "user/page-protection.h"
#include "exec/page-protection.h"
#include "exec/translation-block.h"
#include "exec/helper-proto-common.h"
#include "exec/cpu_ldst.h"
#include "exec/helper-gen-common.h"
#include "tcg/tcg.h"
#include "tcg/tcg-op-common.h"
#include "tcg/tcg-temp-internal.h"
#include "dqemu/redirect.h"
#include "dqemu/split.h"
#include "areas.h"
#include "map.h"
#include "split.h"
#include "dqemu/translate.h"
#include "wide.h"

/* ---------------------------------------------------------------- what the host maps */

#define SHADOW_BYTES (DQ_SHADOW_PAGES << DQ_PAGE_BITS)

static bool can_protect(uint64_t page, unsigned count, int prot)
{
    return mprotect(g2h_untagged(page << DQ_PAGE_BITS), (size_t)count << DQ_PAGE_BITS, prot) == 0;
}

static void must_protect(uint64_t page, unsigned count, int prot)
{
    dq_areas_protect(g2h_untagged(page << DQ_PAGE_BITS), (size_t)count << DQ_PAGE_BITS, prot);
}

/*
 * Data that threads may write, of the guest's own: not code, nor memory that others see.
 *
 * mmap_lock is not needed here, and must not be: a thread that has it may touch a split page (a
 * debugger's access does), and then waits for the page to be joined. Nobody else changes how such a
 * page is mapped meanwhile: map calls exclude it (on the master) or are made by this thread, the
 * worker (elsewhere), and QEMU protects pages only for the code in them, which these have not.
 */
static bool close_page(uint64_t page)
{
    const int data = PAGE_VALID | PAGE_READ | PAGE_WRITE;
    int flags = page_get_flags(page << DQ_PAGE_BITS);

    if (!flags && dq_on_slave()) {
        return true; /* this node does not know of it, and so nobody here accesses it */
    }
    if ((flags & data) != data || (flags & (PAGE_EXEC | DQ_PAGE_FOREIGN)) ||
        dq_arch_page_is_masters(flags)) {
        return false;
    }
    return can_protect(page, 1, PROT_NONE);
}

static void open_page(uint64_t page)
{
    must_protect(page, 1, dq_map_prot_of_flags(page_get_flags(page << DQ_PAGE_BITS)));
}

static void close_shadow(uint64_t page, unsigned count)
{
    must_protect(page, count, PROT_NONE);
}

static bool open_shadow(uint64_t page, unsigned count)
{
    return can_protect(page, count, PROT_READ | PROT_WRITE);
}

/* ---------------------------------------------------------------- instructions */

enum { NO_REDIRECT, ONE_LINE, BY_TABLE, IN_PARTS };

struct redirect {
    unsigned level;
    uint64_t line, to; /* ONE_LINE: the line's address, and where it is on its shadow page */
};

/* Of each instruction that is not translated as always, by address. Guarded by mmap_lock. */
static GHashTable *redirects;

__thread unsigned dq_redirect_level;
static __thread struct redirect redirect; /* of the instruction that is being translated */

static struct redirect *redirect_of(vaddr pc)
{
    return redirects ? g_hash_table_lookup(redirects, (gpointer)(uintptr_t)pc) : NULL;
}

void dq_translate_insn(vaddr pc)
{
    const struct redirect *r = redirect_of(pc);

    dq_redirect_level = r ? r->level : NO_REDIRECT;
    if (r) {
        redirect = *r;
    }
}

/* Translations that contain the instruction go: they are made anew. With mmap_lock. */
static void change(vaddr pc, struct redirect r)
{
    if (!redirects) {
        redirects = g_hash_table_new_full(NULL, NULL, NULL, g_free);
    }
    g_hash_table_insert(redirects, (gpointer)(uintptr_t)pc, g_memdup2(&r, sizeof(r)));
    tb_invalidate_phys_range(pc, pc);
}

/* An instruction is translated as always again. With mmap_lock. */
static void forget(vaddr pc)
{
    g_hash_table_remove(redirects, (gpointer)(uintptr_t)pc);
    tb_invalidate_phys_range(pc, pc);
}

/* The line of an address on a page that is split, and where it is. False: it is not split any more. */
static bool find_line(uint64_t addr, struct redirect *r)
{
    bool crosses;

    r->level = ONE_LINE;
    r->line = addr & -(uint64_t)DQ_SPLIT_LINE;
    r->to = dq_split_redirect(r->line, DQ_SPLIT_LINE, &crosses);
    return r->to != r->line;
}

static bool is_out_of_date(const struct redirect *r)
{
    struct redirect now;

    return r->level == ONE_LINE && (!find_line(r->line, &now) || now.to != r->to);
}

static void forget_if(bool (*is_unwanted)(const struct redirect *r))
{
    GHashTableIter it;
    gpointer pc, r;

    mmap_lock();
    if (redirects) {
        g_hash_table_iter_init(&it, redirects);
        while (g_hash_table_iter_next(&it, &pc, &r)) {
            if (is_unwanted(r)) {
                g_hash_table_iter_remove(&it);
                tb_invalidate_phys_range((uintptr_t)pc, (uintptr_t)pc);
            }
        }
    }
    mmap_unlock();
}

static bool any(const struct redirect *r)
{
    return true;
}

static void forget_all(void)
{
    forget_if(any);
}

void dq_split_in_child(void)
{
    forget_all(); /* all was joined before the fork */
}

static void forget_addresses(void)
{
    CPUState *cpu;

    forget_if(is_out_of_date);
    cpu_list_lock();
    CPU_FOREACH(cpu)
    {
        cpu_exit(cpu);
    }
    cpu_list_unlock();
}

/* ---------------------------------------------------------------- engaging */

void dq_split_engage(void)
{
    static const struct dq_split_ops ops = {
        .close_page = close_page,
        .open_page = open_page,
        .close_shadow = close_shadow,
        .open_shadow = open_shadow,
        .forget_addresses = forget_addresses,
        .forget_all = forget_all,
    };
    abi_ulong start = DQ_GUEST_SPACE - SHADOW_BYTES;
    bool empty;

    if (TARGET_LONG_BITS != 64 || !dq_config.split_pages) {
        return;
    }
    mmap_lock();
    empty = page_check_range_empty(start, DQ_GUEST_SPACE - 1);
    if (empty) {
        dq_wide_end_low(start);
    }
    mmap_unlock();
    if (!empty) {
        dq_control_log("the program uses the last addresses below 64 TiB: no page will be split");
        return;
    }
    madvise(g2h_untagged(start), SHADOW_BYTES, MADV_NOHUGEPAGE);
    if (dq_pager_register(start, SHADOW_BYTES)) {
        _exit(125); /* reported */
    }
    dq_split_open(start >> DQ_PAGE_BITS, dq_wide_limit() >> DQ_PAGE_BITS,
                  dq_wide_bytes() ? (void *)(uintptr_t)DQ_GUEST_SPACE : NULL, &ops);
}

/* ---------------------------------------------------------------- traps */

static __thread bool is_member; /* registered with dqemu/split.c */

/* What this thread's latest trap was; taken up by dq_split_settle(). */
static __thread struct {
    bool pending;
    bool grow;   /* below memory that grows (grow.c) */
    bool shadow; /* of a shadow page: the table was read before the page was closed */
    uint64_t page, addr;
} trap;

/* The trap before it: an instruction that traps twice on the same split page needs more. */
static __thread struct {
    vaddr pc;
    uint64_t page;
    uint32_t changes;
} last_trap;

/* The guest's memory is being read or written by dq_guest_*(): go there if that fails. */
static __thread sigjmp_buf *own_access;

enum { ACCESS_AGAIN = 1, ACCESS_BAD };

static void G_NORETURN leave_access(int why, const sigset_t *mask)
{
    sigjmp_buf *to = own_access;

    own_access = NULL;
    sigprocmask(SIG_SETMASK, mask, NULL);
    siglongjmp(*to, why);
}

/*
 * An access that is not to a split page. Ours was to a valid address, but another thread may have
 * unmapped or protected it since. True: the access may be repeated, it is allowed by now. False:
 * it is QEMU's to judge (a write to a page with translated code).
 */
static bool is_allowed_now(abi_ulong page, bool is_write, const sigset_t *mask)
{
    int flags = page_get_flags(page);
    bool elsewhere = flags & DQ_PAGE_FOREIGN && dq_on_slave();

    if (own_access && (elsewhere || !(flags & (is_write ? PAGE_WRITE_ORG : PAGE_READ)))) {
        leave_access(ACCESS_BAD, mask);
    }
    return flags & (is_write ? PAGE_WRITE : PAGE_READ) && !(flags & DQ_PAGE_FOREIGN);
}

/* The instruction ends here, and is executed again after dq_split_settle(). */
static void G_NORETURN end_instruction(CPUState *cpu, uintptr_t pc, const sigset_t *mask)
{
    trap.pending = true;
    sigprocmask(SIG_SETMASK, mask, NULL);
    cpu->exception_index = EXCP_INTERRUPT;
    cpu_loop_exit_restore(cpu, pc);
}

bool dq_split_fault(CPUState *cpu, abi_ptr addr, bool is_write, uintptr_t pc, bool unwinds,
                    const sigset_t *mask)
{
    uint64_t page;

    if (is_write && unwinds && dq_engaged) {
        dq_translate_fault(cpu, pc, mask);
    }
    trap.grow = unwinds && dq_grow_may(addr);
    if (trap.grow) {
        trap.addr = addr;
        end_instruction(cpu, pc, mask);
    }
    if (!dq_split_shadow()) {
        return own_access && is_allowed_now(addr & TARGET_PAGE_MASK, is_write, mask);
    }
    trap.shadow = dq_split_is_shadow(addr >> DQ_PAGE_BITS);
    page = trap.page = dq_split_page_of(addr);
    trap.addr = addr;
    if (!trap.shadow && dq_split_state(page) == DQ_PAGE_IS_OPEN) {
        /* perhaps it was not when the access was made */
        return is_allowed_now(page << DQ_PAGE_BITS, is_write, mask);
    }
    dq_stat_add(split_traps, 1);
    if (own_access) {
        leave_access(ACCESS_AGAIN, mask);
    }
    if (!unwinds) {
        if (!trap.shadow) {
            dq_split_join(page);
        }
        return !trap.shadow; /* such addresses come from the table, and only code above has them */
    }
    end_instruction(cpu, pc, mask);
}

/*
 * An instruction that has met one split line gets its address as a constant, and keeps that while
 * it meets no other; what the line's page has been through since does not count.
 */
static void try_more(vaddr pc, bool again)
{
    struct redirect next = {.level = BY_TABLE}, here;
    const struct redirect *now;

    mmap_lock();
    now = redirect_of(pc);
    if (!find_line(trap.addr, &here)) {
        mmap_unlock();
        return;
    }
    if (!now || (now->level == ONE_LINE && now->line == here.line && now->to != here.to)) {
        change(pc, here);
    } else if (now->level == ONE_LINE || (now->level == BY_TABLE && again)) {
        next.level = now->line == here.line && again ? IN_PARTS : now->level + 1;
        change(pc, next);
    }
    mmap_unlock();
}

static bool is_in_parts(vaddr pc)
{
    const struct redirect *r;
    bool is;

    mmap_lock();
    r = redirect_of(pc);
    is = r && r->level == IN_PARTS;
    mmap_unlock();
    return is;
}

/* It went to a place that the line has had. */
static void refresh(vaddr pc)
{
    const struct redirect *r;

    mmap_lock();
    r = redirect_of(pc);
    if (r && is_out_of_date(r)) {
        forget(pc);
    }
    mmap_unlock();
}

void dq_split_settle(CPUState *cpu)
{
    uint64_t page = trap.page;
    bool again;
    vaddr pc;

    if (unlikely(!is_member)) {
        is_member = true;
        dq_split_register(&cpu->running);
    }
    dq_split_passed();
    if (likely(!trap.pending)) {
        return;
    }
    trap.pending = false;
    if (trap.grow) {
        dq_grow(cpu, trap.addr);
        return;
    }
    dq_split_wait(page);
    pc = cpu->cc->get_pc(cpu);
    if (trap.shadow) {
        refresh(pc);
        return;
    }
    if (dq_split_state(page) != DQ_PAGE_IS_SPLIT) {
        return;
    }
    again = last_trap.pc == pc && last_trap.page == page && last_trap.changes == dq_split_changes();
    last_trap.pc = pc;
    last_trap.page = page;
    last_trap.changes = dq_split_changes();
    if (again && is_in_parts(pc)) {
        dq_split_join(page);
    } else {
        try_more(pc, again);
    }
}

/* ---------------------------------------------------------------- in line */

static bool is_store(TCGOpcode opc)
{
    switch (opc) {
    case INDEX_op_qemu_st_i32:
    case INDEX_op_qemu_st8_i32:
    case INDEX_op_qemu_st_i64:
    case INDEX_op_qemu_st_i128:
        return true;
    default:
        return false;
    }
}

/*
 * Branches would end the block that the registers are known in; so an access that is not
 * redirected, or touches two lines, keeps its address (and traps, if its page is split). What is
 * looked up is one word, of one moment.
 */
static void gen_by_table(TCGv_i64 to, TCGv_i64 addr, unsigned size)
{
    TCGv_i64 line = tcg_temp_ebb_new_i64();
    TCGv_ptr place = tcg_temp_ebb_new_ptr();

    tcg_gen_shri_i64(line, addr, DQ_SPLIT_LEAST_SHIFT - 3);
    tcg_gen_andi_i64(line, line, ~UINT64_C(7));
    tcg_gen_trunc_i64_ptr(place, line);
    tcg_gen_add_ptr(place, place, tcg_constant_ptr(dq_split_deltas()));
    tcg_gen_ld_i64(to, place, 0);
    tcg_gen_add_i64(to, to, addr);
    if (size > 1) {
        tcg_gen_andi_i64(line, addr, DQ_SPLIT_LINE - 1);
        tcg_gen_movcond_i64(TCG_COND_LEU, to, line, tcg_constant_i64(DQ_SPLIT_LINE - size), to,
                            addr);
    }
    tcg_temp_free_i64(line);
    tcg_temp_free_ptr(place);
}

/* The same for the one line that the instruction has met so far. */
static void gen_for_line(TCGv_i64 to, TCGv_i64 addr, unsigned size)
{
    TCGv_i64 within = tcg_temp_ebb_new_i64();

    tcg_gen_xori_i64(within, addr, redirect.line);
    tcg_gen_addi_i64(to, within, redirect.to);
    tcg_gen_movcond_i64(TCG_COND_LEU, to, within, tcg_constant_i64(DQ_SPLIT_LINE - size), to, addr);
    tcg_temp_free_i64(within);
}

#define PARTS_STORE (1u << 8) /* in the argument of dq_split_before(), beside the size */

TCGTemp *dq_gen_redirect(TCGOpcode opc, TCGTemp *addr, MemOpIdx oi)
{
    TCGv_i64 to = tcg_temp_ebb_new_i64();
    unsigned size = memop_size(get_memop(oi));

    if (dq_redirect_level == ONE_LINE && !dq_config.split_count) {
        gen_for_line(to, temp_tcgv_i64(addr), size);
    } else if (dq_redirect_level == BY_TABLE && !dq_config.split_count) {
        gen_by_table(to, temp_tcgv_i64(addr), size);
    } else {
        gen_helper_dq_split_before(to, tcg_env, temp_tcgv_i64(addr),
                                   tcg_constant_i32(size | (is_store(opc) ? PARTS_STORE : 0)));
    }
    return tcgv_i64_temp(to);
}

void dq_gen_redirected(TCGOpcode opc, TCGTemp *copy)
{
    if ((dq_redirect_level == IN_PARTS || dq_config.split_count) && is_store(opc)) {
        gen_helper_dq_split_after(tcg_env);
    }
    tcg_temp_free_internal(copy);
}

/* ---------------------------------------------------------------- in parts */

/*
 * An access that touches two granules goes through here: the bytes of a load are collected, those
 * of a store are handed on after it. The place has the alignment that the address has.
 */
#define MOST_ACCESS 64u /* bytes */

static __thread struct {
    uint8_t bytes[2 * MOST_ACCESS] __attribute__((aligned(MOST_ACCESS)));
    uint64_t addr;
    unsigned size; /* of a store whose bytes wait here; 0: none */
} parts;

static uint8_t *parts_place(uint64_t addr)
{
    return parts.bytes + addr % MOST_ACCESS;
}

/* Aligned words are copied whole: that much of an access is atomic on every machine that we are. */
static void copy_whole_words(uint8_t *to, const uint8_t *from, unsigned n, uint64_t addr)
{
    while (n) {
        unsigned step = MIN(8, addr ? 1u << ctz64(addr) : 8);

        while (step > n) {
            step /= 2;
        }
        switch (step) {
        case 8:
            qatomic_set((uint64_t *)to, qatomic_read((const uint64_t *)from));
            break;
        case 4:
            qatomic_set((uint32_t *)to, qatomic_read((const uint32_t *)from));
            break;
        case 2:
            qatomic_set((uint16_t *)to, qatomic_read((const uint16_t *)from));
            break;
        default:
            qatomic_set(to, qatomic_read(from));
            break;
        }
        to += step, from += step, addr += step, n -= step;
    }
}

/* Whole granules lie between multiples of the smallest; the rest of an access is one more piece. */
static void copy_parts(uint64_t addr, unsigned size, bool store)
{
    uint8_t *place = parts_place(addr);

    while (size) {
        unsigned n = MIN(size, DQ_SPLIT_LINE - addr % DQ_SPLIT_LINE);
        bool crosses;
        uint8_t *host = g2h_untagged(dq_split_redirect(addr, n, &crosses));

        copy_whole_words(store ? host : place, store ? place : host, n, addr);
        addr += n, place += n, size -= n;
    }
}

static void *host_address(uint64_t addr, unsigned size, bool store, uintptr_t ra)
{
    bool crosses;
    uint64_t to = dq_split_redirect(addr, size, &crosses);

    if (likely(!crosses)) {
        dq_stat_add(redirected, to != addr);
        return g2h_untagged(to);
    }
    dq_stat_add(redirected, 1);
    if (store) {
        parts.addr = addr;
        parts.size = size;
    } else {
        set_helper_retaddr(ra);
        copy_parts(addr, size, false);
        clear_helper_retaddr();
    }
    return parts_place(addr);
}

uint64_t HELPER(dq_split_before)(CPUArchState *env, uint64_t addr, uint32_t what)
{
    parts.size = 0;
    return h2g_nocheck(host_address(addr, what % PARTS_STORE, what & PARTS_STORE, GETPC()));
}

void HELPER(dq_split_after)(CPUArchState *env)
{
    if (parts.size) {
        set_helper_retaddr(GETPC());
        copy_parts(parts.addr, parts.size, true);
        clear_helper_retaddr();
        parts.size = 0;
    }
}

/*
 * Helpers that access memory as the guest does. A store that would touch two granules gets the
 * page's own address, and traps.
 */
void *dq_split_access(CPUState *cpu, vaddr addr, unsigned size, bool store, uintptr_t ra)
{
    bool crosses;

    addr = cpu_untagged_addr(cpu, addr);
    if (store) {
        uint64_t to = dq_split_redirect(addr, size, &crosses);

        return g2h_untagged(crosses ? addr : to);
    }
    return host_address(addr, size, false, ra);
}

/* ---------------------------------------------------------------- the guest's memory, for us */

static uint32_t *word_at(abi_ulong addr)
{
    bool crosses;

    return g2h_untagged(dq_split_redirect(addr, sizeof(uint32_t), &crosses));
}

/* Again if the page was closed between the look into the table and the access. */
static bool word_access(abi_ulong addr, uint32_t *value, const uint32_t *exchange)
{
    volatile bool entered = false;
    sigjmp_buf out;
    uint32_t *word;

    switch (sigsetjmp(out, 0)) {
    case 0:
        break;
    case ACCESS_BAD:
        if (entered) {
            dq_split_leave();
        }
        return false;
    default:
        if (entered) {
            dq_split_leave();
            entered = false;
        }
        dq_split_wait(addr >> DQ_PAGE_BITS);
    }
    if (dq_split_any()) {
        dq_split_enter();
        entered = true;
    }
    word = entered ? word_at(addr) : g2h_untagged(addr);
    qatomic_set(&own_access, &out);
    if (exchange) {
        *value = qatomic_cmpxchg(word, *value, *exchange);
    } else {
        *value = qatomic_read(word);
    }
    qatomic_set(&own_access, NULL);
    if (entered) {
        dq_split_leave();
    }
    return true;
}

bool dq_guest_load32(abi_ulong addr, uint32_t *value)
{
    return word_access(addr, value, NULL);
}

bool dq_guest_cmpxchg32(abi_ulong addr, uint32_t *value, uint32_t new)
{
    return word_access(addr, value, &new);
}

bool dq_guest_copy(void *to, const void *from, size_t length)
{
    sigjmp_buf out;

    if (sigsetjmp(out, 0)) { /* pinned: it is no split page */
        return false;
    }
    qatomic_set(&own_access, &out);
    memcpy(to, from, length);
    qatomic_set(&own_access, NULL);
    return true;
}
