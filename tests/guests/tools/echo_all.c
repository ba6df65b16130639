/*
 * What a program gets from outside, as a thread on another node sees it: arguments, one variable of
 * the environment, standard input, of which it copies every byte to standard output and counts them
 * on standard error.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"

static int count;
static char **words;

static void *tell(void *arg)
{
    char buffer[3000];
    long total = 0;
    ssize_t n;

    for (int i = 0; i < count; i++) {
        printf("argument %d: %s\n", i, words[i]);
    }
    const char *word = getenv("WORD");
    printf("WORD: %s\n", word ? word : "(not set)");
    CHECK(fflush(stdout) == 0);
    while ((n = read(0, buffer, sizeof(buffer))) > 0) {
        CHECK(write(1, buffer, n) == n);
        total += n;
    }
    CHECK(n == 0);
    fprintf(stderr, "%ld bytes\n", total);
    return arg;
}

int main(int argc, char **argv)
{
    count = argc;
    words = argv;
    guest_elsewhere(tell, NULL);
    return 0;
}
