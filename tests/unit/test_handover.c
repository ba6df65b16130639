/*
 * What one emulator hands to the next: options that lose what was about one program, with absolute
 * paths; an environment in which the guest's variables and the emulator's do not meet.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <glib.h>

#include "dqemu/handover.h"

static const struct dq_handover same = {"/home", "arm", true}, other = {"/home", "arm", false};

/* Frees `words`. */
static void check(char **words, const char *expected)
{
    char *line = g_strjoinv(" ", words);

    g_assert_cmpstr(line, ==, expected);
    g_free(line);
    g_strfreev(words);
}

static void check_options(const struct dq_handover *from, const char *line, const char *expected)
{
    char **words = g_strsplit(line, " ", -1);

    check(dq_handover_options(from, words, (int)g_strv_length(words)), expected);
    g_strfreev(words);
}

static void test_options(void)
{
    check_options(&same, "-L root -strace -cpu max", "-L /home/root -strace -cpu max");
    check_options(&same, "-L /root --cpu max -s 1M --", "-L /root --cpu max -s 1M");
    check_options(&same, "-E A=1 -U B -0 name -g 1234 -d page", "-d page");
    check_options(&same, "-0 -strace -one-insn-per-tb", "-one-insn-per-tb");
    check_options(&same, "-cpu -E -seed 1", "-cpu -E -seed 1");
    check_options(&same, "-plugin lib.so,a=b -plugin file=/x.so",
                  "-plugin file=/home/lib.so,a=b -plugin file=/x.so");
    check_options(&other, "-L root -cpu max -R 1G -B 0 -t 1 -d page", "-L /home/root -d page");
}

/* Each program logs to a file of its own, and its successors do not add to the name. */
static void test_log_file(void)
{
    check_options(&same, "-D log", "-D /home/log.%d");
    check_options(&same, "-D /home/log.%d", "-D /home/log.%d");
}

static char *emulator[] = {"LD_PRELOAD=mine.so",
                           "HOME=/root",
                           "QEMU_CPU=max",
                           "QEMU_GDB=1234",
                           "QEMU_LD_PREFIX=root",
                           "QEMU_SET_ENV=A=1",
                           "DQEMU_EXEC=9",
                           "DQEMU_EXEC:LD_DEBUG=1",
                           NULL};

static void test_environ(void)
{
    char *guest[] = {
        "LD_PRELOAD=its.so", "WORD=a b", "no equals sign", "WORD=again", "DQEMU_EXEC=7", "", NULL};
    char **environment = dq_handover_environ(&same, emulator, guest, 5);

    g_assert_cmpstr(environment[0], ==, "LD_PRELOAD=mine.so");
    g_assert_cmpstr(environment[1], ==, "QEMU_CPU=max");
    g_assert_cmpstr(environment[2], ==, "QEMU_LD_PREFIX=/home/root");
    g_assert_cmpstr(environment[3], ==, "DQEMU_EXEC=5:arm");
    g_assert_cmpstr(environment[4], ==, "DQEMU_EXEC:LD_PRELOAD=its.so");
    char **back = dq_handover_guest(environment);
    g_assert_true(g_strv_equal((const char *const *)back, (const char *const *)guest));
    g_strfreev(back);
    /* and once more, from the next emulator */
    char **next = dq_handover_environ(&same, environment, guest, 5);
    g_assert_true(g_strv_equal((const char *const *)next, (const char *const *)environment));
    g_strfreev(next);
    g_strfreev(environment);
}

static void test_environ_other_isa(void)
{
    char *guest[] = {NULL};

    check(dq_handover_environ(&other, emulator, guest, -1),
          "LD_PRELOAD=mine.so QEMU_LD_PREFIX=/home/root DQEMU_EXEC=-1:arm");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/handover/options", test_options);
    g_test_add_func("/handover/log-file", test_log_file);
    g_test_add_func("/handover/environ", test_environ);
    g_test_add_func("/handover/environ-other-isa", test_environ_other_isa);
    return g_test_run();
}
