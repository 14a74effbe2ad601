/* SPDX-License-Identifier: BSD-2-Clause */
/* Choosing the largest of many rows with room for a few: a heap whose top is the smallest that was kept. */
#include "core/census.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/conn_driver.h"

static uint64_t row_value(enum census_key key, const struct census_row *r)
{
    switch (key) {
    case CENSUS_BY_AGE:      return r->age_s;
    case CENSUS_BY_RECEIVED: return r->received;
    case CENSUS_BY_SENT:     return r->sent;
    case CENSUS_BY_BYTES:    break;
    }
    return r->received + r->sent;
}

static bool row_is_less(const struct census *c, unsigned a, unsigned b)
{
    return row_value(c->key, &c->rows[a]) < row_value(c->key, &c->rows[b]);
}

static void rows_swap(struct census *c, unsigned a, unsigned b)
{
    struct census_row kept = c->rows[a];
    c->rows[a] = c->rows[b];
    c->rows[b] = kept;
}

static void row_sink(struct census *c, unsigned at, unsigned count)
{
    for (;;) {
        unsigned least = at, left = 2 * at + 1, right = left + 1;
        if (left < count && row_is_less(c, left, least))
            least = left;
        if (right < count && row_is_less(c, right, least))
            least = right;
        if (least == at)
            return;
        rows_swap(c, at, least);
        at = least;
    }
}

static void row_rise(struct census *c, unsigned at)
{
    while (at > 0 && row_is_less(c, at, (at - 1) / 2)) {
        rows_swap(c, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
}

void census_add(struct census *c, const struct census_row *row)
{
    c->total++;
    if (c->count < c->room) {
        c->rows[c->count] = *row;
        row_rise(c, c->count++);
    } else if (c->room > 0 && row_value(c->key, row) > row_value(c->key, &c->rows[0])) {
        c->rows[0] = *row;
        row_sink(c, 0, c->count);
    }
}

void census_sort(struct census *c)
{
    for (unsigned left = c->count; left > 1; left--) {
        rows_swap(c, 0, left - 1);
        row_sink(c, 0, left - 1);
    }
}

enum census_state census_state_of(const struct conn *c)
{
    if (c->phase == CONN_OVER)
        return CENSUS_CLOSING;
    if (c->phase == CONN_LINGERING)
        return CENSUS_LINGERING;
    if (c->out.bytes > 0)
        return CENSUS_SENDING;
    if (c->errand != NULL)
        return CENSUS_WORKING;
    if (c->kept != NULL || !c->opened)
        return CENSUS_READING;
    return c->service->proto->idle == NULL || c->service->proto->idle(c) ? CENSUS_IDLE : CENSUS_READING;
}

void census_look(struct census_row *row, const struct conn *c)
{
    uint32_t now_s = (uint32_t)(c->out.env->now_ms / 1000);
    *row = (struct census_row){ .received = c->received, .sent = c->sent, .age_s = now_s - c->opened_s,
                                .state = census_state_of(c), .peer = c->peer };
    snprintf(row->service, sizeof row->service, "%s", c->service->name);
}

const char *census_state_name(uint32_t state)
{
    static const char *const names[] = {
        [CENSUS_IDLE] = "idle", [CENSUS_READING] = "reading", [CENSUS_WORKING] = "working",
        [CENSUS_SENDING] = "sending", [CENSUS_LINGERING] = "lingering", [CENSUS_CLOSING] = "closing"
    };
    return state < sizeof names / sizeof *names ? names[state] : "unknown";
}
