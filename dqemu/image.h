/*
 * What a file is that shall be executed: a program for one of the instruction sets that dqemu knows, a
 * script, or something else. As the kernel decides it, from the file's first bytes.
 *
 * Any thread. Nothing here locks; only dq_image_loader() reads a file, the others look at bytes.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_IMAGE_H
#define DQ_IMAGE_H

#include <stdbool.h>
#include <stddef.h>

/* So many first bytes of a file decide (or all, if there are fewer). */
#define DQ_IMAGE_HEAD 256

/* The names of all instruction sets that dqemu knows, in the order of dqemu/isas.inc; NULL ends them. */
extern const char *const dq_image_isas[];

/* That of an ELF file, whether it is a program or not; NULL: it is no such file, or for none of them. */
const char *dq_image_machine(const void *head, size_t length);

/* The same of a program alone. */
const char *dq_image_isa(const void *head, size_t length);

/*
 * The first line of a script: the interpreter's path and the one argument that may follow it, or NULL;
 * the caller's to g_free(). False: it is no script that the kernel would start.
 */
bool dq_image_script(const char *head, size_t length, char **interpreter, char **argument);

/*
 * The path of the dynamic linker that the program in this file asks for, the caller's to g_free(); NULL:
 * none, or the file makes no sense. Reads it, which may block; its offset stays.
 */
char *dq_image_loader(int fd);

#endif
