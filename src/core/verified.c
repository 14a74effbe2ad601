/* SPDX-License-Identifier: BSD-2-Clause */
/* A table of sets: a mark has one set to be in, and the oldest of a set gives way.  So it never grows, and who has
 * right credentials for nothing pushes nobody far. */
#include "core/verified.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/random.h"

enum { SETS = 256, WAYS = 8 };              /* 2,048 users at a time, 48 KiB */

struct verified_entry {
    struct verified_mark mark;
    uint64_t             until_ms;          /* 0: free */
};

struct verified {
    pthread_mutex_t       lock;             /* on the blocking model many threads ask */
    uint64_t              keys[2][2];
    struct verified_entry entries[SETS][WAYS];
};

struct verified *verified_new(void)
{
    struct verified *v = calloc(1, sizeof *v);
    if (v == NULL)
        return NULL;
    pthread_mutex_init(&v->lock, NULL);
    random_fill(v->keys, sizeof v->keys);
    return v;
}

void verified_free(struct verified *v)
{
    if (v == NULL)
        return;
    pthread_mutex_destroy(&v->lock);
    explicit_bzero(v, sizeof *v);
    free(v);
}

/* Two hashes with keys of their own: 128 bits, so that no two credentials are ever the same. */
struct verified_mark verified_mark_of(const struct verified *v, struct span bytes)
{
    return (struct verified_mark){ { random_hash(v->keys[0], bytes.p, bytes.n),
                                     random_hash(v->keys[1], bytes.p, bytes.n) } };
}

static bool mark_equal(struct verified_mark a, struct verified_mark b)
{
    return ((a.hash[0] ^ b.hash[0]) | (a.hash[1] ^ b.hash[1])) == 0;
}

static struct verified_entry *set_of(struct verified *v, struct verified_mark mark)
{
    return v->entries[mark.hash[0] % SETS];
}

bool verified_knows(struct verified *v, struct verified_mark mark, uint64_t now_ms)
{
    struct verified_entry *set = set_of(v, mark);
    bool known = false;
    pthread_mutex_lock(&v->lock);
    for (int i = 0; i < WAYS; i++)
        known |= set[i].until_ms > now_ms && mark_equal(set[i].mark, mark);
    pthread_mutex_unlock(&v->lock);
    return known;
}

void verified_add(struct verified *v, struct verified_mark mark, uint64_t now_ms)
{
    struct verified_entry *set = set_of(v, mark), *to = &set[0];
    pthread_mutex_lock(&v->lock);
    for (int i = 0; i < WAYS; i++) {
        if (mark_equal(set[i].mark, mark)) {
            to = &set[i];
            break;
        }
        if (set[i].until_ms < to->until_ms)
            to = &set[i];
    }
    *to = (struct verified_entry){ mark, now_ms + VERIFIED_MS };
    pthread_mutex_unlock(&v->lock);
}
