/*
 * Pages of private file mappings get their content when they are touched first: from several nodes at
 * once, by instruction and by system call; a change of the file shows in pages that nobody has touched,
 * and never in those that were written to. So it is for mappings from before the threads and from after,
 * for holes, where the file was cut, after a move, after DONTNEED, and in the child of a fork. What takes
 * the place of such a mapping is zero.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include "guest.h"

/* Pages that are looked at are so far apart that nobody asks for one ahead of a thread. */
enum { THREADS = 4, STEP = 17, PLACES = 64, PAGES = STEP * PLACES };
#define LENGTH ((size_t)PAGES * GUEST_PAGE)
#define SPARSE ((size_t)1 << 30)

static unsigned char *early, *late;
static pthread_barrier_t gate;
static int fd;

static size_t place(int i)
{
    return (size_t)i * STEP * GUEST_PAGE;
}

static unsigned char original(int i)
{
    return 1 + i;
}

static void is(const unsigned char *map, int i, unsigned char byte)
{
    CHECK(map[place(i)] == byte && map[place(i) + GUEST_PAGE - 1] == byte);
}

static void is_original(const unsigned char *map, int i)
{
    is(map, i, original(i));
}

static void change(int i, unsigned char byte)
{
    unsigned char page[GUEST_PAGE];

    memset(page, byte, sizeof(page));
    CHECK(pwrite(fd, page, sizeof(page), place(i)) == sizeof(page));
}

static void both(void (*check)(const unsigned char *map, int i), int i)
{
    check(early, i);
    check(late, i);
}

/* One thread does something between two gates. */
#define ALONE(me, who, what)                                                                       \
    do {                                                                                           \
        pthread_barrier_wait(&gate);                                                               \
        if ((me) == (who)) {                                                                       \
            what;                                                                                  \
        }                                                                                          \
        pthread_barrier_wait(&gate);                                                               \
    } while (0)

static void map_late(void)
{
    late = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(late != MAP_FAILED);
}

static void first_touch(int me)
{
    /* one after the other's, all the same one, some by all who write */
    both(is_original, 4 + me);
    both(is_original, 8);
    __atomic_add_fetch((uint32_t *)(early + place(9)), me + 1, __ATOMIC_RELAXED);
    __atomic_add_fetch((uint32_t *)(late + place(9)), me + 1, __ATOMIC_RELAXED);
    pthread_barrier_wait(&gate);
    CHECK(*(uint32_t *)(early + place(9)) == original(9) * 0x01010101u + 10);
    CHECK(*(uint32_t *)(late + place(9)) == original(9) * 0x01010101u + 10);
}

/* The kernel is the first that touches them. */
static void by_call(int me)
{
    unsigned char *map = me % 2 ? early : late, back[2];
    int pipes[2], i = 10 + me;

    CHECK(pipe(pipes) == 0);
    CHECK(write(pipes[1], map + place(i) + 5, 2) == 2);
    CHECK(read(pipes[0], back, 2) == 2 && back[0] == original(i) && back[1] == original(i));
    CHECK(write(pipes[1], "xy", 2) == 2);
    CHECK(read(pipes[0], map + place(i + 4) + 100, 2) == 2);
    CHECK(map[place(i + 4) + 100] == 'x' && map[place(i + 4) + 102] == original(i + 4));
    is_original(map, i + 4);
    close(pipes[0]);
    close(pipes[1]);
}

static void changes(int me)
{
    /* written to, before the threads and now: apart from the file */
    is(early, 1, 0);
    CHECK(early[place(2)] == 77 && early[place(2) + 1] == original(2));
    late[place(20 + me)] = 88;
    ALONE(me, 1, {
        change(1, 101);
        change(2, 102);
        for (int i = 20; i < 30; i++) {
            change(i, 100 + i);
        }
    });
    is(early, 1, 0);
    CHECK(early[place(2)] == 77 && early[place(2) + 1] == original(2));
    is(late, 1, 101);
    is(late, 2, 102);
    for (int i = 20; i < 24; i++) {
        CHECK(late[place(i)] == 88 && late[place(i) + 1] == original(i));
    }
    is(early, 20 + me, 120 + me);
    is(early, 24 + me, 124 + me);
    is(late, 24 + me, 124 + me);
    is(late, 28, 128);

    /* what is discarded is touched again */
    ALONE(me, 2, {
        CHECK(madvise(late + place(20), place(2), MADV_DONTNEED) == 0);
        CHECK(madvise(early + place(1), place(1), MADV_DONTNEED) == 0);
    });
    is(late, 20, 120);
    is(late, 21, 121);
    CHECK(late[place(22)] == 88);
    is(early, 1, 101);
    CHECK(early[place(2)] == 77);
    ALONE(me, 0, change(21, 5); CHECK(madvise(late + place(21), 4096, MADV_DONTNEED) == 0));
    is(late, 21, 5);
}

/* A hole that is filled, and a file that is cut and grows again. */
static void holes(int me)
{
    static unsigned char *map;
    static int sparse;

    ALONE(me, 3, {
        sparse = guest_tmpfile();
        CHECK(ftruncate(sparse, (off_t)SPARSE) == 0);
        CHECK(pwrite(sparse, "a", 1, 0) == 1);
        map = mmap(NULL, SPARSE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, sparse, 0);
        CHECK(map != MAP_FAILED);
    });
    CHECK(map[0] == 'a' && map[place(1)] == 0 && map[SPARSE - 1] == 0);
    CHECK(map[place(20 + me)] == 0);
    ALONE(me, 1, CHECK(pwrite(sparse, "b", 1, place(40)) == 1));
    CHECK(map[place(40)] == 'b');
    ALONE(me, 2, {
        CHECK(pwrite(sparse, "d", 1, place(100)) == 1);
        CHECK(ftruncate(sparse, GUEST_PAGE) == 0);
        CHECK(ftruncate(sparse, (off_t)SPARSE) == 0);
    });
    CHECK(map[place(100)] == 0);
    ALONE(me, 0, CHECK(munmap(map, SPARSE) == 0); close(sparse));
}

static void in_child(void)
{
    int pipes[2], status;
    pid_t child;

    CHECK(mprotect(late + place(33), GUEST_PAGE, PROT_NONE) == 0);
    CHECK(mprotect(late + place(34), place(1), PROT_READ) == 0);
    late[place(31)] = 99;
    CHECK(pipe(pipes) == 0);
    child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        for (int i = 35; i < 50; i++) {
            is_original(late, i);
            is_original(early, i);
        }
        CHECK(late[place(31)] == 99 && late[place(31) + 1] == original(31));
        CHECK(write(pipes[1], late + place(33), 1) == -1 && errno == EFAULT);
        CHECK(mprotect(late + place(33), GUEST_PAGE, PROT_READ) == 0);
        is_original(late, 33);
        CHECK(read(pipes[0], late + place(34), 1) == -1 && errno == EFAULT);
        is_original(late, 34);
        late[place(36)] = late[place(31)] = 1;
        CHECK(madvise(late + place(31), place(6), MADV_DONTNEED) == 0);
        is_original(late, 31);
        is_original(late, 36);
        late[place(37)] = 1;
        CHECK(munmap(late + place(30), place(2)) == 0);
        is_original(late, 38);
        _exit(7);
    }
    CHECK(write(pipes[1], "z", 1) == 1);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
    CHECK(mprotect(late + place(33), GUEST_PAGE, PROT_READ) == 0);
    CHECK(mprotect(late + place(34), place(1), PROT_READ | PROT_WRITE) == 0);
    CHECK(late[place(31)] == 99);
    close(pipes[0]);
    close(pipes[1]);
}

static void moves(int me)
{
    static unsigned char *moved;

    late[place(50) + me] = 150 + me;
    memset(late + place(51) + me * (GUEST_PAGE / THREADS), 0, GUEST_PAGE / THREADS);
    is_original(late, 52);
    ALONE(me, 1, {
        unsigned char *to = guest_map(place(8), PROT_NONE);

        moved = mremap(late + place(49), place(8), place(8), MREMAP_MAYMOVE | MREMAP_FIXED, to);
        CHECK(moved == to);
        moved -= place(49);
        change(53, 203);
    });
    is_original(moved, 49);
    for (int t = 0; t < THREADS; t++) {
        CHECK(moved[place(50) + t] == 150 + t && moved[place(50) + THREADS] == original(50));
    }
    is(moved, 51, 0);
    is_original(moved, 52);
    is(moved, 53, 203);
    is_original(moved, 54);

    /* grown, and what there is goes on being the file's */
    ALONE(me, 3, {
        moved = mremap(moved + place(49), place(8), place(12), MREMAP_MAYMOVE);
        CHECK(moved != MAP_FAILED);
        moved -= place(49);
    });
    is_original(moved, 55);
    is_original(moved, 58 + me % 2);
    is(moved, 51, 0);

    /* what was there is gone, and what comes there is zero */
    ALONE(me, 0, {
        unsigned char *fresh = mmap(late + place(49), place(8), PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

        CHECK(fresh == late + place(49));
        fresh = mmap(moved + place(56), place(4), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        CHECK(fresh == moved + place(56));
    });
    is(late, 50, 0);
    is(late, 53 + me % 2, 0);
    is(moved, 56 + me, 0);
    is_original(moved, 55);

    /* and the file again */
    ALONE(me, 2, {
        CHECK(mmap(late + place(49), place(8), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd,
                   place(40)) == late + place(49));
    });
    is(late - place(9) + place(18), 41 + me, original(41 + me));
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;

    ALONE(me, 0, map_late());
    first_touch(me);
    by_call(me);
    changes(me);
    holes(me);
    ALONE(me, 0, in_child());
    ALONE(me, 3, in_child());
    moves(me);
    return NULL;
}

int main(void)
{
    fd = guest_tmpfile();
    CHECK(ftruncate(fd, LENGTH) == 0);
    for (int i = 0; i < PLACES; i++) {
        change(i, original(i));
    }
    early = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(early != MAP_FAILED);
    is_original(early, 0);
    memset(early + place(1), 0, GUEST_PAGE);
    early[place(2)] = 77;
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    puts("private_file_touch: each page got its content when it was touched");
    return 0;
}
