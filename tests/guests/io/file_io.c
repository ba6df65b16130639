/*
 * Many threads on one open file: positioned reads and writes of scattered and large buffers that
 * other nodes wrote last, and a shared file offset that hands every record out once.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include <sys/stat.h>
#include <sys/uio.h>

#include "guest.h"

enum { THREADS = 8, CHUNK = 20000, RECORDS = 400 };

static int fd, records;
static pthread_barrier_t gate;
static unsigned char buffers[THREADS][CHUNK];
static OWN_PAGE atomic_int taken[RECORDS];

static unsigned char expected(int thread, int i)
{
    return thread * 17 + i * 3 + i / 256;
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg, next = (me + 1) % THREADS;

    for (int i = 0; i < CHUNK; i++) {
        buffers[me][i] = expected(me, i);
    }
    pthread_barrier_wait(&gate);
    /* Written by my neighbour, handed to the kernel by me. */
    CHECK(pwrite(fd, buffers[next], CHUNK, (off_t)next * CHUNK) == CHUNK);
    pthread_barrier_wait(&gate);

    unsigned char head[7], *middle = malloc(CHUNK), tail[100];
    CHECK(middle);
    struct iovec parts[] = {
        {head, sizeof(head)},
        {middle, CHUNK - sizeof(head) - sizeof(tail)},
        {NULL, 0},
        {tail, sizeof(tail)},
    };
    CHECK(preadv(fd, parts, 4, (off_t)me * CHUNK) == CHUNK);
    for (int i = 0; i < CHUNK; i++) {
        unsigned char c = i < 7             ? head[i]
                          : i < CHUNK - 100 ? middle[i - 7]
                                            : tail[i - (CHUNK - 100)];
        CHECK(c == expected(me, i));
    }
    free(middle);

    /* Into a buffer of my neighbour's, who looks at it after the barrier. */
    pthread_barrier_wait(&gate);
    CHECK(pread(fd, buffers[next], CHUNK, (off_t)me * CHUNK) == CHUNK);
    pthread_barrier_wait(&gate);
    int previous = (me + THREADS - 1) % THREADS;
    for (int i = 0; i < CHUNK; i += 11) {
        CHECK(buffers[me][i] == expected(previous, i));
    }

    /* The offset is shared: every record goes to exactly one thread. */
    uint32_t record[16];
    ssize_t n;
    while ((n = read(records, record, sizeof(record))) > 0) {
        CHECK(n == sizeof(record) && record[0] < RECORDS && record[15] == ~record[0]);
        atomic_fetch_add(&taken[record[0]], 1);
    }
    CHECK(n == 0);
    CHECK(pread(fd, record, 4, (off_t)THREADS * CHUNK) == 0);
    CHECK(read(-1, record, 4) == -1 && errno == EBADF);
    void *volatile nowhere = (void *)8;
    CHECK(read(fd, nowhere, 4) == -1 && errno == EFAULT);
    return NULL;
}

int main(void)
{
    struct stat st;

    fd = guest_tmpfile();
    records = guest_tmpfile();
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint32_t record[16] = {[0] = i, [15] = ~i};
        CHECK(write(records, record, sizeof(record)) == sizeof(record));
    }
    CHECK(lseek(records, 0, SEEK_SET) == 0);
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    for (int i = 0; i < RECORDS; i++) {
        CHECK(taken[i] == 1);
    }
    CHECK(fstat(fd, &st) == 0 && st.st_size == THREADS * CHUNK);
    printf("file_io: %d bytes, %d records\n", THREADS * CHUNK, RECORDS);
    return 0;
}
