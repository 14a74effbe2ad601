/* SPDX-License-Identifier: BSD-2-Clause */
/* select(2): two bitmaps, who is waited for to be readable and who to be writable.  The kernel overwrites them with
 * its answer, so they are copied for every call, and walked from 0 to the highest descriptor.
 *
 * The type fd_set ends at descriptor 1023, the system call does not: the bitmaps here are as long as they must be, and
 * FD_SET, which Debian's libc makes abort beyond FD_SETSIZE, is not used. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>

#include "driver/poller.h"
#include "driver/poller_table.h"

enum { WORD = sizeof(unsigned long) * CHAR_BIT };       /* the kernel reads the bitmaps as longs */

enum { WANT_READ, WANT_WRITE, IS_READ, IS_WRITE, MAPS };

struct select_self {
    unsigned long *maps[MAPS];  /* one allocation, at maps[0] */
    int            top;         /* one more than the highest descriptor in use */
    int            next;        /* the word to look at first: high descriptors must not starve */
};

static size_t words_for(int fds)
{
    return ((size_t)fds + WORD - 1) / WORD;
}

static int se_open(struct poller *p)
{
    struct select_self *s = calloc(1, sizeof *s);
    size_t words = words_for(p->fds_max);
    if (s == NULL)
        return -1;
    s->maps[0] = calloc(words * MAPS, sizeof(unsigned long));
    if (s->maps[0] == NULL) {
        free(s);
        return -1;
    }
    for (size_t i = 1; i < MAPS; i++)
        s->maps[i] = s->maps[0] + i * words;
    p->self = s;
    return 0;
}

static int se_add(struct poller *p, int fd, uint32_t generation)
{
    struct select_self *s = p->self;
    (void)generation;
    if (fd >= s->top)
        s->top = fd + 1;
    return 0;
}

static void bit_put(unsigned long *map, int fd, bool on)
{
    unsigned long bit = 1ul << (unsigned)(fd % WORD);
    if (on)
        map[fd / WORD] |= bit;
    else
        map[fd / WORD] &= ~bit;
}

static void se_arm(struct poller *p, int fd, uint32_t generation, unsigned can)
{
    struct select_self *s = p->self;
    (void)generation;
    bit_put(s->maps[WANT_READ], fd, (can & CAN_READ) != 0);
    bit_put(s->maps[WANT_WRITE], fd, (can & CAN_WRITE) != 0);
}

static void se_remove(struct poller *p, int fd, bool closing)
{
    struct select_self *s = p->self;
    (void)closing;
    se_arm(p, fd, ANY_GENERATION, 0);
    if (fd + 1 == s->top)
        s->top--;               /* shrinks slowly; empty bits cost little */
}

static int word_report(const struct select_self *s, size_t word, struct ready *out, int room)
{
    unsigned long in = s->maps[IS_READ][word], on = s->maps[IS_WRITE][word], either = in | on;
    int n = 0;
    for (; either != 0 && n < room; either &= either - 1) {
        int bit = __builtin_ctzl(either);
        unsigned can = (in >> bit & 1 ? CAN_READ : 0u) | (on >> bit & 1 ? CAN_WRITE : 0u);
        out[n++] = (struct ready){ .fd = (int)word * WORD + bit, .can = can };
    }
    return n;
}

static int se_wait(struct poller *p, struct ready *out, int max, int timeout_ms)
{
    struct select_self *s = p->self;
    struct timeval tv = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
    size_t words = words_for(s->top), size = words * sizeof(unsigned long);
    memcpy(s->maps[IS_READ], s->maps[WANT_READ], size);
    memcpy(s->maps[IS_WRITE], s->maps[WANT_WRITE], size);
    p->calls++;
    int left = select(s->top, (fd_set *)s->maps[IS_READ], (fd_set *)s->maps[IS_WRITE], NULL,
                      timeout_ms < 0 ? NULL : &tv);
    if (left <= 0)
        return left;
    int n = 0;
    for (size_t i = 0; i < words && n < max; i++) {
        size_t word = ((size_t)s->next + i) % words;
        n += word_report(s, word, out + n, max - n);
        if (n == max)
            s->next = (int)word;
    }
    return n;
}

static void se_close(struct poller *p)
{
    struct select_self *s = p->self;
    free(s->maps[0]);
    free(s);
}

/* No bit tells that the peer has gone, so only EAGAIN or an end of file proves a socket empty; but the next select
 * reports what is left, so a short read may be believed all the same: nothing gets lost, it only comes a turn later. */
const struct poller_ops poller_select = {
    .name = "select", .edge = false, .short_read = true,
    .open = se_open, .add = se_add, .arm = se_arm, .remove = se_remove, .wait = se_wait, .close = se_close,
};
