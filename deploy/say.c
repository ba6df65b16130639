/*
 * What the launcher says to its user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/say.h"

#include <glib.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * A reader that has stopped must not stop the launcher, and so the run. The first line waits
 * a moment for it; after one that was not taken, the others do not.
 */
#define READER_MS 200

static bool reader_is_ready(void)
{
    static int patience = READER_MS;
    struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};
    bool ready = poll(&out, 1, patience) > 0;

    patience = ready ? READER_MS : 0;
    return ready;
}

static void say(const char *prefix, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));
static void say(const char *prefix, const char *format, va_list args)
{
    char *text = g_strdup_vprintf(format, args);
    char *line = g_strconcat(prefix, text, "\n", NULL);
    size_t length = MIN(strlen(line), (size_t)PIPE_BUF); /* what a ready pipe surely takes */

    line[length - 1] = '\n';
    /* One write: lines of several processes on one terminal stay whole. */
    if (reader_is_ready() && write(STDERR_FILENO, line, length) < 0) {
        /* Nobody is listening; the exit status still tells. */
    }
    g_free(line);
    g_free(text);
}

void dq_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("dqemu: ", format, args);
    va_end(args);
}

void dq_say_plain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("", format, args);
    va_end(args);
}

void dq_say_die(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say("dqemu: ", format, args);
    va_end(args);
    exit(status);
}
