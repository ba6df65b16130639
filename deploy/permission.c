/*
 * Which userfaultfd this user may have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/permission.h"

#include <errno.h>
#include <linux/userfaultfd.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "dqemu/userfaultfd.h"

/* fd: as dq_userfaultfd_open() gave it. */
static const char *opening_trouble(int fd)
{
    if (fd == -EPERM) {
        return "no permission for userfaultfd, which more than one node needs; use Linux 5.11 or "
               "later, run as root, or, in a container, allow the system call userfaultfd";
    }
    if (fd == -ENOSYS) {
        return "this kernel has no userfaultfd, which more than one node needs; use Linux 5.7 or "
               "later with CONFIG_USERFAULTFD";
    }
    return fd < 0 ? "userfaultfd, which more than one node needs, cannot be opened" : NULL;
}

const char *dq_permission_trouble(const char **what)
{
    bool full;
    int fd = dq_userfaultfd_open(false, &full);
    const char *trouble = opening_trouble(fd);
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};

    if (!trouble && ioctl(fd, UFFDIO_API, &api) < 0) {
        trouble = "this kernel's userfaultfd cannot write-protect pages, which more than one node "
                  "needs; use Linux 5.7 or later";
    }
    if (fd >= 0) {
        close(fd);
    }
    if (!trouble && what) {
        *what = full ? "full" : "threads";
    }
    return trouble;
}
