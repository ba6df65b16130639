/*
 * Resident memory, by statm, status and getrusage(), from any thread: more when threads have written to
 * it, wherever they run, and less when it was given back.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=2 timeout=30 */
#include <sys/resource.h>

#include "guest.h"

enum { THREADS = 4 };

static const size_t each = 8 << 20, most = THREADS * each / 1024, slack = 4 << 10; /* bytes; KiB */
static char *memory;

static long statm(int field)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long value[3];

    CHECK(f && fscanf(f, "%ld %ld %ld", &value[0], &value[1], &value[2]) == 3);
    CHECK(fclose(f) == 0);
    return value[field] * (sysconf(_SC_PAGESIZE) / 1024);
}

static long status(const char *key)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long value = -1;

    while (f && value < 0 && fgets(line, sizeof(line), f)) {
        if (strncmp(line, key, strlen(key)) == 0) {
            value = atol(line + strlen(key));
        }
    }
    CHECK(f && fclose(f) == 0 && value >= 0);
    return value;
}

static void *fill(void *arg)
{
    memset(memory + (intptr_t)arg * each, 1, each);
    return arg;
}

static void grew(long before, long after)
{
    CHECK(after >= before + (long)(most - slack));
}

static void *look(void *arg)
{
    long by_statm, by_status, anonymous;
    struct rusage usage;

    CHECK(madvise(memory, THREADS * each, MADV_DONTNEED) == 0);
    by_statm = statm(1), by_status = status("VmRSS:"), anonymous = status("RssAnon:");
    guest_run(THREADS, fill);
    grew(by_statm, statm(1));
    grew(by_status, status("VmRSS:"));
    grew(anonymous, status("RssAnon:"));
    CHECK(status("VmHWM:") >= status("VmRSS:") - (long)slack);
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss >= status("VmRSS:") - (long)slack);
    CHECK(statm(0) >= statm(1) && statm(0) < 64l << 20); /* less than 64 GiB of addresses */
    CHECK(status("VmSize:") < 64l << 20 && status("VmData:") < 64l << 20);

    by_statm = statm(1), by_status = status("VmRSS:");
    CHECK(madvise(memory, THREADS * each, MADV_DONTNEED) == 0);
    grew(statm(1), by_statm);
    grew(status("VmRSS:"), by_status);
    CHECK(status("VmHWM:") >= by_status - (long)slack);
    return arg;
}

int main(void)
{
    memory = guest_map(THREADS * each, PROT_READ | PROT_WRITE);
    look(NULL);
    guest_elsewhere(look, NULL);
    look(NULL);
    puts("resident: what is there, everywhere");
}
