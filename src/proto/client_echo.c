/* SPDX-License-Identifier: BSD-2-Clause */
/* The asking side of echo (RFC 862): every byte must come back as it was sent.  Over a connection messages of one size
 * follow each other; a datagram begins with its number, and one that was lost is missed when its time is over. */
#include <string.h>

#include "base/clock.h"
#include "proto/client_inner.h"

/* hot */
static size_t echo_hear(struct conn *c, struct span in)
{
    struct client *k = conn_state(c);
    const struct client_settings *s = client_settings_of(c);
    const struct client_plan *p = s->plan;
    size_t used = 0;
    uint64_t now_us = clock_monotonic_us();
    while (used < in.n && k->count > 0) {
        size_t rest = p->request_size - (size_t)k->answer.at, n = in.n - used < rest ? in.n - used : rest;
        k->answer.wrong |= memcmp(in.p + used, p->request.p + k->answer.at, n) != 0;
        k->answer.at += n;
        used += n;
        if (k->answer.at < p->request_size)
            break;
        if (k->answer.wrong)
            client_count(&s->sheet->content, 1);
        client_answered(c, now_us, p->request_size);
        k->answer = (struct client_answer){ 0 };
    }
    if (used < in.n) {          /* more came back than was sent */
        client_count(&s->sheet->malformed, 1);
        conn_abort(c);
        return in.n;
    }
    if (p->one_each && k->count == 0)
        conn_finish(c);         /* the server closes when it hears that */
    else
        client_speak(c, now_us);
    return used;
}

const struct proto client_echo = {
    .name = "echo-client",
    .open = client_open,
    .input = echo_hear,
    .eof = client_eof,
    .expired = client_expired,
    .room = client_room,
    .close = client_close,
    .speaks_us = client_speaks_us,
};

/* The number of the oldest that is under way. */
static uint64_t oldest_number(const struct client *k, const struct client_settings *s)
{
    return s->course->sequence - k->count + 1;
}

static size_t number_size(const struct client_plan *p)
{
    return p->request_size < sizeof(uint64_t) ? p->request_size : sizeof(uint64_t);
}

/* Answers come in any order or not at all: those before the one that came are given up. */
static size_t datagram_hear(struct conn *c, struct span in)
{
    struct client *k = conn_state(c);
    const struct client_settings *s = client_settings_of(c);
    const struct client_plan *p = s->plan;
    size_t head = number_size(p);
    uint64_t number = 0, oldest = oldest_number(k, s), now_us = clock_monotonic_us();
    if (in.n >= head)
        memcpy(&number, in.p, head);
    if (head < sizeof number)
        number = oldest;
    if (k->count == 0 || number < oldest)
        return in.n;            /* it was missed already */
    if (in.n != p->request_size || memcmp(in.p + head, p->request.p + head, in.n - head) != 0 ||
        number >= oldest + k->count)
        client_count(&s->sheet->content, 1);
    for (; number > oldest && k->count > 1; oldest++)
        client_lose(c, now_us);
    client_answered(c, now_us, in.n);
    client_speak(c, now_us);
    return in.n;
}

/* Those whose time is over are lost; those behind them may still be answered. */
static void datagram_expired(struct conn *c)
{
    const struct client *k = conn_state_const(c);
    uint64_t now_us = clock_monotonic_us();
    while (k->count > 0 && k->asked[k->first].until_ms <= conn_env(c)->now_ms)
        client_lose(c, now_us);
    client_wait(c);
    client_speak(c, now_us);
}

const struct proto client_echo_datagrams = {
    .name = "echo-client",
    .open = client_open,
    .input = datagram_hear,
    .eof = client_eof,
    .expired = datagram_expired,
    .room = client_room,
    .close = client_close,
    .speaks_us = client_speaks_us,
};
