/*
 * Which userfaultfd this user may have.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "deploy/permission.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef USERFAULTFD_IOC_NEW /* Linux 6.1 */
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

#ifndef UFFD_USER_MODE_ONLY /* Linux 5.11 */
#define UFFD_USER_MODE_ONLY 1
#endif

static int open_full(void)
{
    int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

    if (device >= 0) {
        int fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC);
        close(device);
        if (fd >= 0) {
            return fd;
        }
    }
    return (int)syscall(SYS_userfaultfd, O_CLOEXEC);
}

/* -1 with errno: neither is there. */
static int open_any(const char **what)
{
    int fd = open_full();

    *what = "full";
    if (fd < 0 && errno == EPERM) {
        *what = "threads";
        fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
        errno = fd < 0 && errno == EINVAL ? EPERM : errno; /* an older kernel */
    }
    return fd;
}

/* fd: as open_any() gave it, with errno. */
static const char *opening_trouble(int fd)
{
    if (fd < 0 && errno == EPERM) {
        return "no permission for userfaultfd, which more than one node needs; use Linux 5.11 or "
               "later, run as root, or, in a container, allow the system call userfaultfd";
    }
    if (fd < 0 && errno == ENOSYS) {
        return "this kernel has no userfaultfd, which more than one node needs; use Linux 5.7 or "
               "later with CONFIG_USERFAULTFD";
    }
    return fd < 0 ? "userfaultfd, which more than one node needs, cannot be opened" : NULL;
}

const char *dq_permission_trouble(const char **what)
{
    const char *which;
    int fd = open_any(&which);
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
        *what = which;
    }
    return trouble;
}
