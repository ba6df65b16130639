/*
 * What a file is that shall be executed: programs of each class and byte order and what only looks
 * like one; the first lines of scripts as the kernel reads them; the dynamic linker that a program asks for.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <elf.h>
#include <glib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dqemu/image.h"

static Elf64_Ehdr program(uint16_t machine, uint8_t class, uint8_t order, uint16_t type)
{
    const bool swap = order != (G_BYTE_ORDER == G_LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB);

    return (Elf64_Ehdr){
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, class, order, EV_CURRENT},
        .e_type = swap ? GUINT16_SWAP_LE_BE(type) : type,
        .e_machine = swap ? GUINT16_SWAP_LE_BE(machine) : machine,
    };
}

static const char *isa(uint16_t machine, uint8_t class, uint8_t order, uint16_t type)
{
    const Elf64_Ehdr head = program(machine, class, order, type);

    return dq_image_isa(&head, class == ELFCLASS64 ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr));
}

static void test_isa(void)
{
    g_assert_cmpstr(isa(EM_AARCH64, ELFCLASS64, ELFDATA2LSB, ET_EXEC), ==, "aarch64");
    g_assert_cmpstr(isa(EM_ARM, ELFCLASS32, ELFDATA2LSB, ET_DYN), ==, "arm");
    g_assert_cmpstr(isa(EM_RISCV, ELFCLASS64, ELFDATA2LSB, ET_DYN), ==, "riscv64");
    g_assert_cmpstr(isa(EM_S390, ELFCLASS64, ELFDATA2MSB, ET_EXEC), ==, "s390x");
    g_assert_cmpstr(isa(EM_X86_64, ELFCLASS64, ELFDATA2LSB, ET_EXEC), ==, "x86_64");
}

static void test_no_isa(void)
{
    const Elf64_Ehdr head = program(EM_AARCH64, ELFCLASS64, ELFDATA2LSB, ET_EXEC);

    g_assert_null(isa(EM_AARCH64, ELFCLASS64, ELFDATA2MSB, ET_EXEC)); /* big-endian */
    g_assert_null(isa(EM_X86_64, ELFCLASS32, ELFDATA2LSB, ET_EXEC));  /* x32 */
    g_assert_null(isa(EM_386, ELFCLASS32, ELFDATA2LSB, ET_EXEC));
    g_assert_null(isa(EM_AARCH64, ELFCLASS64, ELFDATA2LSB, ET_REL)); /* an object file */
    g_assert_null(dq_image_isa(&head, sizeof(head) - 1));
    g_assert_null(dq_image_isa("", 0));
}

/* "interpreter|argument", "interpreter", or "none". */
static void check_script(const char *head, size_t length, const char *expected)
{
    char *interpreter, *argument, *result;

    if (dq_image_script(head, length, &interpreter, &argument)) {
        result = argument ? g_strconcat(interpreter, "|", argument, NULL) : g_strdup(interpreter);
        g_free(interpreter);
        g_free(argument);
    } else {
        result = g_strdup("none");
    }
    g_assert_cmpstr(result, ==, expected);
    g_free(result);
}

static void check_text(const char *text, const char *expected)
{
    char *exact = g_memdup2(text, strlen(text)); /* nothing behind it: the sanitizer would see */

    check_script(exact, strlen(text), expected);
    g_free(exact);
}

static void test_script(void)
{
    check_text("#!/bin/sh\necho\n", "/bin/sh");
    check_text("#! \t/bin/sh \t\n", "/bin/sh");
    check_text("#!/bin/sh -e\n", "/bin/sh|-e");
    check_text("#!/usr/bin/env  python3 -u \n", "/usr/bin/env|python3 -u");
    check_text("#!/bin/sh", "/bin/sh");
    check_text("#!/bin/sh -x", "/bin/sh|-x");
    check_text("#!sh\n", "sh");
    check_text("#!\n/bin/sh\n", "none");
    check_text("#!   ", "none");
    check_text("#!", "none");
    check_text("#", "none");
    check_text("", "none");
    check_text("echo #!/bin/sh\n", "none");
    check_script("#!/bin/sh\0-e", 12, "/bin/sh");
}

/* An interpreter's name that may go on is not taken; an argument that may is. */
static void test_long_line(void)
{
    char text[2 * DQ_IMAGE_HEAD], *name;

    memset(text, 'x', sizeof(text));
    memcpy(text, "#!/", 3);
    check_script(text, DQ_IMAGE_HEAD, "none");
    text[DQ_IMAGE_HEAD - 1] = '\n';
    name = g_strndup(text + 2, DQ_IMAGE_HEAD - 3);
    check_script(text, DQ_IMAGE_HEAD, name);
    g_free(name);
    memset(text, ' ', sizeof(text));
    memcpy(text, "#!/bin/sh", 9);
    check_script(text, DQ_IMAGE_HEAD, "/bin/sh");
    memset(text + 10, 'a', DQ_IMAGE_HEAD - 10);
    char *argument = g_strnfill(DQ_IMAGE_HEAD - 11, 'a');
    name = g_strconcat("/bin/sh|", argument, NULL);
    check_script(text, DQ_IMAGE_HEAD, name);
    g_free(name);
    g_free(argument);
}

static int file_of(const void *bytes, size_t length)
{
    int fd = memfd_create("image", MFD_CLOEXEC);

    g_assert_cmpint(write(fd, bytes, length), ==, length);
    return fd;
}

static void test_loader(void)
{
    struct {
        Elf64_Ehdr head;
        Elf64_Phdr parts[2];
        char path[16];
    } file = {
        .head = program(EM_AARCH64, ELFCLASS64, ELFDATA2LSB, ET_DYN),
        .parts = {{.p_type = GUINT32_TO_LE(PT_LOAD)},
                  {.p_type = GUINT32_TO_LE(PT_INTERP),
                   .p_offset = GUINT64_TO_LE(offsetof(__typeof__(file), path)),
                   .p_filesz = GUINT64_TO_LE(12)}},
        .path = "/lib/ld.so.1",
    };

    file.head.e_phoff = GUINT64_TO_LE(offsetof(__typeof__(file), parts));
    file.head.e_phnum = GUINT16_TO_LE(2);
    int fd = file_of(&file, sizeof(file));
    g_assert_null(dq_image_loader(fd)); /* a name without an end */
    close(fd);
    file.parts[1].p_filesz = GUINT64_TO_LE(13);
    fd = file_of(&file, sizeof(file));
    char *loader = dq_image_loader(fd);
    g_assert_cmpstr(loader, ==, "/lib/ld.so.1");
    g_free(loader);
    close(fd);
    fd = file_of(&file, sizeof(file.head) + 10); /* cut off */
    g_assert_null(dq_image_loader(fd));
    close(fd);
    file.head.e_phnum = GUINT16_TO_LE(1); /* static */
    fd = file_of(&file, sizeof(file));
    g_assert_null(dq_image_loader(fd));
    close(fd);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/image/isa", test_isa);
    g_test_add_func("/image/no-isa", test_no_isa);
    g_test_add_func("/image/script", test_script);
    g_test_add_func("/image/long-line", test_long_line);
    g_test_add_func("/image/loader", test_loader);
    return g_test_run();
}
