/*
 * What --help and --version print.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/help.h"

#include <stdio.h>
#include <string.h>

#include "deploy/version.h"
#include "dqemu/config.h"

#define MARGIN 26
#define WIDTH 96

/* Words of `text` from column MARGIN on, lines as long as WIDTH. */
static void print_wrapped(const char *text, int column)
{
    while (*text) {
        int word = (int)strcspn(text, " ");
        if (column + word > WIDTH || column < MARGIN) {
            if (column >= MARGIN) {
                putchar('\n');
                column = 0;
            }
            printf("%*s", MARGIN - column, "");
            column = MARGIN;
        }
        printf("%s%.*s", column > MARGIN ? " " : "", word, text);
        column += word + (column > MARGIN);
        text += word;
        text += strspn(text, " ");
    }
}

static void print_option(char letter, const char *word, const char *argument, const char *env,
                         const char *standard, const char *help)
{
    char left[80], right[512];
    int n = letter ? snprintf(left, sizeof(left), "  -%c, --%s", letter, word)
                   : snprintf(left, sizeof(left), "      --%s", word);

    if (argument) {
        snprintf(left + n, sizeof(left) - (size_t)n, "%s%s", *argument == '[' ? "" : " ", argument);
    }
    n = snprintf(right, sizeof(right), "%s", help);
    if (standard) {
        n += snprintf(right + n, sizeof(right) - (size_t)n, " (default: %s)", standard);
    }
    if (env) {
        snprintf(right + n, sizeof(right) - (size_t)n, " [%s]", env);
    }
    printf("%s", left);
    if (strlen(left) + 2 > MARGIN) {
        putchar('\n');
        left[0] = '\0';
    }
    print_wrapped(right, (int)strlen(left));
    putchar('\n');
}

/* Behind its name, of which n characters were printed. */
static void explain_tunable(const struct dq_tunable *t, int n)
{
    char right[512];

    snprintf(right, sizeof(right), "%u to %u%s%s (default: %u): %s", t->least, t->most,
             *t->unit ? " " : "", t->unit, t->standard, t->reason);
    print_wrapped(right, n);
    putchar('\n');
}

void dq_help_print(void)
{
    puts("Usage: dqemu-launch [options] [--] PROGRAM [ARG...]\n"
         "\n"
         "Run PROGRAM, a Linux program for another machine, as one process whose threads are\n"
         "spread over several nodes that share its memory.\n"
         "\n"
         "Options, each with the environment variable that sets it too in brackets:");
#define X(id, letter, word, argument, env, standard, help)                                         \
    print_option(letter, word, argument, env, standard, help);
#include "deploy/options.inc"
#undef X
    puts("\n"
         "Passed on to the emulator of every node, as are its QEMU_* variables: -L DIR,\n"
         "-E VAR=VALUE, -U VAR, -0 ARGV0, -strace, -cpu MODEL, -s SIZE, -r UNAME, -R SIZE,\n"
         "-B ADDRESS, -t MAP, -d ITEMS, -dfilter RANGES, -D FILE, -p SIZE, -tb-size SIZE,\n"
         "-one-insn-per-tb, -seed SEED, -trace SPEC, -plugin SPEC, -perfmap, -jitdump; and to\n"
         "node 0 alone: -g PORT.\n"
         "\n"
         "Tunables, set with -o NAME=VALUE:");
    for (const struct dq_tunable *t = dq_tunables; t->name; t++) {
        explain_tunable(t, printf("  %s", t->name));
    }
    puts("\n"
         "Exit status: the program's; 128+N if signal N ended it; 124 after --timeout; 125 if\n"
         "dqemu itself failed; 126 if PROGRAM cannot run here; 127 if there is no PROGRAM.");
}

void dq_help_tunables(const struct dq_config *config)
{
    for (const struct dq_tunable *t = dq_tunables; t->name; t++) {
        explain_tunable(t, printf("%s=%u", t->name, dq_config_tuned(config, t->name)));
    }
}

void dq_help_version(void)
{
    puts("dqemu-launch " DQ_VERSION);
}
