/*
 * A program that starts itself in all ways that there are, for tests/e2e/programs.t: plain QEMU has no
 * way to run the children.
 *
 *   programs WAY...      what to do (the functions below), in the folder where the test's scripts lie
 *   NAME show... ARGS... what a started program sees, one line for each thing
 *   NAME status N        ends with that status; NAME signal N: by that signal
 *   NAME used MS MORE    is processor time kept? It goes on as another one, MORE times
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "guest.h"
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/times.h>

extern char **environ;
static char *self;

/* ---------------------------------------------------------------- as a started program */

static void show_descriptors(void)
{
    printf("descriptors:");
    for (int fd = 0; fd < 1024; fd++) {
        if (fcntl(fd, F_GETFD) >= 0) {
            printf(" %d", fd);
        }
    }
    printf("\n");
}

static void show_signals(void)
{
    struct sigaction now;
    sigset_t blocked;

    sigprocmask(SIG_BLOCK, NULL, &blocked);
    for (int sig = 1; sig < SIGRTMIN; sig++) {
        if (sigaction(sig, NULL, &now) == 0 && now.sa_handler != SIG_DFL) {
            printf("signal %d: %s\n", sig, now.sa_handler == SIG_IGN ? "ignored" : "handled");
        }
        if (sigismember(&blocked, sig)) {
            printf("signal %d: blocked\n", sig);
        }
    }
}

static int show(int argc, char **argv)
{
    char folder[PATH_MAX], link[PATH_MAX] = {0};
    const char *pid = getenv("PID_SHOULD_BE");

    for (int i = 0; i < argc; i++) {
        printf("argument %d: %s\n", i, argv[i]);
    }
    for (char **e = environ; *e; e++) {
        if (strncmp(*e, "PID_SHOULD_BE=", 14) != 0) {
            printf("environment: %s\n", *e);
        }
    }
    CHECK(getcwd(folder, sizeof(folder)) && readlink("/proc/self/exe", link, sizeof(link)) > 0);
    printf("name: %s\n", (char *)getauxval(AT_EXECFN));
    printf("folder: %s\nfile: %s\n", strrchr(folder, '/'), strrchr(link, '/'));
    printf("pid: %s\n", pid && atoi(pid) == getpid() ? "the same" : "another");
    show_descriptors();
    show_signals();
    return 0;
}

/* ---------------------------------------------------------------- ways to start one */

/* In a child, whose output comes before what is printed after it. */
static pid_t child(void)
{
    fflush(stdout);
    pid_t pid = fork();
    CHECK(pid >= 0);
    return pid;
}

static void await(pid_t pid, const char *what)
{
    int status;

    CHECK(waitpid(pid, &status, 0) == pid);
    if (WIFSIGNALED(status)) {
        printf("%s: signal %d\n", what, WTERMSIG(status));
    } else {
        printf("%s: status %d\n", what, WEXITSTATUS(status));
    }
}

static void execute(const char *path, char *const argv[], char *const envp[])
{
    execve(path, argv, envp);
    printf("cannot execute %s: %s\n", path, strerror(errno));
    fflush(stdout);
    _exit(126);
}

static void start(const char *path, char *const argv[], char *const envp[], const char *what)
{
    pid_t pid = child();

    if (pid == 0) {
        execute(path, argv, envp);
    }
    await(pid, what);
}

static char *show_argv[] = {"any name", "show", "", "two words", "-L", "--", NULL};
static char *no_environment[] = {NULL};

static void environments(void)
{
    char *odd[] = {"A=1",
                   "LD_PRELOAD=none.so",
                   "QEMU_CPU=none",
                   "no equals sign",
                   "A=2",
                   "DQEMU_EXEC=3",
                   "QEMU_SET_ENV=B=1",
                   "LD_DEBUG=all",
                   "",
                   NULL};

    start(self, show_argv, no_environment, "without environment");
    start(self, show_argv, odd, "with an odd environment");
}

static void folders(void)
{
    char *argv[] = {"relative", "show", NULL};
    const char *base = strrchr(self, '/') + 1;
    char name[PATH_MAX];
    int folder = open("sub", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    CHECK(folder >= 0);
    snprintf(name, sizeof(name), "../%s", base);
    pid_t pid = child();
    if (pid == 0) {
        CHECK(chdir("sub") == 0);
        execute(name, argv, no_environment);
    }
    await(pid, "from another folder");
    pid = child();
    if (pid == 0) {
        syscall(SYS_execveat, folder, name, argv, no_environment, 0);
        _exit(126);
    }
    await(pid, "relative to a descriptor");
    close(folder);
}

static void descriptors(void)
{
    char *argv[] = {"by descriptor", "show", NULL};
    int kept, fd = open(self, O_RDONLY | O_CLOEXEC);
    pid_t pid = child();

    if (pid == 0) {
        CHECK(dup2(1, 20) == 20 && fcntl(21, F_SETFD, FD_CLOEXEC) == -1);
        CHECK(dup2(1, 22) == 22 && fcntl(22, F_SETFD, FD_CLOEXEC) == 0);
        fexecve(fd, argv, no_environment);
        _exit(126);
    }
    await(pid, "fexecve, 20 is open");
    kept = open("script", O_RDONLY);
    pid = child();
    if (pid == 0) {
        CHECK(dup2(kept, 30) == 30);
        close(kept);
        fexecve(30, argv, no_environment);
        _exit(126);
    }
    await(pid, "a script by descriptor");
    close(kept);
    close(fd);
}

static void signals(void)
{
    char *argv[] = {"signals", "show", NULL};
    pid_t pid = child();

    if (pid == 0) {
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signal(SIGHUP, SIG_IGN);
        signal(SIGTERM, (void (*)(int))show_signals);
        execute(self, argv, no_environment);
    }
    await(pid, "with signals");
}

static void same_process(void)
{
    char *argv[] = {"pid", "show", NULL}, variable[40], *envp[] = {variable, NULL};
    pid_t pid = child();

    if (pid == 0) {
        snprintf(variable, sizeof(variable), "PID_SHOULD_BE=%d", (int)getpid());
        execute("/proc/self/exe", argv, envp);
    }
    await(pid, "/proc/self/exe");
}

static void scripts(void)
{
    char *argv[] = {"ignored", "one", "two words", NULL};

    start("./script", argv, no_environment, "a script");
    start("./script_argument", argv, no_environment, "a script with an argument");
    start("./script_of_script", argv, no_environment, "a script that a script runs");
    start("./script_host", argv, no_environment, "a script of the host");
    start("./script_loop", argv, no_environment, "a script that runs itself");
    start("./script_missing", argv, no_environment, "a script without its interpreter");
    start("./text", argv, no_environment, "a text");
}

static void errors(void)
{
    static const char *const names[] = {
        "./none", "./sub", "./text/file", "./unexecutable", "./loop", "./no_loader", "", "./empty"};
    char *argv[] = {"name", NULL}, *huge = malloc(200000), *large[] = {"name", huge, NULL};

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        CHECK(execve(names[i], argv, no_environment) == -1);
        printf("%s: %s\n", names[i], strerror(errno));
    }
    memset(huge, 'x', 199999);
    huge[199999] = 0;
    CHECK(execve(self, large, no_environment) == -1);
    printf("a word of 200000 bytes: %s\n", strerror(errno));
    CHECK(syscall(SYS_execve, self, 1, no_environment) == -1 && errno == EFAULT);
    CHECK(syscall(SYS_execveat, -1, self + 1, argv, no_environment, 0x100000) == -1);
    printf("a flag that is none: %s\n", strerror(errno));
    free(huge);
}

static void libraries(void)
{
    char *argv[] = {"spawned", "status", "7", NULL};
    pid_t pid;

    fflush(stdout);
    CHECK(posix_spawn(&pid, self, NULL, NULL, argv, environ) == 0);
    await(pid, "posix_spawn");
    argv[1] = "signal";
    argv[2] = "15";
    pid = vfork();
    if (pid == 0) {
        execv(self, argv);
        _exit(126);
    }
    await(pid, "vfork");
}

static void shell(void)
{
    char line[PATH_MAX + 40];

    snprintf(line, sizeof(line), "%s status 9", self);
    int status = system(line);
    printf("system: status %d\n", WEXITSTATUS(status));
}

/* ---------------------------------------------------------------- from a thread elsewhere */

static void *in_thread(void *way)
{
    ((void (*)(void))way)();
    return NULL;
}

/* The first thread is never on the node of the main one. */
static void elsewhere(void (*way)(void))
{
    pthread_t thread;

    CHECK(pthread_create(&thread, NULL, in_thread, (void *)way) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
}

static void replace(void)
{
    char *argv[] = {"last", "show", NULL}, variable[40], *envp[] = {"A=1", variable, NULL};

    printf("the process itself:\n");
    fflush(stdout);
    snprintf(variable, sizeof(variable), "PID_SHOULD_BE=%d", (int)getpid());
    execute(self, argv, envp);
}

static void replace_by_status(void)
{
    char *argv[] = {"last", "status", "42", NULL};

    execute(self, argv, no_environment);
}

static void replace_by_signal(void)
{
    char *argv[] = {"last", "signal", "10", NULL};

    execute(self, argv, no_environment);
}

enum { WORK_MS = 300, TICK_MS = 10 }; /* what is counted in ticks may lack one */

static void go_on_as_another(int ms, int more)
{
    char work[16], times[16], *argv[] = {self, "used", work, times, NULL};

    snprintf(work, sizeof(work), "%d", ms);
    snprintf(times, sizeof(times), "%d", more);
    execute(self, argv, no_environment);
}

static int used(int ms, int more)
{
    int64_t clock = guest_now_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000000;
    struct rusage r;
    struct tms t;
    pid_t pid;
    int status;

    CHECK(clock >= ms && clock < ms + 20000);
    CHECK(getrusage(RUSAGE_SELF, &r) == 0);
    CHECK((r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1000 +
              (r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1000 >=
          ms - 2 * TICK_MS);
    CHECK(times(&t) != (clock_t)-1);
    CHECK((t.tms_utime + t.tms_stime) * 1000 / sysconf(_SC_CLK_TCK) >= ms - 2 * TICK_MS);
    pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) { /* it has used nothing */
        _exit(guest_now_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000000 < ms ? 0 : 1);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    printf("used as before\n");
    fflush(stdout);
    if (more) {
        go_on_as_another(ms, more - 1);
    }
    return 0;
}

static void *work(void *arg)
{
    while (guest_now_ns(CLOCK_THREAD_CPUTIME_ID) < WORK_MS * 1000000ll) {
    }
    return arg;
}

static void replace_after_work(void)
{
    guest_elsewhere(work, NULL);
    go_on_as_another(WORK_MS, 2);
}

static const struct {
    const char *name;
    void (*way)(void);
} ways[] = {
    {"environments", environments},
    {"folders", folders},
    {"descriptors", descriptors},
    {"signals", signals},
    {"same", same_process},
    {"scripts", scripts},
    {"errors", errors},
    {"libraries", libraries},
    {"system", shell},
    {"replace", replace},
    {"replace_by_status", replace_by_status},
    {"replace_by_signal", replace_by_signal},
    {"replace_after_work", replace_after_work},
};

static void go(const char *name)
{
    bool other = name[0] == '@';

    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        if (strcmp(ways[i].name, name + other) == 0) {
            other ? elsewhere(ways[i].way) : ways[i].way();
            return;
        }
    }
    CHECK(!"a way that there is");
}

int main(int argc, char **argv)
{
    static char file[PATH_MAX];

    if (argc > 1 && strncmp(argv[1], "show", 4) == 0) {
        return show(argc, argv);
    }
    if (argc > 2 && strcmp(argv[1], "status") == 0) {
        return atoi(argv[2]);
    }
    if (argc > 2 && strcmp(argv[1], "signal") == 0) {
        raise(atoi(argv[2]));
    }
    CHECK(argc > 1 && realpath(argv[0], file));
    self = file;
    if (argc > 3 && strcmp(argv[1], "used") == 0) {
        return used(atoi(argv[2]), atoi(argv[3]));
    }
    for (int i = 1; i < argc; i++) {
        go(argv[i]);
    }
    return 0;
}
