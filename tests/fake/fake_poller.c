/* SPDX-License-Identifier: BSD-2-Clause */
/* A poller that a test scripts, and that holds the driver to the contract of driver/poller.h. */
#include "fake/fake_poller.h"

#include <check.h>
#include <errno.h>
#include <poll.h>

enum {
    WAITS_MAX = 100000,         /* a driver that spins */
    IDLE_MAX = 2000,            /* a script that has nothing to say, and a driver that waits for ever */
    NAP_MS = 20
};

static int fake_open_poller(struct poller *p)
{
    struct fake_poller *f = (struct fake_poller *)(uintptr_t)p->ops;
    if (f->open_errno != 0) {
        errno = f->open_errno;
        return -1;
    }
    p->self = f;
    f->fds_max = p->fds_max;
    f->is_open = true;
    return 0;
}

static int fake_add(struct poller *p, int fd, uint32_t generation)
{
    struct fake_poller *f = p->self;
    ck_assert_int_ge(fd, 0);
    ck_assert_int_lt(fd, p->fds_max);
    ck_assert_msg(!f->entries[fd].added, "%d is added twice", fd);
    if (generation != ANY_GENERATION && f->add_errno != 0) {
        errno = f->add_errno;
        f->add_errno = 0;
        return -1;
    }
    f->entries[fd] = (struct fake_entry){ .added = true, .generation = generation };
    f->conn_adds += generation != ANY_GENERATION;
    f->last_added = fd;
    return 0;
}

static void fake_arm(struct poller *p, int fd, uint32_t generation, unsigned can)
{
    struct fake_poller *f = p->self;
    ck_assert_msg(!p->ops->edge, "an edge-triggered poller is armed");
    ck_assert_msg(fd >= 0 && f->entries[fd].added, "%d is armed and was not added", fd);
    ck_assert_uint_eq(f->entries[fd].generation, generation);
    ck_assert_uint_eq(can & ~(unsigned)(CAN_READ | CAN_WRITE), 0);
    f->entries[fd].armed = can;
    f->arms++;
}

static void fake_remove(struct poller *p, int fd, bool closing)
{
    struct fake_poller *f = p->self;
    (void)closing;
    ck_assert_msg(fd >= 0 && f->entries[fd].added, "%d is removed and was not added", fd);
    f->conn_removes += f->entries[fd].generation != ANY_GENERATION;
    f->entries[fd].added = false;
}

static int fake_wait(struct poller *p, struct ready *out, int max, int timeout_ms)
{
    struct fake_poller *f = p->self;
    ck_assert_int_ge(max, FAKE_HINTS);
    ck_assert_msg(++f->waits < WAITS_MAX, "the driver spins");
    f->hint_count = 0;
    f->wait_errno = 0;
    f->timeout_ms = timeout_ms;
    f->step(f, timeout_ms);
    if (f->wait_errno != 0) {
        errno = f->wait_errno;
        return -1;
    }
    for (int i = 0; i < f->hint_count; i++)
        out[i] = f->hints[i];
    f->idle_waits = f->hint_count > 0 || timeout_ms >= 0 ? 0 : f->idle_waits + 1;
    ck_assert_msg(f->idle_waits < IDLE_MAX, "the driver waits for ever for what the script does not say");
    if (f->hint_count == 0 && timeout_ms > 0)
        poll(NULL, 0, timeout_ms < NAP_MS ? timeout_ms : NAP_MS);
    return f->hint_count;
}

static void fake_close_poller(struct poller *p)
{
    struct fake_poller *f = p->self;
    ck_assert(f->is_open);
    f->is_open = false;
}

void fake_poller_make(struct fake_poller *f, bool edge, bool short_read)
{
    *f = (struct fake_poller){
        .ops = { .name = "fake", .edge = edge, .short_read = short_read,
                 .open = fake_open_poller, .add = fake_add, .arm = fake_arm, .remove = fake_remove,
                 .wait = fake_wait, .close = fake_close_poller },
        .last_added = -1,
    };
}

void fake_hint_as(struct fake_poller *f, int fd, unsigned can, uint32_t generation)
{
    ck_assert_int_lt(f->hint_count, FAKE_HINTS);
    f->hints[f->hint_count++] = (struct ready){ .fd = fd, .can = can, .generation = generation };
}

void fake_hint(struct fake_poller *f, int fd, unsigned can)
{
    fake_hint_as(f, fd, can, f->entries[fd].generation);
}
