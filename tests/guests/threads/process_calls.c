/*
 * Calls that act on the process, a thread or its limits, made by a remote thread: they act on the guest,
 * say what they say to any thread, and do not disturb what runs it: memory still comes and goes, threads
 * still start, signals still arrive.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=60 */
#include "guest.h"
#include <linux/membarrier.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { PAGES = 16 };

static unsigned char memory[PAGES][GUEST_PAGE] OWN_PAGE;
static pthread_barrier_t gate;
static atomic_int signals;

static void on_signal(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)info;
    (void)context;
    atomic_fetch_add(&signals, 1);
}

static void *touch(void *arg)
{
    for (int i = 0; i < PAGES; i++) {
        memory[i][1]++;
    }
    return arg;
}

/* Whatever the last call was: everything goes on. */
static void go_on(void)
{
    int before = atomic_load(&signals), turn = memory[0][1];
    void *map = guest_map(4 * GUEST_PAGE, PROT_READ | PROT_WRITE);

    guest_elsewhere(touch, map);
    for (int i = 0; i < PAGES; i++) {
        CHECK(memory[i][1] == (unsigned char)(turn + 1));
    }
    memset(map, 1, 4 * GUEST_PAGE);
    CHECK(munmap(map, 4 * GUEST_PAGE) == 0);
    CHECK(raise(SIGUSR1) == 0 && atomic_load(&signals) == before + 1);
}

static void set_limit(int which, rlim_t soft)
{
    struct rlimit limit, now;

    CHECK(getrlimit(which, &limit) == 0);
    limit.rlim_cur = soft;
    CHECK(setrlimit(which, &limit) == 0);
    CHECK(getrlimit(which, &now) == 0 && now.rlim_cur == soft);
    go_on();
}

static void use_limits(void)
{
    char line[2 * GUEST_PAGE] = {0};
    int fd = guest_tmpfile();

    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_MEMLOCK, 0);
    set_limit(RLIMIT_NOFILE, 16);
    set_limit(RLIMIT_NOFILE, 3);
    CHECK(open("/dev/null", O_RDONLY) == -1 && errno == EMFILE);
    set_limit(RLIMIT_NOFILE, 16);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    set_limit(RLIMIT_FSIZE, GUEST_PAGE);
    CHECK(write(fd, line, sizeof(line)) == GUEST_PAGE);
    CHECK(write(fd, line, 1) == -1 && errno == EFBIG);
    CHECK(close(fd) == 0);
}

static void use_name(void)
{
    char path[64], name[32] = {0};
    int fd;

    snprintf(path, sizeof(path), "/proc/self/task/%ld/comm", (long)syscall(SYS_gettid));
    CHECK(prctl(PR_SET_NAME, "a name too long for it") == 0);
    CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "a name too long") == 0);
    fd = open(path, O_RDONLY);
    memset(name, 0, sizeof(name));
    CHECK(fd >= 0 && read(fd, name, sizeof(name) - 1) == 16);
    CHECK(strcmp(name, "a name too long\n") == 0 && close(fd) == 0);
}

static void use_prctl(void)
{
    int value;

    use_name();
    CHECK(prctl(PR_SET_TIMERSLACK, 70000) == 0 && prctl(PR_GET_TIMERSLACK) == 70000);
    CHECK(prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0);
    CHECK(prctl(PR_GET_PDEATHSIG, &value) == 0 && value == SIGUSR2);
    CHECK(prctl(PR_SET_PDEATHSIG, 0) == 0);
    CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    CHECK(prctl(PR_GET_CHILD_SUBREAPER, &value) == 0 && value == 1);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
    go_on();
    CHECK(prctl(PR_SET_DUMPABLE, 1) == 0 && prctl(PR_GET_DUMPABLE) == 1);
    /* what would reach the emulator instead of the guest: QEMU has neither */
    CHECK(prctl(PR_SET_SECCOMP, 1, NULL) == -1 && errno == EINVAL);
    CHECK(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == -1 && errno == EINVAL);
    go_on();
}

static void use_barrier(void)
{
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0) > 0);
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
    CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0);
    CHECK(syscall(SYS_membarrier, 1 << 30, 0, 0) == -1 && errno == EINVAL);
}

/* Of the thread alone, from then on. */
static void use_own_folder(void)
{
    char path[PATH_MAX];

    CHECK(unshare(CLONE_FS) == 0);
    CHECK(chdir("/proc") == 0 && umask(0123) != 0123);
    CHECK(getcwd(path, sizeof(path)) && strcmp(path, "/proc") == 0 && umask(0) == 0123);
    go_on();
}

static void use_rights(void)
{
    uid_t user = getuid();

    CHECK(setuid(user) == 0 && geteuid() == user);
    CHECK(setresuid(-1, user, -1) == 0 && setregid(getgid(), -1) == 0);
    CHECK((int)personality(0xffffffff) != -1);
    go_on();
}

static void *worker(void *arg)
{
    if (arg) {
        use_prctl();
        use_barrier();
        use_own_folder();
        use_rights();
        use_limits();
    }
    pthread_barrier_wait(&gate);
    return arg;
}

int main(void)
{
    char path[PATH_MAX];
    pthread_t threads[2];

    guest_handler(SIGUSR1, on_signal, 0);
    CHECK(chdir("/") == 0);
    CHECK(pthread_barrier_init(&gate, NULL, 2) == 0);
    guest_start(threads, 2, worker);
    guest_join(threads, 2);
    CHECK(getcwd(path, sizeof(path)) && strcmp(path, "/") == 0);
    puts("process_calls: limits, prctl, membarrier, unshare, rights");
    return 0;
}
