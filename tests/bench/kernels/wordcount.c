/*
 * The words of a text counted by map and reduce, as in Phoenix (Ranger et al., HPCA 2007): each
 * thread takes blocks of the text from a common counter and counts their words in a table of its
 * own, divided into shares by the hash; then each thread adds up one share of all the tables.
 *
 * The text is generated; how often a word appears follows Zipf's law. Lines do not cross blocks.
 *
 * Checked: the generator's own counts of each word.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#include "kernel.h"

enum {
    WORDS = 4096,
    BLOCK = 16384, /* bytes of text that a thread takes at a time */
    SHARES = 64,   /* of the words, for the reduction */
    SLOTS = 512,   /* of a share in a table: far more than the words that fall into it */
    LONGEST = 15
};

static const struct {
    int blocks, rounds;
} sizes[SIZES] = {[TEST] = {48, 3}, [SMALL] = {256, 10}, [LARGE] = {2048, 12}};

struct slot {
    char word[LONGEST + 1];
    uint64_t count;
};

typedef struct slot table[SHARES][SLOTS];

static int blocks, rounds;
static char (*text)[BLOCK];
static table *counted[KERNEL_MAX_THREADS], *result;
static char word[WORDS][LONGEST + 1];
static double popular[WORDS]; /* the sum of the frequencies up to here */
static OWN_PAGE atomic_int next_block;
static OWN_PAGE uint64_t generated[KERNEL_MAX_THREADS][WORDS];

/* Syllables spell the number: all words differ. */
static void make_words(void)
{
    static const char *const syllable[16] = {"ba", "de", "fi", "go", "hu", "ka", "le", "mi",
                                             "no", "pu", "ra", "se", "ti", "vo", "wu", "za"};
    double sum = 0;

    for (int i = 0; i < WORDS; i++) {
        for (int n = i + 1; n > 0; n /= 16) {
            strcat(word[i], syllable[n % 16]);
        }
        popular[i] = sum += 1.0 / (i + 1);
    }
}

static int pick(double u)
{
    int low = 0, high = WORDS - 1;

    u *= popular[WORDS - 1];
    while (low < high) {
        int middle = (low + high) / 2;
        if (popular[middle] <= u) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void make_block(int b, uint64_t *counts)
{
    int length = 0;

    for (int i = 0;; i++) {
        int w = pick(kernel_uniform(b, i)), size = strlen(word[w]);
        if (length + size + 1 > BLOCK) {
            break;
        }
        memcpy(text[b] + length, word[w], size);
        length += size;
        text[b][length++] = i % 12 == 11 ? '\n' : ' ';
        counts[w]++;
    }
    memset(text[b] + length, '\n', BLOCK - length);
}

static struct slot *find(table *t, const char *start, int length)
{
    uint64_t hash = KERNEL_HASH;

    CHECK(length <= LONGEST);
    for (int i = 0; i < length; i++) {
        hash = (hash ^ (unsigned char)start[i]) * 0x100000001b3ull;
    }
    hash ^= hash >> 32;
    struct slot *share = (*t)[hash % SHARES];
    for (uint64_t i = hash / SHARES;; i++) {
        struct slot *s = &share[i % SLOTS];
        if (s->word[0] == 0) {
            memcpy(s->word, start, length);
        }
        if (memcmp(s->word, start, length) == 0 && s->word[length] == 0) {
            return s;
        }
    }
}

static void map_block(const char *from, table *t)
{
    for (int i = 0; i < BLOCK; i++) {
        int start = i;
        while (i < BLOCK && from[i] >= 'a' && from[i] <= 'z') {
            i++;
        }
        if (i > start) {
            find(t, from + start, i - start)->count++;
        }
    }
}

static void reduce_share(int share)
{
    for (int t = 0; t < kernel.threads; t++) {
        for (int i = 0; i < SLOTS; i++) {
            struct slot *s = &(*counted[t])[share][i];
            if (s->count) {
                find(result, s->word, strlen(s->word))->count += s->count;
            }
        }
    }
}

static void work(int me)
{
    struct share my = kernel_share(blocks, me), shares = kernel_share(SHARES, me);
    int b;

    for (b = my.first; b < my.end; b++) {
        make_block(b, generated[me]);
    }
    kernel_region_begins(me);
    while ((b = atomic_fetch_add(&next_block, 1)) < blocks * rounds) {
        map_block(text[b % blocks], counted[me]);
    }
    kernel_barrier();
    for (int s = shares.first; s < shares.end; s++) {
        reduce_share(s);
    }
    kernel_region_ends(me);
}

int main(int argc, char **argv)
{
    uint64_t hash = KERNEL_HASH, total = 0;

    kernel_options(argc, argv);
    blocks = sizes[kernel.size].blocks;
    rounds = sizes[kernel.size].rounds;
    make_words();
    text = kernel_alloc((size_t)blocks * BLOCK);
    result = kernel_alloc(sizeof(table));
    for (int t = 0; t < kernel.threads; t++) {
        counted[t] = kernel_alloc(sizeof(table));
    }
    kernel_run(work);
    for (int w = 0; w < WORDS; w++) {
        uint64_t expected = 0, count = find(result, word[w], strlen(word[w]))->count;
        for (int t = 0; t < kernel.threads; t++) {
            expected += generated[t][w] * rounds;
        }
        CHECK(count == expected);
        hash = kernel_hash(hash, &count, 1);
        total += count;
        if (w < 5) {
            printf("%8llu %s\n", (unsigned long long)count, word[w]);
        }
    }
    printf("wordcount: %llu words, counts %016llx\n", (unsigned long long)total,
           (unsigned long long)hash);
    return 0;
}
