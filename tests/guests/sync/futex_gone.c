/*
 * Futex calls on a word that another thread protects and unmaps at any moment say EFAULT, or have been
 * quicker; a wake within the process does not look at the word at all.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"
#include <linux/futex.h>

enum { THREADS = 4, CHANGES = 200, ADD_ONE = 0x10001000 /* to the word; woken if it was 0 */ };

static char *page;
static atomic_bool over;

static long futex(void *word, int op, unsigned value, uintptr_t value2, void *word2)
{
    return syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, value2, word2, ADD_ONE);
}

static void *caller(void *arg)
{
    struct timespec soon = {.tv_nsec = 1000};

    while (!atomic_load(&over)) {
        long ret;

        switch ((intptr_t)arg) {
        case 0:
            ret = futex(page, FUTEX_WAIT, 0, (uintptr_t)&soon, NULL);
            CHECK(ret == 0 || errno == ETIMEDOUT || errno == EAGAIN || errno == EFAULT);
            break;
        case 1:
            ret = futex(page, FUTEX_WAKE_OP, 1, 1, page + 64);
            CHECK(ret >= 0 || errno == EFAULT);
            break;
        case 2:
            ret = futex(page, FUTEX_CMP_REQUEUE, 1, 1, page + 64);
            CHECK(ret >= 0 || errno == EFAULT || errno == EAGAIN);
            break;
        default:
            CHECK(futex(page, FUTEX_WAKE, 1, 0, NULL) >= 0);
        }
    }
    return NULL;
}

int main(void)
{
    const int read_write = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    pthread_t threads[THREADS];

    page = mmap(NULL, GUEST_PAGE, read_write, flags, -1, 0);
    CHECK(page != MAP_FAILED);
    guest_start(threads, THREADS, caller);
    for (int i = 0; i < CHANGES; i++) {
        CHECK(mprotect(page, GUEST_PAGE, i & 1 ? read_write : PROT_NONE) == 0);
        if (i % 8 == 0) {
            CHECK(munmap(page, GUEST_PAGE) == 0);
            CHECK(mmap(page, GUEST_PAGE, read_write, flags | MAP_FIXED, -1, 0) == page);
        }
    }
    CHECK(munmap(page, GUEST_PAGE) == 0);
    atomic_store(&over, true);
    guest_join(threads, THREADS);
    CHECK(futex(page, FUTEX_WAKE, 1, 0, NULL) == 0);
    CHECK(futex(page, FUTEX_WAIT, 0, 0, NULL) == -1 && errno == EFAULT);
    printf("futex_gone: EFAULT, and alive\n");
    return 0;
}
