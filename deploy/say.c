/*
 * What the launcher says to its user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/say.h"

#include <glib.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

static void say(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
static void say(const char *format, va_list args)
{
    char *text = g_strdup_vprintf(format, args);
    char *line = g_strconcat("dqemu: ", text, "\n", NULL);
    size_t length = strlen(line);

    /* One write: lines of several processes on one terminal stay whole. */
    if (write(STDERR_FILENO, line, length) < 0) {
        /* Nobody is listening; the exit status still tells. */
    }
    g_free(line);
    g_free(text);
}

void dq_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
}

void dq_say_die(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(format, args);
    va_end(args);
    exit(status);
}
