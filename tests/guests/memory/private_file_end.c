/*
 * Private mappings that reach beyond the end of their file: the access is SIGBUS with BUS_ADRERR
 * in any thread, by instruction, and EFAULT by system call; mappings from before there were
 * threads and from after; once the file has grown, the same access works.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <setjmp.h>

#include "guest.h"

enum { THREADS = 4, PAGES = 4 };

static unsigned char *early, *late, *outside;
static pthread_barrier_t gate;
static int fd;
static __thread sigjmp_buf back;
static __thread unsigned char *expected;

static void on_bus(int sig, siginfo_t *info, void *context)
{
    (void)context;
    CHECK(sig == SIGBUS && info->si_code == BUS_ADRERR);
    CHECK(info->si_addr == expected);
    siglongjmp(back, 1);
}

static void raises(unsigned char *at, bool write)
{
    volatile unsigned char *p = at;

    expected = at;
    if (sigsetjmp(back, 1) == 0) {
        if (write) {
            *p = 1;
        } else {
            (void)*p;
        }
        guest_fail(__FILE__, __LINE__, "no fault");
    }
}

static void ends(unsigned char *map, int me)
{
    CHECK(map[GUEST_PAGE + 99] == 'x' && map[GUEST_PAGE + 100] == 0);
    CHECK(map[2 * GUEST_PAGE - 1] == 0);
    raises(map + 2 * GUEST_PAGE + me, true);
    raises(map + 3 * GUEST_PAGE + me, false);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    unsigned char *moved;
    int pipes[2];

    ends(early, me);
    if (me == 0) {
        late = mmap(NULL, PAGES * GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
        outside = mmap(NULL, GUEST_PAGE, PROT_READ, MAP_PRIVATE, fd, 16 * GUEST_PAGE);
        CHECK(late != MAP_FAILED && outside != MAP_FAILED);
    }
    pthread_barrier_wait(&gate);
    ends(late, me);
    raises(outside + 5, false);
    late[me] = 10 + me;

    /* The kernel reads up to the end, and no further. */
    CHECK(pipe(pipes) == 0);
    CHECK(write(pipes[1], late + 2 * GUEST_PAGE, GUEST_PAGE) == -1 && errno == EFAULT);
    pthread_barrier_wait(&gate);

    /* Moved and grown: the content and the end go along. */
    if (me == 1) {
        moved = mremap(late, PAGES * GUEST_PAGE, 2 * PAGES * GUEST_PAGE, MREMAP_MAYMOVE);
        CHECK(moved != MAP_FAILED);
        late = moved;
    }
    pthread_barrier_wait(&gate);
    for (int t = 0; t < THREADS; t++) {
        CHECK(late[t] == 10 + t);
    }
    ends(late, me);
    raises(late + 7 * GUEST_PAGE, false);
    pthread_barrier_wait(&gate);

    if (me == 2) {
        CHECK(ftruncate(fd, 3 * GUEST_PAGE) == 0);
        CHECK(pwrite(fd, "new", 3, 2 * GUEST_PAGE) == 3);
    }
    pthread_barrier_wait(&gate);
    CHECK(late[2 * GUEST_PAGE] == 'n' && early[2 * GUEST_PAGE + 2] == 'w');
    raises(late + 3 * GUEST_PAGE, true);
    pthread_barrier_wait(&gate);

    /* Protected, written and discarded like the rest. */
    late[2 * GUEST_PAGE + 100 + me] = me + 1;
    pthread_barrier_wait(&gate);
    for (int t = 0; t < THREADS; t++) {
        CHECK(late[2 * GUEST_PAGE + 100 + t] == t + 1);
    }
    pthread_barrier_wait(&gate);
    if (me == 3) {
        CHECK(madvise(late, 3 * GUEST_PAGE, MADV_DONTNEED) == 0);
    }
    pthread_barrier_wait(&gate);
    CHECK(late[me] == 'x' && late[2 * GUEST_PAGE] == 'n' && late[2 * GUEST_PAGE + 100 + me] == 0);
    pthread_barrier_wait(&gate);
    if (me == 0) {
        CHECK(munmap(late, 2 * PAGES * GUEST_PAGE) == 0);
        CHECK(munmap(early, PAGES * GUEST_PAGE) == 0);
        CHECK(munmap(outside, GUEST_PAGE) == 0);
    }
    close(pipes[0]);
    close(pipes[1]);
    return NULL;
}

int main(void)
{
    unsigned char contents[GUEST_PAGE + 100];

    fd = guest_tmpfile();
    memset(contents, 'x', sizeof(contents));
    CHECK(write(fd, contents, sizeof(contents)) == sizeof(contents));
    early = mmap(NULL, PAGES * GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(early != MAP_FAILED);
    guest_handler(SIGBUS, on_bus, 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    puts("private_file_end: the file's end is the mapping's");
    return 0;
}
