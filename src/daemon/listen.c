/* SPDX-License-Identifier: BSD-2-Clause */
/* The listening sockets of the daemon.  Owns their descriptors; knows addresses, and workers by number
 * and pool, not what is served there. */
#include "daemon/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "core/conn.h"
#include "daemon/listen_socket.h"
#include "daemon/service.h"

/* All addresses on a machine without IPv6: those of IPv4. */
static void listen_fall_back_to_ipv4(struct listen_address *a)
{
    in_port_t port = ((const struct sockaddr_in6 *)&a->address)->sin6_port;
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = port,
                               .sin_addr.s_addr = htonl(INADDR_ANY) };

    memset(&a->address, 0, sizeof a->address);
    memcpy(&a->address, &any, sizeof any);
    a->size = sizeof any;
    a->dual = false;
}

static void listen_address_init(struct listen_address *a, const struct conf_service *s,
                                unsigned service_index, const struct conf_listen *l)
{
    const struct proto *proto = service_proto(s->protocol);

    a->place = l->place;
    a->written = l->text;
    a->service = s->name;
    a->service_index = service_index;
    a->listen_index = (unsigned)(l - s->listens);
    a->protocol = proto->name;
    a->client_first = proto->peer_speaks_first || l->proxy.on;
    a->datagram = l->datagram;
    a->address = l->address;
    a->size = l->address_size;
    a->dual = l->wildcard;
    if (a->dual && !listen_ipv6_works())
        listen_fall_back_to_ipv4(a);
    listen_describe(a);
}

static unsigned count_listens(const struct conf *c)
{
    unsigned count = 0;

    for (unsigned i = 0; i < c->service_count; i++)
        count += c->services[i].listen_count;
    return count;
}

/* Room for every address and worker, nothing open. */
static int listen_set_init(struct listen_set *s, const struct conf *c, unsigned workers)
{
    size_t count = count_listens(c);

    *s = (struct listen_set){ .workers = workers };
    s->v = calloc(count + 1, sizeof *s->v);
    s->fds = calloc(count + 1, workers * sizeof *s->fds);
    if (s->v == NULL || s->fds == NULL)
        return -1;
    memset(s->fds, -1, count * workers * sizeof *s->fds);
    for (unsigned i = 0; i < c->service_count; i++) {
        for (unsigned j = 0; j < c->services[i].listen_count; j++) {
            s->v[s->count].fds = s->fds + (size_t)s->count * workers;
            listen_address_init(&s->v[s->count], &c->services[i], i, &c->services[i].listens[j]);
            s->count++;
        }
    }
    return 0;
}

/* Says what is wrong with an address, from errno. */
static void listen_complain(const struct listen_address *a)
{
    struct log_about about = { .event = "listen-failed", .service = a->service };
    char place[CONF_PLACE_SIZE];

    log_errno(LOG_ERROR, &about, "%sservices.%s: listen %s", conf_place_text(&a->place, place), a->service, a->text);
}

/* Is the address given twice?  With SO_REUSEPORT both would get it, and half of the connections each. */
static bool listen_is_doubled(const struct listen_set *s, unsigned at)
{
    const struct listen_address *a = &s->v[at];

    for (unsigned i = 0; i < at; i++) {
        const struct listen_address *b = &s->v[i];

        if (a->datagram == b->datagram && a->size == b->size && memcmp(&a->address, &b->address, a->size) == 0)
            return !listen_port_is_zero(a);
    }
    return false;
}

/* All are looked at before any is opened: what overlaps within this daemon (a port on all addresses and on
 * one of them) is no conflict, and every complaint is made at once. */
static int listen_probe_all(const struct listen_set *s)
{
    int rc = 0;

    for (unsigned i = 0; i < s->count; i++) {
        errno = EADDRINUSE;
        if (!listen_is_doubled(s, i) && listen_probe(&s->v[i]) == 0)
            continue;
        listen_complain(&s->v[i]);
        rc = -1;
    }
    return rc;
}

/* Is this the one worker that may have a listener of which others hold copies, among those of models that
 * cannot share one?  The others of its kind would take it away from each other; models that can share do not
 * disturb it. */
static bool worker_may_share(const struct pool_set *pools, unsigned worker,
                             const struct conf_service *service)
{
    const struct pool *p = pools->v;

    if (!pool_of(pools, worker)->model->own_listeners)
        return true;
    while (!p->model->own_listeners || !conf_pool_serves(p->conf, service))
        p++;
    return worker == p->first;
}

static bool worker_serves(const struct pool_set *pools, unsigned worker, const struct conf_service *service,
                          const struct listen_address *a)
{
    return conf_pool_serves(pool_of(pools, worker)->conf, service) &&
           (a->address.ss_family != AF_UNIX || worker_may_share(pools, worker, service));
}

/* A Unix socket has one queue: workers share it, each by a descriptor of its own; `first` is that of the
 * first one, -1 for itself. */
static int listen_open_one(struct listen_address *a, int first)
{
    if (first != -1 && a->address.ss_family == AF_UNIX)
        return fcntl(first, F_DUPFD_CLOEXEC, 0);
    return listen_bind(a);
}

static int listen_open_address(struct listen_address *a, const struct pool_set *pools,
                               const struct conf_service *service)
{
    int first = -1;

    for (unsigned w = 0; w < pools->workers; w++) {
        if (!worker_serves(pools, w, service, a))
            continue;
        a->fds[w] = listen_open_one(a, first);
        if (a->fds[w] == -1) {
            listen_complain(a);
            return -1;
        }
        if (first == -1)
            first = a->fds[w];
    }
    listen_describe(a);
    return 0;
}

int listen_open(struct listen_set *s, const struct conf *c, const struct pool_set *pools)
{
    int probed, rc;

    if (listen_set_init(s, c, pools->workers) == -1)
        return log_errno(LOG_ERROR, NULL, "master: cannot hold the listening sockets");
    probed = rc = listen_probe_all(s);
    for (unsigned i = 0; probed == 0 && i < s->count; i++) {
        if (listen_open_address(&s->v[i], pools, &c->services[s->v[i].service_index]) == -1)
            rc = -1;
    }
    if (rc == -1)
        listen_close(s, true);
    return rc;
}

unsigned listen_most(const struct listen_set *s)
{
    unsigned most = 0;

    for (unsigned w = 0; w < s->workers; w++) {
        unsigned n = 0;

        for (unsigned i = 0; i < s->count; i++)
            n += s->v[i].fds[w] != -1;
        most = n > most ? n : most;
    }
    return most;
}

static void listen_close_one(struct listen_address *a, unsigned worker)
{
    if (a->fds[worker] != -1)
        close(a->fds[worker]);
    a->fds[worker] = -1;
}

void listen_keep_only(struct listen_set *s, unsigned worker)
{
    for (unsigned i = 0; i < s->count; i++) {
        for (unsigned w = 0; w < s->workers; w++) {
            if (w != worker)
                listen_close_one(&s->v[i], w);
        }
    }
}

void listen_close(struct listen_set *s, bool unlink_files)
{
    for (unsigned i = 0; i < s->count; i++) {
        for (unsigned w = 0; w < s->workers; w++)
            listen_close_one(&s->v[i], w);
        if (unlink_files)
            listen_unlink(&s->v[i]);
    }
}

void listen_free(struct listen_set *s)
{
    free(s->fds);
    free(s->v);
    *s = (struct listen_set){ 0 };
}
