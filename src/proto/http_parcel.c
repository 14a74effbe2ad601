/* SPDX-License-Identifier: BSD-2-Clause */
/* An HTTP connection between two requests, in bytes.  A head that has not come whole is input that nobody took: it is
 * kept by the connection and read again from its beginning, so there is nothing to say of it but that its time runs. */
#include "proto/http_state.h"

enum { FLAG_SKIPPED = 1 };

struct http_packed {
    uint64_t opened_ms;
    uint32_t answered;
    uint8_t  timer;
    uint8_t  flags;
    uint16_t rest;              /* 0 */
};

bool http_portable(const struct conn *c)
{
    const struct http_state *s = conn_state_const(c);
    return s->phase == PHASE_IDLE || s->phase == PHASE_HEAD;
}

size_t http_pack(const struct conn *c, char *to, size_t room)
{
    const struct http_state *s = conn_state_const(c);
    struct http_packed p = { .answered = s->answered, .timer = s->timer, .flags = s->skipped ? FLAG_SKIPPED : 0 };
    (void)room;
    if (s->timer == TIMER_FIRST)
        p.opened_ms = s->opened_ms;
    memcpy(to, &p, sizeof p);
    return sizeof p;
}

bool http_unpack(struct conn *c, struct span state)
{
    struct http_state *s = conn_state(c);
    struct http_packed p;
    if (state.n != sizeof p)
        return false;
    memcpy(&p, state.p, sizeof p);
    if (p.timer > TIMER_PASSED || p.timer == TIMER_BODY || (p.flags & ~FLAG_SKIPPED) != 0 || p.rest != 0)
        return false;
    s->answered = p.answered;
    s->skipped = (p.flags & FLAG_SKIPPED) != 0;
    s->timer = p.timer == TIMER_IDLE ? TIMER_PASSED : p.timer;
    if (p.timer == TIMER_FIRST)
        s->opened_ms = p.opened_ms < conn_env(c)->now_ms ? p.opened_ms : conn_env(c)->now_ms;
    return true;
}
