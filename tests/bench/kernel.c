/*
 * What the kernel asks for what the pager does to a page, by itself and while the other processors
 * are busy: on virtual machines without hardware for their page tables, and where other processors
 * must be told of a change, this is most of what a remote page costs.
 *
 *   kernel [--pages N]
 *
 * Prints, for runs of 1 and of 16 pages, microseconds per page: bringing it in (UFFDIO_COPY), the
 * first access after that, making it writable, write-protecting it (UFFDIO_WRITEPROTECT), reading
 * it through /proc/self/mem, and dropping it (MADV_DONTNEED). Then what a fault costs that another
 * thread serves, as the pager does, and one that the thread serves itself, in its handler of SIGBUS
 * (UFFD_FEATURE_SIGBUS). Needs userfaultfd.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, MOST_RUN = 16, ROUNDS = 5 };

static int uffd = -1, memory;
static char *area;
static size_t pages = 2048;

static void die(const char *what)
{
    fprintf(stderr, "kernel: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* The area under a userfaultfd of its own. */
static void set_up(uint64_t features)
{
    struct uffdio_api api = {.api = UFFD_API, .features = features};
    struct uffdio_register r = {
        .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
    };

    if (uffd >= 0) {
        close(uffd);
        munmap(area, pages * PAGE);
    }
    uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api)) {
        die("userfaultfd");
    }
    memory = open("/proc/self/mem", O_RDONLY);
    area = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory < 0 || area == MAP_FAILED) {
        die("memory");
    }
    madvise(area, pages * PAGE, MADV_NOHUGEPAGE);
    r.range = (struct uffdio_range){(uintptr_t)area, pages * PAGE};
    if (ioctl(uffd, UFFDIO_REGISTER, &r)) {
        die("UFFDIO_REGISTER");
    }
}

/* ---- what is done to a run of pages */

static void bring(char *at, size_t length)
{
    static char content[MOST_RUN * PAGE];
    struct uffdio_copy c = {
        .dst = (uintptr_t)at,
        .src = (uintptr_t)content,
        .len = length,
        .mode = UFFDIO_COPY_MODE_WP,
    };

    if (ioctl(uffd, UFFDIO_COPY, &c)) {
        die("UFFDIO_COPY");
    }
}

static void touch(char *at, size_t length)
{
    for (size_t i = 0; i < length; i += PAGE) {
        (void)*(volatile char *)(at + i);
    }
}

static void set_protection(char *at, size_t length, uint64_t mode)
{
    struct uffdio_writeprotect w = {.range = {(uintptr_t)at, length}, .mode = mode};

    if (ioctl(uffd, UFFDIO_WRITEPROTECT, &w)) {
        die("UFFDIO_WRITEPROTECT");
    }
}

static void make_writable(char *at, size_t length)
{
    set_protection(at, length, 0);
}

static void make_readonly(char *at, size_t length)
{
    set_protection(at, length, UFFDIO_WRITEPROTECT_MODE_WP);
}

static void copy_out(char *at, size_t length)
{
    static char to[MOST_RUN * PAGE];

    if (pread(memory, to, length, (off_t)(uintptr_t)at) != (ssize_t)length) {
        die("/proc/self/mem");
    }
}

static void drop(char *at, size_t length)
{
    if (madvise(at, length, MADV_DONTNEED)) {
        die("MADV_DONTNEED");
    }
}

static const struct {
    const char *name;
    void (*act)(char *at, size_t length);
} steps[] = {
    {"bring in", bring},
    {"first access", touch},
    {"make writable", make_writable},
    {"write-protect", make_readonly},
    {"copy out", copy_out},
    {"drop", drop},
};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };

static double per_page(int step, size_t run)
{
    double start = now_us();

    for (size_t i = 0; i + run <= pages; i += run) {
        steps[step].act(area + i * PAGE, run * PAGE);
    }
    return (now_us() - start) / (double)pages;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static void measure(size_t run, double median[STEPS])
{
    double took[STEPS][ROUNDS];

    for (int round = 0; round < ROUNDS; round++) {
        for (int s = 0; s < STEPS; s++) {
            took[s][round] = per_page(s, run);
        }
    }
    for (int s = 0; s < STEPS; s++) {
        qsort(took[s], ROUNDS, sizeof(took[s][0]), compare);
        median[s] = took[s][ROUNDS / 2];
    }
}

/* ---- faults */

static double fault_everywhere(void)
{
    double start = now_us();

    touch(area, pages * PAGE);
    return (now_us() - start) / (double)pages;
}

static void *serve(void *arg)
{
    struct uffd_msg m;

    (void)arg;
    for (size_t i = 0; i < pages && read(uffd, &m, sizeof(m)) == sizeof(m); i++) {
        bring((char *)(uintptr_t)m.arg.pagefault.address, PAGE);
    }
    return NULL;
}

/* On the same processor, as on a node that has only one. */
static double served_by_thread(void)
{
    pthread_t thread;
    double us;

    set_up(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    if (pthread_create(&thread, NULL, serve, NULL)) {
        die("pthread_create");
    }
    us = fault_everywhere();
    pthread_join(thread, NULL);
    return us;
}

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
    (void)sig, (void)context;
    bring((char *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1)), PAGE);
}

static double served_by_itself(void)
{
    struct sigaction sa = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};

    sigaction(SIGBUS, &sa, NULL);
    set_up(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_SIGBUS);
    return fault_everywhere();
}

/* ---- the other processors */

static void pin(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

/* A process that computes, on another processor; it ends with this one. */
static pid_t keep_busy(void)
{
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_NONBLOCK) || (pid = fork()) < 0) {
        die("fork");
    }
    if (pid == 0) {
        char byte;

        close(ends[1]);
        pin(1);
        while (read(ends[0], &byte, 1) < 0) {
            for (volatile int i = 0; i < 100000; i++) {
            }
        }
        _exit(0);
    }
    close(ends[0]);
    return pid;
}

int main(int argc, char **argv)
{
    double us[2][2][STEPS]; /* [other processors busy][run of 16] */
    double by_thread, by_itself;

    if (argc == 3 && strcmp(argv[1], "--pages") == 0) {
        pages = (strtoul(argv[2], NULL, 10) + MOST_RUN - 1) / MOST_RUN * MOST_RUN;
    } else if (argc != 1) {
        fprintf(stderr, "usage: kernel [--pages N]\n");
        return 2;
    }
    pin(0);
    set_up(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
    for (int busy = 0; busy < 2; busy++) {
        pid_t other = busy ? keep_busy() : 0;

        measure(1, us[busy][0]);
        measure(MOST_RUN, us[busy][1]);
        if (other) {
            kill(other, SIGKILL);
            waitpid(other, NULL, 0);
        }
    }
    printf("us per page       alone            another processor busy\n"
           "                  run of 1   of 16   run of 1   of 16\n");
    for (int s = 0; s < STEPS; s++) {
        printf("%-16s  %8.2f  %6.2f   %8.2f  %6.2f\n", steps[s].name, us[0][0][s], us[0][1][s],
               us[1][0][s], us[1][1][s]);
    }
    by_thread = served_by_thread();
    by_itself = served_by_itself();
    printf("a fault that another thread serves %.2f us, that the thread serves itself %.2f us\n",
           by_thread, by_itself);
    return 0;
}
