/* SPDX-License-Identifier: BSD-2-Clause */
/* Content codings (RFC 9110 section 12.5.3): a file may have siblings that hold it compressed, F.br, F.zst and F.gz; the
 * client says which it takes.  Nothing is compressed here.
 *
 * Who refuses what there is (identity;q=0 and no sibling) gets the file all the same, as section 12.4.1 allows: an
 * error would help nobody. */
#include "proto/http_internal.h"

#include "base/fmt.h"

static const struct {
    struct span name, suffix;
} codings[HTTP_CODINGS] = {
    [HTTP_CODING_BR] = { { "br", 2 }, { ".br", 3 } },
    [HTTP_CODING_ZSTD] = { { "zstd", 4 }, { ".zst", 4 } },
    [HTTP_CODING_GZIP] = { { "gzip", 4 }, { ".gz", 3 } },
};

struct span http_coding_name(uint8_t coding)
{
    return coding < HTTP_CODINGS ? codings[coding].name : SPAN("");
}

enum {
    IDENTITY = HTTP_CODINGS,    /* no coding: it has a weight too */
    ANY,                        /* "*" */
    OTHER,
    WEIGHT_LEAST = 1            /* of identity when it is not mentioned: acceptable, and least of all */
};

/* For each coding and identity, in thousandths. */
struct weights {
    unsigned v[OTHER];
    bool     named[OTHER];
};

static unsigned coding_of(struct span name)
{
    for (unsigned i = 0; i < HTTP_CODINGS; i++)
        if (span_equal_nocase(name, codings[i].name))
            return i;
    if (span_equal_nocase(name, SPAN("x-gzip")))
        return HTTP_CODING_GZIP;
    if (span_equal_nocase(name, SPAN("identity")))
        return IDENTITY;
    return span_equal(name, SPAN("*")) ? ANY : OTHER;
}

/* Of a client that says nothing any coding may be taken to be acceptable; the plain one surely is. */
static void weights_read(const struct http_request *r, struct weights *w)
{
    struct span fields = r->fields, list, name;
    unsigned weight;
    *w = (struct weights){ 0 };
    if (!http_has(r, FIELD_ACCEPT_ENCODING))
        return;
    while (http_next_field(&fields, FIELD_ACCEPT_ENCODING, &list))
        while (http_next_choice(&list, &name, &weight)) {
            unsigned coding = coding_of(name);
            if (coding == OTHER || (w->named[coding] && w->v[coding] > weight))
                continue;
            w->named[coding] = true;
            w->v[coding] = weight;
        }
    for (unsigned i = 0; i <= IDENTITY; i++)
        if (!w->named[i])
            w->v[i] = w->named[ANY] ? w->v[ANY] : i == IDENTITY ? WEIGHT_LEAST : 0;
}

/* The best that is left and no worse than identity; of equals the first in the server's order.  -1: none. */
static int weights_best(struct weights *w, const struct http_route *route)
{
    int best = -1;
    for (unsigned i = 0; i < route->coding_count; i++) {
        uint8_t coding = route->codings[i];
        if (w->v[coding] > 0 && w->v[coding] >= w->v[IDENTITY] && (best == -1 || w->v[coding] > w->v[best]))
            best = coding;
    }
    if (best != -1)
        w->v[best] = 0;         /* it is taken, or not there */
    return best;
}

static bool name_is_coded(struct span name)
{
    for (unsigned i = 0; i < HTTP_CODINGS; i++) {
        struct span suffix = codings[i].suffix;
        if (name.n > suffix.n && memcmp(name.p + name.n - suffix.n, suffix.p, suffix.n) == 0)
            return true;
    }
    return false;
}

/* A reference to the sibling, or NULL.  That one is missing is remembered for as long as it can be believed: this
 * turn. */
static struct file *sibling_get(struct env *e, const struct http_route *route, const struct http_content *c,
                                unsigned coding)
{
    char name[HTTP_NAME_MAX];
    struct span suffix = codings[coding].suffix;
    struct file *f = c->file;
    if (f->absent_turn != e->turn)
        f->absent = 0;
    f->absent_turn = e->turn;
    if ((f->absent & 1u << coding) != 0 || c->name.n + suffix.n > sizeof name)
        return NULL;
    memcpy(name, c->name.p, c->name.n);
    memcpy(name + c->name.n, suffix.p, suffix.n);
    struct file *sibling = file_get(e, route->root, (struct span){ name, c->name.n + suffix.n });
    if (sibling == NULL)
        f->absent |= (uint8_t)(1u << coding);
    return sibling;
}

/* A file that is asked for by its compressed name is what it is. */
void http_encoding_choose(struct http_exchange *x, const struct http_route *route, struct http_content *c)
{
    struct weights weights;
    int coding;
    if (name_is_coded(c->name))
        return;
    c->varies = true;
    x->vary = SPAN("Accept-Encoding");
    weights_read(x->request, &weights);
    while ((coding = weights_best(&weights, route)) != -1) {
        struct file *sibling = sibling_get(x->env, route, c, (unsigned)coding);
        if (sibling == NULL)
            continue;
        file_unref(c->file);
        c->file = sibling;
        c->coding = (uint8_t)coding;
        return;
    }
}
