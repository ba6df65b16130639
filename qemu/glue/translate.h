/*
 * The hooks of the translator, in a header of their own: accel/tcg knows nothing of linux-user.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQEMU_TRANSLATE_H
#define DQEMU_TRANSLATE_H

/*
 * In cpu_exec(), around tb_gen_code() and outside mmap_lock: the page of guest code at `pc`
 * is here, and stays, until the translation is done (or left by longjmp).
 */
void dq_translate_begin(vaddr pc);
void dq_translate_end(void);

#endif
