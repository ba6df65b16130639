/*
 * Is the limit of the stack what the argument says, here and for a thread elsewhere?
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include <sys/resource.h>

static void *look(void *text)
{
    struct rlimit limit;

    CHECK(getrlimit(RLIMIT_STACK, &limit) == 0);
    if (strcmp(text, "unlimited") == 0) {
        CHECK(limit.rlim_cur == RLIM_INFINITY);
    } else {
        CHECK(limit.rlim_cur == strtoull(text, NULL, 10) * 1024);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    look(argv[1]);
    guest_elsewhere(look, argv[1]);
    puts("as it was set");
}
