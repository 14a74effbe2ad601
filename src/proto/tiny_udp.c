/* SPDX-License-Identifier: BSD-2-Clause */
/* The small services over datagrams: each answers one with one, whatever is in it, and remembers nothing. */
#include "proto/tiny_udp.h"

#include "proto/tiny_text.h"

static struct span echo_answer(struct env *e, const struct datagram *d)
{
    (void)e;
    return d->in;
}

const struct datagram_proto udp_echo = { .name = "echo", .answer = echo_answer };

static struct span discard_answer(struct env *e, const struct datagram *d)
{
    (void)e, (void)d;
    return (struct span){ NULL, 0 };
}

const struct datagram_proto udp_discard = { .name = "discard", .silent = true, .answer = discard_answer };

enum {
    CHARGEN_BYTES_MAX = 512,    /* RFC 864: "a random number (between 0 and 512) of characters" */
    CHARGEN_LINES = (CHARGEN_BYTES_MAX + CHARGEN_LINE - 1) / CHARGEN_LINE
};
_Static_assert(CHARGEN_LINES * CHARGEN_LINE <= DATAGRAM_REPLY_MAX, "whole lines are written, then cut");

/* Different for each datagram, which is all the randomness that is asked for: SplitMix64 of what is at hand. */
static uint64_t chargen_random(const struct env *e, const struct peer *from)
{
    uint64_t x = e->now_ms << 40 ^ e->turn << 24 ^ e->count.datagrams << 16 ^ from->port;
    x = (x + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static struct span chargen_answer(struct env *e, const struct datagram *d)
{
    uint64_t random = chargen_random(e, d->from);
    unsigned first = (unsigned)(random >> 32) % CHARGEN_RING;
    for (unsigned i = 0; i < CHARGEN_LINES; i++)
        chargen_line(d->room + i * CHARGEN_LINE, (first + i) % CHARGEN_RING);
    return (struct span){ d->room, (size_t)(random % (CHARGEN_BYTES_MAX + 1)) };
}

const struct datagram_proto udp_chargen = { .name = "chargen", .answer = chargen_answer };

static struct span daytime_answer(struct env *e, const struct datagram *d)
{
    return (struct span){ d->room, daytime_text(d->room, e->now_s) };
}

const struct datagram_proto udp_daytime = { .name = "daytime", .answer = daytime_answer };

static struct span time_answer(struct env *e, const struct datagram *d)
{
    time_bytes(d->room, e->now_s);
    return (struct span){ d->room, TIME_SIZE };
}

const struct datagram_proto udp_time = { .name = "time", .answer = time_answer };
