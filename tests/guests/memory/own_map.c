/*
 * /proc/self/maps tells whose file memory is, with its place in it and its inode, before and after
 * threads run elsewhere, from each of them: for private mappings, sparse ones, what lies beyond the
 * end of the file, and what has been moved, protected or cut since.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
/* dqemu: remote=1 timeout=30 */
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "guest.h"

enum { PAGES = 1024, TAIL = 4 };

struct line {
    unsigned long from, to, offset;
    unsigned long inode;
    unsigned device[2];
    char perms[5], path[PATH_MAX];
};

static char name[] = "/tmp/own_map.XXXXXX";
static struct stat file;
static char *early, *late, *moved, *shared, *plain;
static int initialized = 3;

static struct line find(const void *address)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    uintptr_t at = (uintptr_t)address;
    struct line l;
    char text[PATH_MAX + 200];

    CHECK(maps);
    while (fgets(text, sizeof(text), maps)) {
        l.path[0] = '\0';
        CHECK(sscanf(text, "%lx-%lx %4s %lx %x:%x %lu %4095[^\n]", &l.from, &l.to, l.perms,
                     &l.offset, &l.device[0], &l.device[1], &l.inode, l.path) >= 7);
        if (at >= l.from && at < l.to) {
            CHECK(fclose(maps) == 0);
            return l;
        }
    }
    CHECK(!"the address is in no mapping");
    return l;
}

/* The page of the file that is mapped at this address. */
static void is_page(const char *address, size_t page, const char *perms)
{
    struct line l = find(address);

    CHECK(strcmp(l.path, name) == 0);
    CHECK(l.inode == file.st_ino);
    CHECK(makedev(l.device[0], l.device[1]) == file.st_dev);
    CHECK(l.offset + ((uintptr_t)address - l.from) == page * GUEST_PAGE);
    CHECK(strcmp(l.perms, perms) == 0);
}

/* All of it is one mapping. */
static void is_whole(const char *address, size_t page, size_t pages)
{
    struct line l = find(address);

    CHECK(l.offset <= page * GUEST_PAGE);
    CHECK(l.to >= (uintptr_t)address + pages * GUEST_PAGE);
}

static char *map(size_t pages, int flags, size_t page)
{
    int fd = open(name, O_RDWR);
    char *memory = mmap(NULL, pages * GUEST_PAGE, PROT_READ | PROT_WRITE, flags, fd,
                        (off_t)(page * GUEST_PAGE));

    CHECK(fd >= 0 && memory != MAP_FAILED && close(fd) == 0);
    return memory;
}

static void look_at(char *memory)
{
    is_page(memory, 1, "rw-p");
    is_page(memory + 500 * GUEST_PAGE, 501, "rw-p");
    is_page(memory + (PAGES - 2) * GUEST_PAGE, PAGES - 1, "rw-p");
    is_page(memory + (PAGES + 1) * GUEST_PAGE, PAGES + 2, "rw-p"); /* beyond the end */
}

static void *look(void *arg)
{
    struct line l;

    look_at(early);
    is_whole(early, 1, PAGES + TAIL);
    is_page(shared, 0, "rw-s");
    l = find(plain);
    CHECK(l.inode == 0 && l.path[0] == '\0' && strcmp(l.perms, "rw-p") == 0);
    l = find(&initialized);
    CHECK(l.inode != 0 && l.path[0] == '/');
    l = find((void *)look);
    CHECK(strcmp(l.perms, "r-xp") == 0 && l.path[0] == '/');
    return arg;
}

static void *change(void *arg)
{
    late = map(PAGES + TAIL, MAP_PRIVATE, 1);
    look_at(late);
    early[700 * GUEST_PAGE] = 1;
    CHECK(mprotect(early + 100 * GUEST_PAGE, 10 * GUEST_PAGE, PROT_READ) == 0);
    is_page(early + 99 * GUEST_PAGE, 100, "rw-p");
    is_page(early + 105 * GUEST_PAGE, 106, "r--p");
    is_page(early + 110 * GUEST_PAGE, 111, "rw-p");
    CHECK(mprotect(early + 100 * GUEST_PAGE, 10 * GUEST_PAGE, PROT_READ | PROT_WRITE) == 0);

    moved = mremap(late, 600 * GUEST_PAGE, 600 * GUEST_PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, plain);
    CHECK(moved == plain);
    is_page(moved, 1, "rw-p");
    is_page(moved + 550 * GUEST_PAGE, 551, "rw-p");
    is_page(late + 601 * GUEST_PAGE, 602, "rw-p");

    CHECK(munmap(moved + 10 * GUEST_PAGE, GUEST_PAGE) == 0);
    is_page(moved + 9 * GUEST_PAGE, 10, "rw-p");
    is_page(moved + 11 * GUEST_PAGE, 12, "rw-p");
    CHECK(mmap(moved + 20 * GUEST_PAGE, GUEST_PAGE, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    CHECK(find(moved + 20 * GUEST_PAGE).inode == 0);
    is_page(moved + 21 * GUEST_PAGE, 22, "rw-p");
    return arg;
}

/* The child of a fork has the same. */
static void look_in_child(void)
{
    int status;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        look_at(early);
        is_page(moved + 550 * GUEST_PAGE, 551, "rw-p");
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
    int fd = mkstemp(name);

    /* data, a hole, and data again */
    CHECK(fd >= 0 && pwrite(fd, "first", 5, 0) == 5);
    CHECK(pwrite(fd, "last", 4, (PAGES - 1) * GUEST_PAGE) == 4);
    CHECK(ftruncate(fd, PAGES * GUEST_PAGE) == 0 && fstat(fd, &file) == 0 && close(fd) == 0);
    early = map(PAGES + TAIL, MAP_PRIVATE, 1);
    shared = map(1, MAP_SHARED, 0);
    plain =
        mmap(NULL, 600 * GUEST_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(plain != MAP_FAILED);

    look(NULL);
    guest_elsewhere(look, NULL);
    look(NULL);
    guest_elsewhere(change, NULL);
    look_at(early);
    is_page(moved + 550 * GUEST_PAGE, 551, "rw-p");
    look_in_child();
    CHECK(unlink(name) == 0);
    puts("own_map: whose file it is, everywhere");
}
