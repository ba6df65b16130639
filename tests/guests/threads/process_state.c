/*
 * What belongs to the process is changed by one thread for all: working directory, umask, resource
 * limits, open files, environment, and user-visible ids.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=20 */
#include <sys/resource.h>
#include <sys/stat.h>

#include "guest.h"

enum { THREADS = 4 };

static pthread_barrier_t gate;
static int shared_fd = -1;

/*
 * Under a number that nobody takes by chance: when a first thread ends, glibc in the emulator loads
 * its unwinder, and has the file open for a moment under the lowest free number.
 */
static int open_shared(void)
{
    int low = open("/dev/zero", O_RDONLY);
    int fd = fcntl(low, F_DUPFD, 64);

    CHECK(low >= 0 && fd >= 64);
    CHECK(close(low) == 0);
    return fd;
}

static void *worker(void *arg)
{
    int me = (intptr_t)arg;
    char path[PATH_MAX];
    struct rlimit limit;

    for (int turn = 0; turn < THREADS; turn++) {
        pthread_barrier_wait(&gate);
        if (turn == me) {
            CHECK(chdir(turn % 2 ? "/proc" : "/") == 0);
            umask(turn + 1);
            CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
            limit.rlim_cur = 100 + turn;
            CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
            char value[8];
            snprintf(value, sizeof(value), "%d", turn);
            CHECK(setenv("GUEST_TURN", value, 1) == 0);
            shared_fd = open_shared();
        }
        pthread_barrier_wait(&gate);
        CHECK(getcwd(path, sizeof(path)) && strcmp(path, turn % 2 ? "/proc" : "/") == 0);
        CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == (rlim_t)(100 + turn));
        CHECK(atoi(getenv("GUEST_TURN")) == turn);
        char byte = 1;
        CHECK(read(shared_fd, &byte, 1) == 1 && byte == 0);
        pthread_barrier_wait(&gate);
        if ((turn + 1) % THREADS == me) {
            mode_t old = umask(0);
            CHECK(old == (mode_t)turn + 1);
            umask(old);
            CHECK(close(shared_fd) == 0);
        }
        pthread_barrier_wait(&gate);
        CHECK(read(shared_fd, &byte, 1) == -1 && errno == EBADF);
    }
    return NULL;
}

int main(void)
{
    CHECK(pthread_barrier_init(&gate, NULL, THREADS) == 0);
    guest_run(THREADS, worker);
    printf("process_state: %d turns\n", THREADS);
    return 0;
}
