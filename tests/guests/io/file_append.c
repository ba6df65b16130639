/*
 * O_APPEND: records of many threads, through descriptors of their own and through stdio, end up
 * whole in the file, each thread's in its order.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=4 timeout=30 */
#include "guest.h"

enum { THREADS = 8, RECORDS = 30, LENGTH = 200 };

static char path[64];
static FILE *stream;

static void *worker(void *arg)
{
    int me = (intptr_t)arg, fd = open(path, O_WRONLY | O_APPEND);

    CHECK(fd >= 0);
    for (int i = 0; i < RECORDS; i++) {
        char record[LENGTH + 1];
        memset(record, 'a' + me, LENGTH);
        snprintf(record, sizeof(record), "%d %d ", me, i);
        record[strlen(record)] = 'a' + me;
        record[LENGTH - 1] = '\n';
        if (i % 2) {
            CHECK(write(fd, record, LENGTH) == LENGTH);
        } else {
            flockfile(stream);
            CHECK(fwrite(record, 1, LENGTH, stream) == LENGTH && fflush(stream) == 0);
            funlockfile(stream);
        }
    }
    CHECK(close(fd) == 0);
    return NULL;
}

int main(void)
{
    char line[LENGTH + 2];
    int next[THREADS] = {0}, total = 0;

    snprintf(path, sizeof(path), "/tmp/dqemu-guest-XXXXXX");
    int fd = mkstemp(path);
    CHECK(fd >= 0);
    stream = fopen(path, "a");
    CHECK(stream);
    guest_run(THREADS, worker);
    CHECK(fclose(stream) == 0);
    FILE *in = fdopen(fd, "r");
    CHECK(in && unlink(path) == 0);
    while (fgets(line, sizeof(line), in)) {
        int thread, i;
        CHECK(strlen(line) == LENGTH && sscanf(line, "%d %d ", &thread, &i) == 2);
        CHECK(thread >= 0 && thread < THREADS && i == next[thread]++);
        CHECK(line[LENGTH - 2] == 'a' + thread);
        total++;
    }
    CHECK(total == THREADS * RECORDS);
    printf("file_append: %d records\n", total);
    return 0;
}
