/*
 * Memory with allocation tags: a remote thread sets tags and uses tagged pointers, another one
 * that uses the wrong tag gets SIGSEGV with SEGV_MTESERR, and the tags are the same for all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=20 */
/* cflags aarch64: -march=armv8.5-a+memtag */
#include <setjmp.h>
#include <sys/prctl.h>

#include "guest.h"

#ifndef PR_SET_TAGGED_ADDR_CTRL
#define PR_SET_TAGGED_ADDR_CTRL 55
#define PR_TAGGED_ADDR_ENABLE 1UL
#endif
#define TCF_SYNC 2UL
#define MTE 0x20 /* PROT_MTE */

static char *memory;
static _Thread_local sigjmp_buf out;
static _Thread_local int code;

static void on_segv(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    code = info->si_code;
    siglongjmp(out, 1);
}

static char *tagged(char *p, unsigned tag)
{
    return (char *)((uintptr_t)p | (uintptr_t)tag << 56);
}

static void check_tags(void)
{
    CHECK(prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | TCF_SYNC | 0xfffeul << 3, 0, 0,
                0) == 0);
}

static void *tagger(void *arg)
{
    char *p = tagged(memory, 5);

    check_tags();
    __asm__ volatile("stg %0, [%0]" : : "r"(p) : "memory");
    *p = 42;
    CHECK(*p == 42);
    return arg;
}

static void *user(void *arg)
{
    check_tags();
    CHECK(*tagged(memory, 5) == 42);
    if (sigsetjmp(out, 1) == 0) {
        *(volatile char *)tagged(memory, 6) = 1;
        CHECK(!"the wrong tag was let through");
    }
    CHECK(code == 9); /* SEGV_MTESERR */
    return arg;
}

int main(void)
{
    guest_handler(SIGSEGV, on_segv, SA_NODEFER);
    memory =
        mmap(NULL, GUEST_PAGE, PROT_READ | PROT_WRITE | MTE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    guest_elsewhere(tagger, NULL);
    for (int i = 0; i < 3; i++) {
        guest_elsewhere(user, NULL);
    }
    puts("tagged: right and wrong tags");
    return 0;
}
