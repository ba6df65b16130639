/*
 * What the pager relies on the kernel for: installs, protection, and reading of pages in every
 * condition that a guest can bring about.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dqemu/uffd.h"

#define PAGE 4096u
#define PAGES 64u

static uint8_t *memory;
static uint8_t bytes[PAGE];

static uintptr_t at(unsigned page)
{
    return (uintptr_t)memory + (size_t)page * PAGE;
}

static uint8_t *host(unsigned page)
{
    return (uint8_t *)at(page);
}

/* Fresh memory, of which the given pages have been touched before all is registered. */
static void set_up(unsigned touched, int protection)
{
    memory = mmap(NULL, (size_t)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                  -1, 0);
    g_assert(memory != MAP_FAILED);
    for (unsigned i = 0; i < touched; i++) {
        memset(host(i), 'a', PAGE);
    }
    g_assert_cmpint(mprotect(memory, (size_t)PAGES * PAGE, protection), ==, 0);
    g_assert_cmpint(dq_uffd_register(at(0), (size_t)PAGES * PAGE), ==, 0);
}

static void tear_down(void)
{
    munmap(memory, (size_t)PAGES * PAGE);
}

static bool is_filled(const uint8_t *page, uint8_t with)
{
    for (unsigned i = 0; i < PAGE; i++) {
        if (page[i] != with) {
            return false;
        }
    }
    return true;
}

/* The next fault, which must come. */
static struct uffd_msg next_fault(void)
{
    struct pollfd p = {.fd = dq_uffd_fd(), .events = POLLIN};
    struct uffd_msg m;

    do {
        g_assert_cmpint(poll(&p, 1, 10000), ==, 1);
    } while (dq_uffd_events(&m, 1) == 0);
    g_assert_cmpint(m.event, ==, UFFD_EVENT_PAGEFAULT);
    return m;
}

static void test_forbidden_memory(void)
{
    set_up(0, PROT_NONE);
    memset(bytes, 'x', PAGE);
    dq_uffd_copy(at(3), bytes, 1, false);
    dq_uffd_zero(at(4), 2, true, false);
    memset(bytes, 0, PAGE);
    g_assert_true(dq_uffd_read(at(3), bytes, 1));
    g_assert_true(is_filled(bytes, 'x'));
    mprotect(memory, (size_t)PAGES * PAGE, PROT_READ);
    g_assert_true(is_filled(host(3), 'x') && is_filled(host(4), 0) && is_filled(host(5), 0));
    tear_down();
}

static void test_present_already(void)
{
    set_up(4, PROT_READ | PROT_WRITE);
    memset(bytes, 'x', PAGE);
    dq_uffd_copy(at(0), bytes, 1, true);
    g_assert_true(is_filled(host(0), 'x'));
    dq_uffd_zero(at(1), 5, true, false); /* 1 to 3 are present */
    dq_uffd_zero(at(2), 1, true, true);
    g_assert_true(is_filled(host(1), 'a') && is_filled(host(3), 'a'));
    g_assert_true(is_filled(host(4), 0) && is_filled(host(5), 0));
    tear_down();
}

static void test_absent(void)
{
    set_up(2, PROT_READ | PROT_WRITE);
    memset(bytes, 'x', PAGE);
    g_assert_false(dq_uffd_read(at(9), bytes, 1));
    g_assert_true(is_filled(bytes, 0));
    dq_uffd_protect(at(9), 1);
    dq_uffd_unprotect(at(9), 1);
    dq_uffd_discard(at(9), 1);
    dq_uffd_discard(at(0), 1);
    g_assert_false(dq_uffd_read(at(0), bytes, 1));
    g_assert_true(dq_uffd_read(at(1), bytes, 1));
    tear_down();
    dq_uffd_discard(at(1), 1);
    g_assert_false(dq_uffd_read(at(1), bytes, 1));
}

/* Pages are taken out up to the first that cannot be, and those behind it stay as they are. */
static void test_take(void)
{
    const uint8_t *taken = NULL;

    set_up(4, PROT_READ | PROT_WRITE);
    if (dq_uffd_take(at(0), 1, &taken) == 0) {
        g_test_skip("this kernel cannot move pages (Linux 6.8)");
        tear_down();
        return;
    }
    g_assert_true(is_filled(taken, 'a'));
    g_assert_false(dq_uffd_read(at(0), bytes, 1));
    dq_uffd_protect(at(2), 1);
    g_assert_cmpuint(dq_uffd_take(at(1), 5, &taken), ==, 3);
    g_assert_true(is_filled(taken, 'a') && is_filled(taken + PAGE, 'a'));
    g_assert_true(is_filled(taken + 2 * PAGE, 'a'));
    g_assert_false(dq_uffd_read(at(3), bytes, 1));
    g_assert_cmpuint(dq_uffd_take(at(1), 1, &taken), ==, 0);
    /* more than are kept in memory, by and by */
    for (unsigned i = 0; i < 2000; i++) {
        memset(bytes, (int)(i % 251), PAGE);
        dq_uffd_copy(at(0), bytes, 1, true);
        g_assert_cmpuint(dq_uffd_take(at(0), 1, &taken), ==, 1);
        g_assert_true(is_filled(taken, (uint8_t)(i % 251)));
    }
    tear_down();
    /* memory that is mapped for reading only stays */
    set_up(2, PROT_READ);
    g_assert_cmpuint(dq_uffd_take(at(0), 2, &taken), ==, 0);
    g_assert_true(dq_uffd_read(at(1), bytes, 1) && is_filled(bytes, 'a'));
    tear_down();
}

static void test_not_ours(void)
{
    set_up(0, PROT_READ | PROT_WRITE);
    g_assert_true(mmap(host(8), 8 * PAGE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == host(8));
    memset(host(8), 'k', PAGE);
    memset(bytes, 'x', PAGE);
    dq_uffd_copy(at(8), bytes, 1, true);
    dq_uffd_zero(at(8), 1, true, true);
    dq_uffd_protect(at(8), 1);
    dq_uffd_unprotect(at(8), 1);
    g_assert_true(is_filled(host(8), 'k'));
    /* a run from memory of ours into memory that is not */
    dq_uffd_zero(at(6), 4, true, false);
    g_assert_true(dq_uffd_read(at(6), bytes, 1) && dq_uffd_read(at(7), bytes, 1));
    g_assert_true(is_filled(host(8), 'k'));
    tear_down();
}

/* A run of pages with content, in mappings of several kinds, over a page that is there, and a hole. */
static void test_runs(void)
{
    uint8_t *many = g_malloc(8 * PAGE);

    set_up(0, PROT_READ | PROT_WRITE);
    for (int i = 0; i < 8; i++) {
        memset(many + i * PAGE, 'a' + i, PAGE);
    }
    g_assert_cmpint(mprotect(host(3), 2 * PAGE, PROT_READ), ==, 0);
    g_assert_cmpint(munmap(host(6), PAGE), ==, 0);
    memset(bytes, 'x', PAGE);
    dq_uffd_copy(at(1), bytes, 1, true);
    dq_uffd_copy(at(0), many, 8, true);
    for (int i = 0; i < 8; i++) {
        if (i != 6) {
            g_assert_true(is_filled(host(i), (char)('a' + i)));
        }
    }
    dq_uffd_protect(at(0), 8);
    memset(many, 'x', 8 * PAGE);
    g_assert_false(dq_uffd_read(at(0), many, 8));
    for (int i = 0; i < 8; i++) {
        g_assert_cmpint(many[i * PAGE], ==, i == 6 ? 0 : 'a' + i);
    }
    dq_uffd_discard(at(0), 6);
    g_assert_false(dq_uffd_read(at(5), bytes, 1));
    g_assert_true(dq_uffd_read(at(7), bytes, 1));
    tear_down();
    g_free(many);
}

static gpointer write_to(gpointer page)
{
    *(volatile uint8_t *)page = 'w';
    return NULL;
}

static void test_faults(void)
{
    struct uffd_msg m;
    GThread *t;

    set_up(1, PROT_READ | PROT_WRITE);
    dq_uffd_protect(at(0), 1);
    t = g_thread_new("writer", write_to, host(0));
    m = next_fault();
    g_assert_cmphex(m.arg.pagefault.address & ~(uint64_t)(PAGE - 1), ==, at(0));
    g_assert_true(m.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
    g_assert_true(dq_uffd_read(at(0), bytes, 1) && bytes[0] == 'a');
    dq_uffd_unprotect(at(0), 1);
    g_thread_join(t);
    g_assert_cmpint(*host(0), ==, 'w');

    t = g_thread_new("writer", write_to, host(5));
    m = next_fault();
    g_assert_true(m.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE);
    g_assert_false(m.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WP);
    memset(bytes, 'x', PAGE);
    dq_uffd_copy(at(5), bytes, 1, true);
    g_thread_join(t);
    g_assert_true(host(5)[0] == 'w' && host(5)[1] == 'x');
    tear_down();
}

static gpointer read_zeroes(gpointer page)
{
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    ssize_t n = read(fd, page, PAGE);

    close(fd);
    return GSIZE_TO_POINTER((gsize)n);
}

static void test_kernel_faults(void)
{
    GThread *t;

    set_up(0, PROT_READ | PROT_WRITE);
    t = g_thread_new("reader", read_zeroes, host(2));
    next_fault();
    memset(bytes, 'x', PAGE);
    dq_uffd_copy(at(2), bytes, 1, true);
    g_assert_cmpuint(GPOINTER_TO_SIZE(g_thread_join(t)), ==, PAGE);
    g_assert_true(is_filled(host(2), 0));
    tear_down();
}

static void add_run(void *arg, uintptr_t start, size_t pages)
{
    g_string_append_printf(arg, "%u+%u ", (unsigned)((start - at(0)) / PAGE), (unsigned)pages);
}

static void test_present(void)
{
    GString *runs = g_string_new(NULL);

    set_up(0, PROT_READ | PROT_WRITE);
    dq_uffd_zero(at(2), 3, true, true);
    dq_uffd_zero(at(9), 1, true, true);
    mprotect(host(9), PAGE, PROT_NONE);
    g_assert_cmpint(dq_uffd_present(at(0), (size_t)PAGES * PAGE, add_run, runs), ==, 0);
    g_assert_cmpstr(runs->str, ==, "2+3 9+1 ");
    g_string_free(runs, TRUE);
    tear_down();
}

/* A private mapping: what the kernel shows of the file, what was written, what the file lacks. */
static void test_file(void)
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    GString *own = g_string_new(NULL), *all = g_string_new(NULL);
    size_t length = (size_t)PAGES * PAGE;

    g_assert_cmpint(ftruncate(fd, 3 * PAGE), ==, 0);
    g_assert_cmpint(pwrite(fd, "b", 1, PAGE), ==, 1);
    memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    g_assert(memory != MAP_FAILED);
    dq_uffd_read_file(at(1), bytes);
    g_assert_true(bytes[0] == 'b' && bytes[1] == 0);
    memset(host(2), 'c', PAGE);
    dq_uffd_read_file(at(2), bytes);
    g_assert_true(is_filled(bytes, 'c'));
    dq_uffd_read_file(at(3), bytes);
    g_assert_true(is_filled(bytes, 0));
    g_assert_cmpint(dq_uffd_written(at(0), length, add_run, own), ==, 0);
    g_assert_cmpstr(own->str, ==, "2+1 ");
    g_assert_cmpint(dq_uffd_present(at(1), 2 * PAGE, add_run, all), ==, 0);
    g_assert_true(g_str_has_suffix(all->str, "2+1 ") || g_str_has_suffix(all->str, "1+2 "));
    g_string_free(own, TRUE);
    g_string_free(all, TRUE);
    tear_down();
    close(fd);
}

static void test_fill(void)
{
    set_up(1, PROT_READ | PROT_WRITE);
    memset(bytes, 'd', PAGE);
    dq_uffd_fill(at(0), bytes); /* touched before it was registered: it stays */
    dq_uffd_fill(at(1), bytes);
    g_assert_true(is_filled(host(0), 'a') && is_filled(host(1), 'd'));
    host(1)[0] = 'e';
    dq_uffd_unregister(at(2), PAGE);
    dq_uffd_fill(at(2), bytes); /* not the pager's any more */
    g_assert_true(is_filled(host(2), 0));
    tear_down();
}

/* The kernel itself meets the page: it does not wait where threads alone are served. */
static void test_kernel_not_served(void)
{
    set_up(0, PROT_READ | PROT_WRITE);
    errno = 0;
    g_assert_cmpuint(GPOINTER_TO_SIZE(read_zeroes(host(2))), ==, (size_t)-1);
    g_assert_cmpint(errno, ==, EFAULT);
    dq_uffd_copy(at(2), bytes, 1, true);
    g_assert_cmpuint(GPOINTER_TO_SIZE(read_zeroes(host(2))), ==, PAGE);
    tear_down();
}

static void test_threads_only(void)
{
    dq_uffd_close();
    g_assert_cmpint(dq_uffd_open(true), ==, 0);
    g_assert_false(dq_uffd_serves_kernel());
}

#define ADD(mode, test) g_test_add_func("/uffd/" mode "/" #test, test_##test)
#define ADD_ALL(mode)                                                                              \
    do {                                                                                           \
        ADD(mode, forbidden_memory);                                                               \
        ADD(mode, present_already);                                                                \
        ADD(mode, absent);                                                                         \
        ADD(mode, take);                                                                           \
        ADD(mode, not_ours);                                                                       \
        ADD(mode, runs);                                                                           \
        ADD(mode, faults);                                                                         \
        ADD(mode, present);                                                                        \
        ADD(mode, file);                                                                           \
        ADD(mode, fill);                                                                           \
    } while (0)

/* All of it twice: with a descriptor that serves the kernel, if this user may have one; without. */
int main(int argc, char **argv)
{
    int err;

    g_test_init(&argc, &argv, NULL);
    alarm(60);
    err = dq_uffd_open(false);
    if (err == -EPERM) {
        g_print("1..0 # SKIP userfaultfd is not permitted here\n");
        return 0;
    }
    g_assert_cmpint(err, ==, 0);
    if (dq_uffd_serves_kernel()) {
        ADD_ALL("full");
        ADD("full", kernel_faults);
    }
    ADD("threads", threads_only);
    ADD_ALL("threads");
    ADD("threads", kernel_not_served);
    return g_test_run();
}
