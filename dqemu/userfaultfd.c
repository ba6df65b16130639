/*
 * The ways to a userfaultfd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "dqemu/userfaultfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef USERFAULTFD_IOC_NEW /* Linux 6.1 */
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#ifndef UFFD_USER_MODE_ONLY /* Linux 5.11 */
#define UFFD_USER_MODE_ONLY 1
#endif

/* The two ways to a descriptor that serves all. -EPERM: neither is this user's. */
static int open_full(void)
{
    int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    int device, err;

    if (fd >= 0 || errno != EPERM) {
        return fd >= 0 ? fd : -errno;
    }
    device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    if (device < 0) {
        return -EPERM;
    }
    fd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
    err = errno;
    close(device);
    return fd >= 0 ? fd : -err;
}

int dq_userfaultfd_open(bool threads_only, bool *serves_kernel)
{
    int fd = threads_only ? -EPERM : open_full();

    *serves_kernel = fd >= 0;
    if (fd != -EPERM) {
        return fd;
    }
    fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    /* EINVAL: a kernel that does not know the flag */
    return fd >= 0 ? fd : errno == EINVAL ? -EPERM : -errno;
}
