/*
 * DONTNEED of private file mappings from before the threads (what was written then goes, too):
 * of read-only memory, of a mapping that was moved, of what is left of one after parts were
 * unmapped or replaced by anonymous memory, and in the child of a fork.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include "guest.h"

enum { THREADS = 4, PAGES = 16, LENGTH = PAGES * GUEST_PAGE };

static unsigned char *early, *anonymous;
static pthread_barrier_t gate;

static bool is_original(const unsigned char *map, int page)
{
    return map[page * GUEST_PAGE] == page + 1 && map[page * GUEST_PAGE + 4095] == 0;
}

static void discard(void *at, int pages)
{
    CHECK(madvise(at, pages * GUEST_PAGE, MADV_DONTNEED) == 0);
}

static void in_child(void)
{
    pid_t child = fork();
    int status;

    CHECK(child >= 0);
    if (child == 0) {
        early[2 * GUEST_PAGE + 9] = 1;
        discard(early + 2 * GUEST_PAGE, 1);
        CHECK(is_original(early, 2) && early[2 * GUEST_PAGE + 9] == 0);
        CHECK(mmap(early + 2 * GUEST_PAGE, GUEST_PAGE, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == early + 2 * GUEST_PAGE);
        early[2 * GUEST_PAGE] = 1;
        discard(early + 2 * GUEST_PAGE, 1);
        CHECK(early[2 * GUEST_PAGE] == 0);
        _exit(7);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    unsigned char *moved;

    /* Written before the threads were there. */
    CHECK(early[9] == 123);
    pthread_barrier_wait(&gate);
    if (me == 0) {
        discard(early, 1);
        CHECK(mprotect(early + GUEST_PAGE, GUEST_PAGE, PROT_READ) == 0);
    }
    pthread_barrier_wait(&gate);
    CHECK(is_original(early, 0) && early[9] == 0);
    pthread_barrier_wait(&gate);
    if (me == 2) {
        discard(early + GUEST_PAGE, 1);
        CHECK(mprotect(early + GUEST_PAGE, GUEST_PAGE, PROT_READ | PROT_WRITE) == 0);
    }
    pthread_barrier_wait(&gate);
    CHECK(is_original(early, 1));

    /* A hole in the middle, and anonymous memory. */
    early[5 * GUEST_PAGE + me + 1] = 1;
    pthread_barrier_wait(&gate);
    if (me == 3) {
        CHECK(munmap(early + 3 * GUEST_PAGE, GUEST_PAGE) == 0);
        anonymous = mmap(early + 4 * GUEST_PAGE, GUEST_PAGE, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        CHECK(anonymous == early + 4 * GUEST_PAGE && anonymous[0] == 0);
    }
    pthread_barrier_wait(&gate);
    anonymous[me] = me;
    pthread_barrier_wait(&gate);
    if (me == 0) {
        discard(early + 4 * GUEST_PAGE, 2);
    }
    pthread_barrier_wait(&gate);
    CHECK(anonymous[me] == 0 && is_original(early, 5) && early[5 * GUEST_PAGE + me + 1] == 0);

    /* The last part moves. */
    early[10 * GUEST_PAGE + 10 + me] = 1;
    pthread_barrier_wait(&gate);
    if (me == 1) {
        unsigned char *place = guest_map(6 * GUEST_PAGE, PROT_NONE);
        moved = mremap(early + 10 * GUEST_PAGE, 6 * GUEST_PAGE, 6 * GUEST_PAGE,
                       MREMAP_MAYMOVE | MREMAP_FIXED, place);
        CHECK(moved == place);
        CHECK(moved[10] == 1 && moved[13] == 1);
        discard(moved, 6);
        CHECK(moved[0] == 11 && moved[10] == 0 && moved[5 * GUEST_PAGE] == 16);
        in_child();
    }
    pthread_barrier_wait(&gate);
    return NULL;
}

int main(void)
{
    unsigned char page[GUEST_PAGE] = {0};
    int fd = guest_tmpfile();

    for (int i = 0; i < PAGES; i++) {
        page[0] = i + 1;
        CHECK(write(fd, page, sizeof(page)) == sizeof(page));
    }
    early = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(early != MAP_FAILED);
    CHECK(close(fd) == 0);
    early[9] = 123;
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    puts("private_file_discard: the file's content is back");
    return 0;
}
