/* SPDX-License-Identifier: BSD-2-Clause */
/* Which route answers?  The routes of the host itself come first, then those of the longest wildcard that it
 * fits, of the next longest, and so on, then those for any host; among the routes of one host the longest path
 * wins.  A host none of whose routes fits the path is passed over.  Constant once made. */
#include "proto/http_internal.h"

#include <stdlib.h>

/* While the table is made: a way, and for which host. */
struct candidate {
    struct span     host;               /* with the '*' of a wildcard; length 0: any */
    struct http_way way;
    unsigned        order;
};

enum rank { RANK_EXACT, RANK_WILD, RANK_ANY };

static enum rank host_rank(struct span host)
{
    if (host.n == 0)
        return RANK_ANY;
    return host.p[0] == '*' ? RANK_WILD : RANK_EXACT;
}

/* ASCII letters are equal without case. */
static int span_compare(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n > 0 ? strncasecmp(a.p, b.p, n) : 0;
    return order != 0 ? order : (a.n > b.n) - (a.n < b.n);
}

/* Longer wildcards first; every other host only has to have a place. */
static int host_compare(struct span a, struct span b)
{
    if (host_rank(a) != host_rank(b))
        return (int)host_rank(a) - (int)host_rank(b);
    if (host_rank(a) == RANK_WILD && a.n != b.n)
        return a.n > b.n ? -1 : 1;
    return span_compare(a, b);
}

/* Of equals, the one that was written first. */
static int candidate_compare(const void *one, const void *other)
{
    const struct candidate *a = one, *b = other;
    int order = host_compare(a->host, b->host);
    if (order != 0)
        return order;
    if (a->way.path.n != b->way.path.n)
        return a->way.path.n > b->way.path.n ? -1 : 1;
    return a->order < b->order ? -1 : 1;
}

static size_t ways_count(const struct http_route_spec *specs, unsigned count)
{
    size_t n = 0;
    for (unsigned i = 0; i < count; i++)
        n += specs[i].host_count > 0 ? specs[i].host_count : 1;
    return n;
}

/* All ways in the order in which they will stand. */
static void candidates_fill(struct candidate *to, size_t n, const struct http_route_spec *specs,
                            const struct http_route *routes)
{
    size_t done = 0;
    for (unsigned i = 0; done < n; i++) {
        struct candidate c = { .way = { routes[i].path, &routes[i] }, .order = i };
        to[done] = c;
        for (unsigned j = 0; j < specs[i].host_count; j++) {
            to[done + j] = c;
            to[done + j].host = span_of(specs[i].hosts[j]);
        }
        done += specs[i].host_count > 0 ? specs[i].host_count : 1;
    }
    qsort(to, n, sizeof *to, candidate_compare);
}

/* The place of a host that the ways before this one did not have. */
static struct http_host *host_add(struct http_table *t, struct span host)
{
    switch (host_rank(host)) {
    case RANK_EXACT:
        return &t->exact[t->exact_count++];
    case RANK_WILD:
        if (t->wild_count == 0)
            t->wild = t->exact + t->exact_count;
        return &t->wild[t->wild_count++];
    case RANK_ANY:
        break;
    }
    return &t->any;
}

static void table_fill(struct http_table *t, const struct candidate *c, size_t n)
{
    struct http_host *host = NULL;
    for (size_t i = 0; i < n; i++) {
        t->ways[i] = c[i].way;
        if (i == 0 || host_compare(c[i].host, c[i - 1].host) != 0) {
            host = host_add(t, c[i].host);
            host->name = host_rank(c[i].host) == RANK_WILD ? span_skip(c[i].host, 1) : c[i].host;
            host->ways = &t->ways[i];
        }
        host->count++;
    }
}

int http_table_make(struct http_table *t, const struct http_route_spec *specs, const struct http_route *routes,
                    unsigned count)
{
    size_t n = ways_count(specs, count);
    struct candidate *c = calloc(n + 1, sizeof *c);
    t->ways = calloc(n + 1, sizeof *t->ways);
    t->exact = calloc(n + 1, sizeof *t->exact);
    if (c == NULL || t->ways == NULL || t->exact == NULL) {
        free(c);
        return -1;
    }
    candidates_fill(c, n, specs, routes);
    table_fill(t, c, n);
    free(c);
    return 0;
}

void http_table_free(struct http_table *t)
{
    free(t->ways);
    free(t->exact);
}

/* hot */
static inline bool way_covers(const struct http_way *w, struct span path)
{
    size_t n = w->path.n;
    if (!span_starts_with(path, w->path))
        return false;
    return n == 0 || n == path.n || w->path.p[n - 1] == '/' || path.p[n] == '/';
}

/* hot */
static inline const struct http_route *host_find(const struct http_host *h, struct span path)
{
    for (unsigned i = 0; i < h->count; i++)
        if (way_covers(&h->ways[i], path))
            return h->ways[i].route;
    return NULL;
}

static int host_name_compare(const void *name, const void *host)
{
    return span_compare(*(const struct span *)name, ((const struct http_host *)host)->name);
}

/* At least one more label stands before the name of a wildcard. */
static bool wildcard_fits(struct span name, struct span host)
{
    return host.n > name.n && span_equal_nocase(name, span_skip(host, host.n - name.n));
}

static const struct http_route *find_by_host(const struct http_table *t, struct span host, struct span path)
{
    const struct http_host *exact = NULL;
    const struct http_route *route = NULL;
    if (t->exact_count > 0)
        exact = bsearch(&host, t->exact, t->exact_count, sizeof *t->exact, host_name_compare);
    if (exact != NULL)
        route = host_find(exact, path);
    for (unsigned i = 0; route == NULL && i < t->wild_count; i++)
        if (wildcard_fits(t->wild[i].name, host))
            route = host_find(&t->wild[i], path);
    return route;
}

/* hot */
const struct http_route *http_route_find(const struct http_site *s, const struct http_request *r,
                                         struct span path)
{
    const struct http_table *t = &s->table;
    if (t->exact_count + t->wild_count > 0) {
        struct span host = http_host(r);
        const struct http_route *route = host.n > 0 ? find_by_host(t, host, path) : NULL;
        if (route != NULL)
            return route;
    }
    return host_find(&t->any, path);
}
