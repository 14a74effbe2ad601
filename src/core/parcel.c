/* SPDX-License-Identifier: BSD-2-Clause */
/* Packing and unpacking.  What comes is believed only as far as it can be checked: lengths add up, names are names, times
 * are not later than they could be. */
#include "core/parcel.h"

#include <errno.h>
#include <string.h>

#include "core/conn_kept.h"
#include "core/heirs.h"
#include "core/tally.h"

enum { PARCEL_MAGIC = 0x696f6d70 };     /* "iomp" */

enum { PARCEL_HEADER_DUE = 1 };         /* flags */

enum { GRACE_MS = 250 };                /* for what its client has sent before it came to be expired */

/* The head of a parcel; names, state and kept input follow it without a gap. */
struct parcel_head {
    uint32_t    magic;
    uint16_t    form, flags;
    uint32_t    service_n, proto_n, state_n, kept_n;
    uint32_t    opened_s, timeout_ms;
    uint64_t    deadline_ms, progress_ms, received, sent;
    struct peer peer;
    uint32_t    rest;                   /* 0 */
};

static struct span kept_of(const struct conn *c)
{
    return c->kept != NULL ? (struct span){ c->kept->data, c->kept->n } : SPAN("");
}

static bool is_between_messages(const struct conn *c)
{
    const struct proto *proto = c->service->proto;
    if (!c->opened)
        return c->header_due;
    return proto->portable != NULL ? proto->portable(c) : proto->state_size == 0;
}

bool conn_portable(const struct conn *c)
{
    if (c->phase != CONN_OPEN || c->out.bytes > 0 || c->errand != NULL || c->eof || c->leaving || c->refused || c->extra)
        return false;
    return is_between_messages(c) && kept_of(c).n <= PARCEL_MAX - PARCEL_STATE_MAX - 2 * PARCEL_NAME_MAX -
                                                  sizeof(struct parcel_head);
}

bool conn_has_heir(const struct conn *c)
{
    const struct env *e = c->out.env;
    return e->draining && e->heirs != NULL && e->heirs->serve(e->heirs, c->service);
}

bool conn_may_stay(const struct conn *c)
{
    const struct heirs *h = c->out.env->heirs;
    return h != NULL && __atomic_load_n(&h->patient, __ATOMIC_RELAXED);
}

void conn_taken(struct conn *c)
{
    c->passed = true;
    c->phase = CONN_OVER;
}

bool conn_passed(const struct conn *c)
{
    return c->passed;
}

static char *pack_bytes(char *to, const void *from, size_t n)
{
    if (n > 0)
        memcpy(to, from, n);
    return to + n;
}

size_t conn_pack(const struct conn *c, char *to)
{
    const struct proto *proto = c->service->proto;
    const struct span kept = kept_of(c);
    struct parcel_head h = {
        .magic = PARCEL_MAGIC, .form = PARCEL_FORM, .flags = c->header_due ? PARCEL_HEADER_DUE : 0,
        .service_n = (uint32_t)strlen(c->service->name), .proto_n = (uint32_t)strlen(proto->name),
        .kept_n = (uint32_t)kept.n, .opened_s = c->opened_s, .timeout_ms = c->timeout_ms,
        .deadline_ms = c->deadline_ms, .progress_ms = c->progress_ms, .received = c->received, .sent = c->sent,
        .peer = c->peer
    };
    char *at = to + sizeof h;
    if (h.service_n > PARCEL_NAME_MAX || h.proto_n > PARCEL_NAME_MAX || !conn_portable(c))
        return 0;
    at = pack_bytes(at, c->service->name, h.service_n);
    at = pack_bytes(at, proto->name, h.proto_n);
    if (c->opened && proto->pack != NULL)
        h.state_n = (uint32_t)proto->pack(c, at, PARCEL_STATE_MAX);
    at += h.state_n;
    at = pack_bytes(at, kept.p, kept.n);
    memcpy(to, &h, sizeof h);
    return (size_t)(at - to);
}

static struct span cut(struct span *from, size_t n)
{
    struct span front = { from->p, n };
    *from = span_skip(*from, n);
    return front;
}

static bool peer_is_sound(const struct peer *p)
{
    return p->family == AF_INET || p->family == AF_INET6 || p->family == AF_UNIX || p->family == 0;
}

static bool head_is_sound(const struct parcel_head *h, size_t n)
{
    if (h->magic != PARCEL_MAGIC || h->form != PARCEL_FORM || (h->flags & ~PARCEL_HEADER_DUE) != 0 || h->rest != 0)
        return false;
    if (h->service_n == 0 || h->service_n > PARCEL_NAME_MAX || h->proto_n == 0 || h->proto_n > PARCEL_NAME_MAX)
        return false;
    if (h->state_n > PARCEL_STATE_MAX || h->kept_n > PARCEL_MAX || !peer_is_sound(&h->peer))
        return false;
    return n == sizeof *h + h->service_n + h->proto_n + h->state_n + h->kept_n;
}

bool parcel_open(struct parcel *p, struct span bytes)
{
    struct parcel_head h;
    if (bytes.n < sizeof h || bytes.n > PARCEL_MAX)
        return false;
    memcpy(&h, bytes.p, sizeof h);
    if (!head_is_sound(&h, bytes.n))
        return false;
    *p = (struct parcel){ .header_due = (h.flags & PARCEL_HEADER_DUE) != 0, .peer = h.peer, .deadline_ms = h.deadline_ms,
                          .progress_ms = h.progress_ms, .received = h.received, .sent = h.sent,
                          .opened_s = h.opened_s, .timeout_ms = h.timeout_ms };
    bytes = span_skip(bytes, sizeof h);
    p->service = cut(&bytes, h.service_n);
    p->proto = cut(&bytes, h.proto_n);
    p->state = cut(&bytes, h.state_n);
    p->kept = bytes;
    return true;
}

static uint64_t at_most(uint64_t value, uint64_t most)
{
    return value < most ? value : most;
}

/* A deadline is never further away than its span; and who was on his way when it was over is first heard. */
static uint64_t parcel_deadline(const struct parcel *p, uint64_t now)
{
    uint64_t due = at_most(p->deadline_ms, now + p->timeout_ms), least = now + at_most(p->timeout_ms, GRACE_MS);
    return p->deadline_ms == 0 || due > least ? due : least;
}

static void parcel_times(struct conn *c, const struct parcel *p)
{
    uint64_t now = c->out.env->now_ms;
    c->timeout_ms = p->timeout_ms;
    c->deadline_ms = parcel_deadline(p, now);
    c->progress_ms = at_most(p->progress_ms, now);
    c->opened_s = (uint32_t)at_most(p->opened_s, now / 1000);
}

static bool parcel_fits(const struct service *s, const struct parcel *p)
{
    return span_equal(p->proto, span_of(s->proto->name)) && (p->state.n == 0 || s->proto->unpack != NULL);
}

struct conn *conn_unpack(struct env *e, const struct service *s, int fd, const struct parcel *p, size_t driver_size)
{
    if (!parcel_fits(s, p)) {
        errno = EBADMSG;
        return NULL;
    }
    struct conn *c = conn_blank(e, s, fd, &p->peer, driver_size);
    if (c == NULL)
        return NULL;
    c->received = p->received;
    c->sent = p->sent;
    c->header_due = p->header_due;
    c->opened = !p->header_due;
    parcel_times(c, p);
    bool sound = !c->opened || s->proto->unpack == NULL || s->proto->unpack(c, p->state);
    if (!sound || (p->kept.n > 0 && !conn_keep(c, p->kept))) {
        conn_dispose(c);
        errno = sound ? ENOMEM : EBADMSG;
        return NULL;
    }
    if (c->opened && e->tally != NULL)
        (void)tally_enter(e->tally, &c->peer, &c->counted);     /* who is here already stays */
    conn_count(c);
    e->count.taken_over++;
    conn_offer_kept(c);
    return c;
}
