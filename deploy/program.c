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
#include "dqemu/build_id.h"
#include "dqemu/image.h"

/* Names for the others, to tell the user what the file is; 0: any. The first that fits counts. */
static const struct {
    uint16_t machine;
    uint8_t class, order;
    const char *name;
} machines[] = {
    {EM_AARCH64, ELFCLASS32, 0, "an AArch64 ILP32"},
    {EM_AARCH64, 0, ELFDATA2MSB, "a big-endian AArch64"},
    {EM_ARM, 0, ELFDATA2MSB, "a big-endian ARM"},
    {EM_RISCV, ELFCLASS32, 0, "a 32-bit RISC-V"},
    {EM_S390, ELFCLASS32, 0, "a 31-bit S/390"},
    {EM_X86_64, ELFCLASS32, 0, "an x32"},
    {EM_386, 0, 0, "an i386"},
    {EM_PPC, 0, 0, "a PowerPC"},
    {EM_PPC64, 0, 0, "a PowerPC 64"},
    {EM_MIPS, 0, 0, "a MIPS"},
    {EM_SPARCV9, 0, 0, "a SPARC 64"},
    {EM_LOONGARCH, 0, 0, "a LoongArch"},
    {EM_68K, 0, 0, "an m68k"},
    {EM_ALPHA, 0, 0, "an Alpha"},
    {EM_SH, 0, 0, "a SuperH"},
    {EM_PARISC, 0, 0, "a PA-RISC"},
};

char *dq_program_find_node_binary(const char *isa)
{
    char *self = g_file_read_link("/proc/self/exe", NULL);
    char *folder = self ? g_path_get_dirname(self) : g_strdup(".");
    char *name = g_strconcat("dqemu-", isa, NULL);
    char *places[] = {
        g_build_filename(folder, name, NULL),
        g_build_filename(folder, "..", "libexec", "dqemu", name, NULL),
    };
    char *path = NULL;

    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        if (!path && access(places[i], X_OK) == 0) {
            path = places[i];
        } else {
            g_free(places[i]);
        }
    }
    g_free(name);
    g_free(folder);
    g_free(self);
    return path;
}

static bool is_here(const char *isa)
{
    char *path = dq_program_find_node_binary(isa);
    bool is = path != NULL;

    g_free(path);
    return is;
}

/* The instruction sets that have a node program here; or all, if that has yet to be built. */
static char *isa_list(void)
{
    GString *here = g_string_new(NULL), *all = g_string_new(NULL);

    for (const char *const *isa = dq_image_isas; *isa; isa++) {
        g_string_append_printf(all, "%s%s", all->len ? ", " : "", *isa);
        if (is_here(*isa)) {
            g_string_append_printf(here, "%s%s", here->len ? ", " : "", *isa);
        }
    }
    if (!here->len) {
        g_string_assign(here, all->str);
    }
    g_string_free(all, TRUE);
    return g_string_free(here, FALSE);
}

static void die_missing(const char *path)
{
    char *found = strchr(path, '/') ? NULL : g_find_program_in_path(path);
    if (found) {
        dq_say_die(DQ_STATUS_NOT_FOUND,
                   "%s: no such file here; PROGRAM is a path and is not looked for in PATH", path);
    }
    dq_say_die(DQ_STATUS_NOT_FOUND, "%s: no such file; give the path of a Linux program", path);
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

static const char *machine_name(uint16_t machine, const unsigned char *ident)
{
    for (size_t i = 0; i < G_N_ELEMENTS(machines); i++) {
        if (machine == machines[i].machine &&
            (!machines[i].class || machines[i].class == ident[EI_CLASS]) &&
            (!machines[i].order || machines[i].order == ident[EI_DATA])) {
            return machines[i].name;
        }
    }
    return "some other machine's";
}

/* The fields that are looked at, in this machine's byte order. */
static void fix_order(Elf64_Ehdr *header)
{
    if (header->e_ident[EI_DATA] == (G_BYTE_ORDER == G_LITTLE_ENDIAN ? ELFDATA2MSB : ELFDATA2LSB)) {
        header->e_machine = GUINT16_SWAP_LE_BE(header->e_machine);
        header->e_type = GUINT16_SWAP_LE_BE(header->e_type);
    }
}

const char *dq_program_isa_of(const char *path, int fd)
{
    union {
        Elf64_Ehdr header; /* up to e_version, the 32-bit one is the same */
        char text[256];
    } head = {0};

    check_file(path, fd);
    ssize_t n = pread(fd, head.text, sizeof(head.text) - 1, 0);
    if (n >= 2 && memcmp(head.text, "#!", 2) == 0) {
        die_script(path, head.text + 2, (size_t)n - 2);
    }
    if (n < (ssize_t)sizeof(Elf32_Ehdr) || memcmp(head.header.e_ident, ELFMAG, SELFMAG) != 0) {
        dq_say_die(DQ_STATUS_CANNOT_RUN,
                   "%s is not an ELF program; this build runs Linux programs "
                   "for %s",
                   path, isa_list());
    }
    const char *isa = dq_image_machine(&head, (size_t)n);
    fix_order(&head.header);
    if (!isa) {
        dq_say_die(DQ_STATUS_CANNOT_RUN, "%s is %s program; this build runs %s", path,
                   machine_name(head.header.e_machine, head.header.e_ident), isa_list());
    }
    if (head.header.e_type != ET_EXEC && head.header.e_type != ET_DYN) {
        dq_say_die(DQ_STATUS_CANNOT_RUN, "%s is an ELF file but not a program; link it first",
                   path);
    }
    return isa;
}

const char *dq_program_isa(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        die_missing(path);
    } else if (fd < 0) {
        dq_say_die(DQ_STATUS_CANNOT_RUN, "%s: %s; the program must be readable", path,
                   g_strerror(errno));
    }
    const char *isa = dq_program_isa_of(path, fd);
    close(fd);
    return isa;
}

const char *dq_program_default_isa(void)
{
    for (const char *const *isa = dq_image_isas; *isa; isa++) {
        if (is_here(*isa)) {
            return *isa;
        }
    }
    return dq_image_isas[0];
}

char *dq_program_node_binary(const char *isa)
{
    char *path = dq_program_find_node_binary(isa);

    if (!path) {
        char *self = g_file_read_link("/proc/self/exe", NULL);

        dq_say_die(DQ_STATUS_FAULT,
                   "the node program dqemu-%s is missing beside %s; run make ISAS=%s, or name it "
                   "with --node-binary",
                   isa, self ? self : "dqemu-launch", isa);
    }
    return path;
}

/* What a shell says that was given a program of another machine is nothing to show. */
static bool is_text(const char *s)
{
    if (!*s || !g_utf8_validate(s, -1, NULL)) {
        return false;
    }
    while (*s && g_unichar_isprint(g_utf8_get_char(s))) {
        s = g_utf8_next_char(s);
    }
    return !*s;
}

char *dq_program_node_build(const char *path, char **why)
{
    char *command[] = {(char *)path, "--dqemu-build", NULL};
    char *out = NULL, *err = NULL;
    GError *error = NULL;
    int status = 0;

    *why = NULL;
    if (!g_spawn_sync("/", command, NULL, G_SPAWN_DEFAULT, NULL, NULL, &out, &err, &status,
                      &error)) {
        *why = g_strdup(error->message);
        g_error_free(error);
        return NULL;
    }
    if (status != 0) {
        err[strcspn(err, "\n")] = '\0'; /* the dynamic linker's words, most of the time */
        *why = is_text(err) ? g_strdup(err) : g_strdup_printf("%s does not start", path);
        g_clear_pointer(&out, g_free);
    }
    g_free(err);
    return out ? g_strstrip(out) : NULL;
}

void dq_program_check_node_binary(const char *path)
{
    if (access(path, X_OK) < 0) {
        dq_say_die(DQ_STATUS_FAULT, "--node-binary %s: %s; give the path of a node program", path,
                   g_strerror(errno));
    }
    char *absolute = g_canonicalize_filename(path, NULL), *why;
    char *build = dq_program_node_build(absolute, &why);
    if (!build) {
        dq_say_die(DQ_STATUS_FAULT, "--node-binary %s: %s; give the path of a node program", path,
                   why);
    }
    if (!g_ascii_isdigit(build[0])) {
        dq_say_die(DQ_STATUS_FAULT,
                   "--node-binary %s: it is no node program of dqemu; give the path of one", path);
    }
    if (strcmp(build, dq_build_id) != 0) {
        dq_say_die(DQ_STATUS_FAULT,
                   "--node-binary %s: it is build %s and this launcher is %s; use both from one "
                   "build",
                   path, build, dq_build_id);
    }
    g_free(build);
    g_free(absolute);
}
