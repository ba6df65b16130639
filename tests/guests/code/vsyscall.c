/*
 * Old programs call into the kernel's page at the end of all addresses, which has no memory: a thread
 * elsewhere gets the time there, too. (A third thread that does ends plain QEMU 10.0 by SIGSEGV.)
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=20 */
#include "guest.h"
#include <sys/time.h>

typedef int (*gettimeofday_fn)(struct timeval *, void *);
typedef time_t (*time_fn)(time_t *);

static void *ask(void *arg)
{
    struct timeval before, now, after;
    time_t seconds, stored;

    gettimeofday(&before, NULL);
    CHECK(((gettimeofday_fn)0xffffffffff600000)(&now, NULL) == 0);
    seconds = ((time_fn)0xffffffffff600400)(&stored);
    gettimeofday(&after, NULL);
    CHECK(!timercmp(&now, &before, <) && !timercmp(&after, &now, <));
    CHECK(seconds == stored && seconds >= before.tv_sec && seconds <= after.tv_sec);
    return arg;
}

int main(void)
{
    ask(NULL);
    guest_elsewhere(ask, NULL);
    puts("the time is right");
}
