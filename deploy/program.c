/*
 * The guest program, as far as the launcher looks at it.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deploy/say.h"

/* What this build runs. */
static const struct isa {
    const char *name;
    uint16_t machine;
    uint8_t class, order;
} isas[] = {
    {"aarch64", EM_AARCH64, ELFCLASS64, ELFDATA2LSB},
};

/* Names for the others, to tell the user what the file is. */
static const struct {
    uint16_t machine;
    const char *name;
} machines[] = {
    {EM_386, "an i386"},        {EM_X86_64, "an x86-64"},      {EM_ARM, "an ARM"},
    {EM_AARCH64, "an AArch64"}, {EM_RISCV, "a RISC-V"},        {EM_PPC, "a PowerPC"},
    {EM_PPC64, "a PowerPC 64"}, {EM_S390, "an S/390"},         {EM_MIPS, "a MIPS"},
    {EM_SPARCV9, "a SPARC 64"}, {EM_LOONGARCH, "a LoongArch"}, {EM_68K, "an m68k"},
    {EM_ALPHA, "an Alpha"},     {EM_SH, "a SuperH"},           {EM_PARISC, "a PA-RISC"},
};

static char *isa_list(void)
{
    GString *list = g_string_new(isas[0].name);
    for (size_t i = 1; i < G_N_ELEMENTS(isas); i++) {
        g_string_append_printf(list, ", %s", isas[i].name);
    }
    return g_string_free(list, FALSE);
}

static void die_missing(const char *path)
{
    char *found = strchr(path, '/') ? NULL : g_find_program_in_path(path);
    if (found) {
        dq_say_die(DQ_STATUS_NOT_FOUND,
                   "%s: no such file here; PROGRAM is a path and is not looked for in PATH", path);
    }
    dq_say_die(DQ_STATUS_NOT_FOUND, "%s: no such file; give the path of an AArch64 Linux program",
               path);
}

static void check_file(const char *path, int fd)
{
    struct stat st;

    if (fstat(fd, &st) < 0) {
        dq_say_die(DQ_STATUS_CANNOT_RUN, "%s: %s", path, g_strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        dq_say_die(DQ_STATUS_CANNOT_RUN, "%s is a directory; give the path of a program", path);
    }
    if (!S_ISREG(st.st_mode)) {
        dq_say_die(DQ_STATUS_CANNOT_RUN, "%s is not a regular file; give the path of a program",
                   path);
    }
    if (!(st.st_mode & 0111)) {
        dq_say_die(DQ_STATUS_CANNOT_RUN, "%s is not executable; chmod +x it if it is a program",
                   path);
    }
}

/* The first line of a script without its "#!", for the user. */
static void die_script(const char *path, const char *text, size_t length)
{
    char *line = g_strndup(text, MIN(strcspn(text, "\r\n"), length));
    char *clean = g_utf8_make_valid(g_strstrip(line), -1);
    dq_say_die(DQ_STATUS_CANNOT_RUN,
               "%s is a script for %s; run a program that interprets it, and give it the script as "
               "an argument",
               path, *clean ? clean : "an interpreter");
}

static const char *match_isa(const char *path, const Elf64_Ehdr *header)
{
    const char *what = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(isas); i++) {
        if (header->e_machine == isas[i].machine && header->e_ident[EI_CLASS] == isas[i].class &&
            header->e_ident[EI_DATA] == isas[i].order) {
            return isas[i].name;
        }
    }
    uint16_t machine = header->e_machine;
    if (header->e_ident[EI_DATA] == ELFDATA2MSB) {
        machine = GUINT16_SWAP_LE_BE(machine);
    }
    for (size_t i = 0; i < G_N_ELEMENTS(machines); i++) {
        if (machine == machines[i].machine) {
            what = machines[i].name;
        }
    }
    if (machine == EM_AARCH64) {
        what =
            header->e_ident[EI_CLASS] == ELFCLASS32 ? "an AArch64 ILP32" : "a big-endian AArch64";
    }
    dq_say_die(DQ_STATUS_CANNOT_RUN, "%s is %s program; this build runs %s", path,
               what ? what : "some other machine's", isa_list());
}

const char *dq_program_isa(const char *path)
{
    union {
        Elf64_Ehdr header; /* up to e_version, the 32-bit one is the same */
        char text[256];
    } head = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        die_missing(path);
    } else if (fd < 0) {
        dq_say_die(DQ_STATUS_CANNOT_RUN, "%s: %s; the program must be readable", path,
                   g_strerror(errno));
    }
    check_file(path, fd);
    ssize_t n = read(fd, head.text, sizeof(head.text) - 1);
    close(fd);
    if (n >= 2 && memcmp(head.text, "#!", 2) == 0) {
        die_script(path, head.text + 2, (size_t)n - 2);
    }
    if (n < (ssize_t)sizeof(Elf32_Ehdr) || memcmp(head.header.e_ident, ELFMAG, SELFMAG) != 0) {
        dq_say_die(DQ_STATUS_CANNOT_RUN,
                   "%s is not an ELF program; this build runs Linux programs "
                   "for %s",
                   path, isa_list());
    }
    const char *isa = match_isa(path, &head.header);
    if (head.header.e_type != ET_EXEC && head.header.e_type != ET_DYN) {
        dq_say_die(DQ_STATUS_CANNOT_RUN, "%s is an ELF file but not a program; link it first",
                   path);
    }
    return isa;
}

const char *dq_program_default_isa(void)
{
    return isas[0].name;
}

char *dq_program_find_node_binary(const char *isa)
{
    char *self = g_file_read_link("/proc/self/exe", NULL);
    char *folder = self ? g_path_get_dirname(self) : g_strdup(".");
    char *name = g_strconcat("dqemu-", isa, NULL);
    char *path = g_build_filename(folder, name, NULL);

    if (access(path, X_OK) < 0) {
        g_free(path);
        path = g_build_filename(folder, "..", "libexec", "dqemu", name, NULL);
    }
    if (access(path, X_OK) < 0) {
        g_free(path);
        path = NULL;
    }
    g_free(name);
    g_free(folder);
    g_free(self);
    return path;
}

char *dq_program_node_binary(const char *isa)
{
    char *path = dq_program_find_node_binary(isa);

    if (!path) {
        dq_say_die(DQ_STATUS_FAULT,
                   "the node program dqemu-%s is missing beside dqemu-launch; run make, or name it "
                   "with --node-binary",
                   isa);
    }
    return path;
}

void dq_program_check_node_binary(const char *path)
{
    if (access(path, X_OK) < 0) {
        dq_say_die(DQ_STATUS_FAULT, "--node-binary %s: %s; give the path of a node program", path,
                   g_strerror(errno));
    }
}
