/*
 * What the pager asks of the kernel: userfaultfd, and reading guest memory without touching it.
 *
 * Addresses are host addresses, page-aligned. Open and close before and after all other use;
 * the rest may be called by any thread at any time, and blocks no longer than a system call
 * on memory does.
 *
 * A range may vanish or change under any of these calls: the guest maps and unmaps on other
 * threads. A range that is not registered (any more) is therefore no error here: nothing is
 * done to it, and whoever waits for it is woken, to find out what is there now.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef DQ_UFFD_H
#define DQ_UFFD_H

#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Opens what the functions below need. Where this user may have no more, or `threads_only`, the
 * descriptor serves the faults of threads alone (UFFD_USER_MODE_ONLY, Linux 5.11): the kernel's own
 * accesses to absent or protected pages fail with EFAULT. 0; -EPERM: not even that is permitted;
 * -ENOSYS: the kernel has not got it, or lacks write protection; -ENOTSUP: what the guest may not
 * read, the process may not either; or -errno.
 */
int dq_uffd_open(bool threads_only);
/* The kernel's own accesses are served, too. */
bool dq_uffd_serves_kernel(void);
void dq_uffd_close(void); /* also in a forked child: its memory is not the pager's */

/* The descriptor: readable when there are events. */
int dq_uffd_fd(void);
/* The next events, at most `most`. How many; 0: none now. */
int dq_uffd_events(struct uffd_msg *events, int most);

/* Events tell the very byte of an access; else (before Linux 5.18) only its page. */
bool dq_uffd_is_exact(void);

int dq_uffd_register(uintptr_t start, size_t length);   /* 0 or -errno */
int dq_uffd_unregister(uintptr_t start, size_t length); /* 0 or -errno; wakes who waits there */

/*
 * Make pages present with this content. Wakes. A page that is present already is replaced:
 * only memory that was not registered when it was touched can be, and what the page's last
 * writer sent is what the page holds.
 */
void dq_uffd_copy(uintptr_t at, const void *data, size_t pages, bool writable);
/*
 * Make pages present with zeroes, writable or not. Wakes. Those present already stay as they
 * are: either they are what another fault has just brought, or they were touched before the
 * range was registered, and by nobody else, or they would not be granted as untouched.
 * `soon`: the pages are about to be written, so give them memory of their own at once.
 */
#define DQ_ZERO_PAGES 32u /* of which so many are one system call */
void dq_uffd_zero(uintptr_t at, size_t pages, bool writable, bool soon);

/* Likewise one page, writable, with these bytes. */
void dq_uffd_fill(uintptr_t at, const void *bytes);

/* No thread writes to the pages once this returns. */
void dq_uffd_protect(uintptr_t at, size_t pages);
void dq_uffd_unprotect(uintptr_t at, size_t pages); /* wakes */
void dq_uffd_wake(uintptr_t at, size_t pages);
/* The pages are absent once this returns. */
void dq_uffd_discard(uintptr_t at, size_t pages);

/*
 * Take pages out: as protect, read and discard, but by moving their memory elsewhere, in one
 * change of the page table instead of two. How many, from the first on, and where their bytes are
 * until the next call. Less than all, or none: the kernel does not move such a page (absent,
 * shared with another process, mapped for reading only, in use by a device), or none at all
 * (before Linux 6.8); these are as they were.
 */
size_t dq_uffd_take(uintptr_t at, size_t pages, const uint8_t **bytes);

/*
 * The content of pages, whatever their protection. An absent page reads as zeroes, without
 * becoming present and without waiting for the pager. True: none was absent.
 */
bool dq_uffd_read(uintptr_t at, void *to, size_t pages);

/*
 * A page of a file, anywhere in this process. What cannot be read (beyond the end of the file, an error
 * of the disk) reads as zeroes.
 */
void dq_uffd_read_file(uintptr_t at, void *to);

/* Report, as runs, the pages of the range that have content (present or swapped out). */
int dq_uffd_present(uintptr_t start, size_t length,
                    void (*run)(void *arg, uintptr_t at, size_t pages), void *arg);
/* The same of private mappings, without pages that are (still) those of a file. */
int dq_uffd_written(uintptr_t start, size_t length,
                    void (*run)(void *arg, uintptr_t at, size_t pages), void *arg);

#endif
