/*
 * What a file is that shall be executed.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/image.h"

#include <elf.h>
#include <glib.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

const char *const dq_image_isas[] = {
#define X(name, machine, class, order) name,
#include "dqemu/isas.inc"
#undef X
    NULL,
};

/* In the same order. */
static const struct {
    uint16_t machine;
    uint8_t class, order;
} isas[] = {
#define X(name, machine, class, order) {machine, class, order},
#include "dqemu/isas.inc"
#undef X
};

/* A number of the file's byte order, of 2, 4 or 8 bytes. */
static uint64_t number(const unsigned char *at, size_t size, uint8_t order)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++) {
        value = value << 8 | at[order == ELFDATA2LSB ? size - 1 - i : i];
    }
    return value;
}

/* A field of a structure that has one form for each class. */
#define FIELD(bytes, elf, type, name)                                                              \
    ((elf)[EI_CLASS] == ELFCLASS64 ? number((bytes) + offsetof(Elf64_##type, name),                \
                                            sizeof(((Elf64_##type *)0)->name), (elf)[EI_DATA])     \
                                   : number((bytes) + offsetof(Elf32_##type, name),                \
                                            sizeof(((Elf32_##type *)0)->name), (elf)[EI_DATA]))

const char *dq_image_machine(const void *head, size_t length)
{
    const unsigned char *elf = head;

    if (length < sizeof(Elf32_Ehdr) || memcmp(elf, ELFMAG, SELFMAG) != 0) {
        return NULL;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(isas); i++) {
        if (elf[EI_CLASS] == isas[i].class && elf[EI_DATA] == isas[i].order &&
            FIELD(elf, elf, Ehdr, e_machine) == isas[i].machine) {
            return dq_image_isas[i];
        }
    }
    return NULL;
}

const char *dq_image_isa(const void *head, size_t length)
{
    const unsigned char *elf = head;
    const char *isa = dq_image_machine(head, length);

    if (!isa || (elf[EI_CLASS] == ELFCLASS64 && length < sizeof(Elf64_Ehdr))) {
        return NULL;
    }
    const uint64_t type = FIELD(elf, elf, Ehdr, e_type);
    return type == ET_EXEC || type == ET_DYN ? isa : NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && is_blank(*at)) {
        at++;
    }
    return at;
}

bool dq_image_script(const char *head, size_t length, char **interpreter, char **argument)
{
    if (length < 2 || memcmp(head, "#!", 2) != 0) {
        return false;
    }
    const char *end = memchr(head, '\n', MIN(length, (size_t)DQ_IMAGE_HEAD));
    const bool cut = !end && length >= DQ_IMAGE_HEAD;
    const char *const limit = end ? end : head + (cut ? DQ_IMAGE_HEAD - 1 : length);

    end = limit;
    while (end > head + 2 && is_blank(end[-1])) {
        end--;
    }
    const char *name = skip_blanks(head + 2, end), *rest = name;
    while (rest < end && !is_blank(*rest) && *rest != '\0') {
        rest++;
    }
    if (rest == name || (cut && rest == limit)) {
        return false; /* no interpreter, or one whose name goes on beyond what is looked at */
    }
    *interpreter = g_strndup(name, (size_t)(rest - name));
    rest = skip_blanks(rest, end);
    *argument = rest < end && *rest ? g_strndup(rest, (size_t)(end - rest)) : NULL;
    return true;
}

static char *read_path(int fd, uint64_t offset, uint64_t size)
{
    char path[PATH_MAX];

    if (size < 2 || size > sizeof(path) || pread(fd, path, size, (off_t)offset) != (ssize_t)size ||
        path[size - 1] != '\0') {
        return NULL;
    }
    return g_strdup(path);
}

char *dq_image_loader(int fd)
{
    unsigned char elf[sizeof(Elf64_Ehdr)], entry[sizeof(Elf64_Phdr)];

    if (pread(fd, elf, sizeof(elf), 0) != (ssize_t)sizeof(elf) || !dq_image_isa(elf, sizeof(elf))) {
        return NULL;
    }
    const uint64_t count = FIELD(elf, elf, Ehdr, e_phnum), table = FIELD(elf, elf, Ehdr, e_phoff);
    const uint64_t size = elf[EI_CLASS] == ELFCLASS64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    for (uint64_t i = 0; i < count; i++) {
        if (pread(fd, entry, size, (off_t)(table + i * size)) != (ssize_t)size) {
            return NULL;
        }
        if (FIELD(entry, elf, Phdr, p_type) == PT_INTERP) {
            return read_path(fd, FIELD(entry, elf, Phdr, p_offset),
                             FIELD(entry, elf, Phdr, p_filesz));
        }
    }
    return NULL;
}
