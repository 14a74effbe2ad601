/* SPDX-License-Identifier: BSD-2-Clause */
/* The listening sockets of a configuration.  Owns their descriptors; knows addresses, and workers by number
 * and pool, not what is served there. */
#include "daemon/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "core/conn.h"
#include "daemon/listen_socket.h"
#include "daemon/listen_steer.h"
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
    a->handed = l->handed;
    a->service = s->name;
    a->service_index = service_index;
    a->listen_index = (unsigned)(l - s->listens);
    a->protocol = proto->name;
    a->client_first = proto->peer_speaks_first || l->proxy.on;
    a->datagram = l->datagram;
    a->address = l->address;
    a->size = l->address_size;
    a->dual = l->wildcard;
    a->any_port = listen_port_is_zero(a);
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

int listen_set_init(struct listen_set *s, const struct conf *c, int flags)
{
    size_t count = count_listens(c);

    *s = (struct listen_set){ .v = calloc(count + 1, sizeof *s->v) };
    if (s->v == NULL)
        return -1;
    if (flags == -1 ? shared_open(&s->flags, "iomuxd-gone", count + 1) == -1
                    : shared_adopt(&s->flags, flags, count + 1) == -1)
        return -1;
    s->gone = s->flags.at;
    for (unsigned i = 0; i < c->service_count; i++)
        for (unsigned j = 0; j < c->services[i].listen_count; j++)
            listen_address_init(&s->v[s->count++], &c->services[i], i, &c->services[i].listens[j]);
    return 0;
}

static struct log_about listen_about(const struct listen_address *a)
{
    return (struct log_about){ .event = "listen-failed", .service = a->service };
}

/* Says what is wrong with an address, from errno. */
static void listen_complain(const struct listen_address *a)
{
    struct log_about about = listen_about(a);
    char place[CONF_PLACE_SIZE];

    log_errno(LOG_ERROR, &about, "%sservices.%s: listen %s", conf_place_text(&a->place, place), a->service, a->text);
}

/* ---- where the sockets come from ---- */

/* Is the address given twice?  With SO_REUSEPORT both would get it, and half of the connections each. */
static bool listen_is_doubled(const struct listen_set *s, unsigned at)
{
    const struct listen_address *a = &s->v[at];

    for (unsigned i = 0; i < at; i++) {
        const struct listen_address *b = &s->v[i];

        if (a->handed == NULL && b->handed == NULL && a->datagram == b->datagram && a->size == b->size &&
            memcmp(&a->address, &b->address, a->size) == 0)
            return !listen_port_is_zero(a);
    }
    return false;
}

/* How many before this one are written alike in the same service. */
static unsigned listen_ordinal(const struct listen_set *s, unsigned at)
{
    unsigned n = 0;

    for (unsigned i = 0; i < at; i++)
        n += s->v[i].any_port && s->v[i].datagram == s->v[at].datagram &&
             s->v[i].service_index == s->v[at].service_index && strcmp(s->v[i].written, s->v[at].written) == 0;
    return n;
}

static int handed_check(const struct listen_address *a, const struct handed *h)
{
    static const struct handed nothing;
    struct log_about about = listen_about(a);
    char place[CONF_PLACE_SIZE], names[512];

    h = h != NULL ? h : &nothing;
    if (handed_find(h, a->handed, a->datagram, 0) != NULL)
        return 0;
    log_write(LOG_ERROR, &about, "%sservices.%s: listen %s: the service manager has handed over no %s of this name; "
              "what it has handed over: %s", conf_place_text(&a->place, place), a->service, a->written,
              a->datagram ? "socket for datagrams" : "listening socket", handed_names(h, names, sizeof names));
    return -1;
}

/* Can it be had?  Where this daemon listens already nobody can be asked whether somebody else does too. */
static int listen_check(const struct listen_set *s, unsigned at, const struct listen_sources *from)
{
    const struct listen_address *a = &s->v[at];

    if (a->handed != NULL)
        return handed_check(a, from->handed);
    errno = EADDRINUSE;
    if (!listen_is_doubled(s, at) &&
        (a->from != NULL || listen_overlaps(from->running, a) || listen_kept_overlaps(from->kept, a) ||
         listen_probe(a) == 0))
        return 0;
    listen_complain(a);
    return -1;
}

/* All are looked at before any is opened: what overlaps within this daemon (a port on all addresses and on
 * one of them) is no conflict, and every complaint is made at once. */
static int listen_check_all(struct listen_set *s, const struct listen_sources *from)
{
    int rc = 0;

    for (unsigned i = 0; i < s->count; i++) {
        s->v[i].from = listen_ancestor(from->running, &s->v[i], listen_ordinal(s, i));
        if (listen_check(s, i, from) == -1)
            rc = -1;
    }
    return rc;
}

/* A descriptor of the socket with this number, of those that are there already; -1: there is none. */
static int source_fd(const struct listen_address *a, const struct listen_sources *from, unsigned number)
{
    const struct handed_one *one;

    if (a->handed != NULL) {
        one = handed_find(from->handed, a->handed, a->datagram, number);
        return one != NULL ? one->fd : -1;
    }
    for (unsigned i = 0; a->from != NULL && i < a->from->socket_count; i++)
        if (a->from->sockets[i].number == number)
            return a->from->sockets[i].fd;
    one = a->from == NULL ? listen_kept(from->kept, a, number) : NULL;
    return one != NULL ? one->fd : -1;
}

static unsigned source_count(const struct listen_address *a, const struct listen_sources *from)
{
    unsigned n = 0;

    while (source_fd(a, from, n) != -1)
        n++;
    return n;
}

/* ---- who gets which ---- */

static bool worker_serves(const struct pool_set *pools, unsigned worker, const struct conf_service *service)
{
    return conf_pool_serves(pool_of(pools, worker)->conf, service);
}

static unsigned servers_count(const struct pool_set *pools, const struct conf_service *service)
{
    unsigned n = 0;

    for (unsigned w = 0; w < pools->workers; w++)
        n += worker_serves(pools, w, service);
    return n;
}

/* The i-th worker that serves it. */
static unsigned server_at(const struct pool_set *pools, const struct conf_service *service, unsigned i)
{
    unsigned w = 0;

    while (!worker_serves(pools, w, service) || i-- > 0)
        w++;
    return w;
}

/* Does a worker have a copy already whose model can serve nothing of which others of its kind hold copies?  They would
 * take it away from each other; models that can share do not disturb it. */
static bool copy_is_jealous(const struct listen_address *a, const struct pool_set *pools, unsigned worker,
                            unsigned number)
{
    if (!pool_of(pools, worker)->model->own_listeners)
        return false;
    for (unsigned i = 0; i < a->socket_count; i++)
        if (a->sockets[i].number == number && pool_of(pools, a->sockets[i].worker)->model->own_listeners)
            return true;
    return false;
}

static void say_jealous(const struct listen_address *a, const struct pool_set *pools, unsigned worker)
{
    const struct pool *p = pool_of(pools, worker);
    struct log_about about = { .event = "listen-shared", .service = a->service, .model = p->model->name };

    log_write(LOG_NOTICE, &about, "master: worker %s.%u does not serve %s %s: one worker with the model %s has it, "
              "and it can have only one", p->conf->name, worker - p->first, a->service, a->text, p->model->name);
}

/* A copy of a socket that there is, or of one made for an earlier worker, or a new one. */
static int socket_get(struct listen_address *a, const struct listen_sources *from, unsigned number)
{
    int fd = source_fd(a, from, number);

    for (unsigned i = 0; fd == -1 && i < a->socket_count; i++)
        if (a->sockets[i].number == number)
            fd = a->sockets[i].fd;
    return fd != -1 ? fcntl(fd, F_DUPFD_CLOEXEC, HANDED_FIRST) : listen_bind(a);
}

/* Sockets that are made beside others get nothing before this configuration rules: if it never does they are closed, and
 * a connection that one of them has not finished to greet could be given to nobody. */
static void listen_keep_to_old(const struct listen_address *a, const struct listen_sources *from, unsigned there)
{
    struct log_about about = listen_about(a);

    if (listen_steer(source_fd(a, from, 0), there) == -1)
        log_errno(LOG_INFO, &about, "master: the new sockets of %s get connections at once", a->text);
}

/* One socket for each worker, or each socket that there is for one at least. */
static int listen_deal(struct listen_address *a, const struct pool_set *pools, const struct conf_service *service,
                       const struct listen_sources *from)
{
    unsigned servers = servers_count(pools, service), there = source_count(a, from);
    unsigned deals = servers > there ? servers : there;
    bool copies = a->handed != NULL || a->address.ss_family == AF_UNIX;

    if (servers == 0)
        return 0;
    a->sockets = calloc(deals + 1, sizeof *a->sockets);
    if (a->sockets == NULL)
        return -1;
    if (!copies && there > 0 && deals > there)
        listen_keep_to_old(a, from, there);
    for (unsigned i = 0; i < deals; i++) {
        unsigned worker = server_at(pools, service, i % servers);
        unsigned number = copies ? i % (there > 0 ? there : 1) : i;
        struct listen_socket *socket = &a->sockets[a->socket_count];

        if (copy_is_jealous(a, pools, worker, number)) {
            say_jealous(a, pools, worker);
            continue;
        }
        *socket = (struct listen_socket){ .number = number, .worker = worker, .fd = socket_get(a, from, number) };
        if (socket->fd == -1)
            return -1;
        a->socket_count++;
    }
    return 0;
}

static void listen_learn(struct listen_address *a)
{
    socklen_t size = sizeof a->address;

    if (a->handed != NULL && a->socket_count > 0 &&
        getsockname(a->sockets[0].fd, (struct sockaddr *)&a->address, &size) == 0)
        a->size = size;
    for (unsigned i = 0; (a->handed != NULL || a->kept) && i < a->socket_count; i++)
        listen_set_options(a->sockets[i].fd, a);
    listen_describe(a);
}

/* Sockets that were kept are served as those of an earlier run were, by a service that may be another. */
static void listen_go_on(struct listen_address *a, const struct handed_one *kept)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->address;
    socklen_t size = sizeof a->address;
    struct stat st;

    a->kept = true;
    if (listen_port_is_zero(a) && getsockname(kept->fd, (struct sockaddr *)&a->address, &size) == 0)
        a->size = size;
    if (a->address.ss_family != AF_UNIX || lstat(un->sun_path, &st) == -1)
        return;
    a->made = true;
    a->device = st.st_dev;
    a->inode = st.st_ino;
}

static int listen_open_address(struct listen_address *a, const struct pool_set *pools,
                               const struct conf_service *service, const struct listen_sources *from)
{
    const struct handed_one *kept = a->from == NULL && a->handed == NULL ? listen_kept(from->kept, a, 0) : NULL;

    if (a->from != NULL) {
        a->address = a->from->address;
        a->size = a->from->size;
    } else if (kept != NULL) {
        listen_go_on(a, kept);
    }
    if (listen_deal(a, pools, service, from) == -1) {
        listen_complain(a);
        return -1;
    }
    listen_learn(a);
    return 0;
}

int listen_open(struct listen_set *s, const struct conf *c, const struct pool_set *pools,
                const struct listen_sources *from)
{
    int checked, rc;

    if (listen_set_init(s, c, -1) == -1)
        return log_errno(LOG_ERROR, NULL, "master: cannot hold the listening sockets");
    checked = rc = listen_check_all(s, from);
    for (unsigned i = 0; checked == 0 && i < s->count; i++) {
        if (listen_open_address(&s->v[i], pools, &c->services[s->v[i].service_index], from) == -1)
            rc = -1;
    }
    if (rc == -1)
        listen_close(s, true);
    return rc;
}

/* ---- from one set to the next ---- */

static void listen_inherit(struct listen_address *a, struct listen_set *old)
{
    struct listen_address *from = &old->v[a->from - old->v];

    a->made = from->made;
    a->device = from->device;
    a->inode = from->inode;
    from->made = false;
    for (unsigned i = 0; i < a->socket_count; i++)
        listen_set_options(a->sockets[i].fd, a);
    a->from = NULL;
    a->inherited = true;
}

/* Is an address of the old set one of the new too? */
static bool listen_lives_on(const struct listen_set *new, const struct listen_address *old)
{
    for (unsigned i = 0; i < new->count; i++) {
        const struct listen_address *a = &new->v[i];

        if (a->from == old || (a->handed != NULL && old->handed != NULL && a->datagram == old->datagram &&
                               strcmp(a->handed, old->handed) == 0))
            return true;
    }
    return false;
}

void listen_succeed(struct listen_set *new, struct listen_set *old)
{
    for (unsigned i = 0; i < old->count; i++)
        old->gone[i] = !listen_lives_on(new, &old->v[i]);
    for (unsigned i = 0; i < new->count; i++)
        if (new->v[i].from != NULL)
            listen_inherit(&new->v[i], old);
    listen_close(old, true);
}

void listen_rule(const struct listen_set *s)
{
    for (unsigned i = 0; i < s->count; i++) {
        const struct listen_address *a = &s->v[i];

        if (a->handed == NULL && a->address.ss_family != AF_UNIX && a->socket_count > 0)
            listen_steer_to_all(a->sockets[0].fd, a->socket_count);
    }
}

static bool address_has_number(const struct listen_address *a, unsigned number)
{
    for (unsigned i = 0; i < a->socket_count; i++)
        if (a->sockets[i].number == number)
            return true;
    return false;
}

void listen_salvage(const struct listen_set *new, listen_stranded *tell, void *arg)
{
    for (unsigned i = 0; i < new->count; i++) {
        const struct listen_address *a = &new->v[i];

        for (unsigned j = 0; a->from != NULL && j < a->socket_count; j++)
            if (a->sockets[j].fd != -1 && !address_has_number(a->from, a->sockets[j].number))
                tell(arg, a->from, a->sockets[j].fd);
    }
}

void listen_abandon(struct listen_set *new)
{
    for (unsigned i = 0; i < new->count; i++)
        new->gone[i] = new->v[i].from == NULL && new->v[i].handed == NULL;
    listen_close(new, true);
}

unsigned listen_most(const struct listen_set *s, unsigned workers)
{
    unsigned most = 0;

    for (unsigned w = 0; w < workers; w++) {
        unsigned n = 0;

        for (unsigned i = 0; i < s->count; i++)
            for (unsigned j = 0; j < s->v[i].socket_count; j++)
                n += s->v[i].sockets[j].worker == w;
        most = n > most ? n : most;
    }
    return most;
}

/* ---- the end ---- */

static void socket_close(struct listen_socket *one)
{
    if (one->fd != -1)
        close(one->fd);
    one->fd = -1;
}

void listen_keep_only(struct listen_set *s, unsigned worker)
{
    shared_abandon(&s->flags);
    for (unsigned i = 0; i < s->count; i++)
        for (unsigned j = 0; j < s->v[i].socket_count; j++)
            if (s->v[i].sockets[j].worker != worker)
                socket_close(&s->v[i].sockets[j]);
}

void listen_leave_files(struct listen_set *s)
{
    for (unsigned i = 0; i < s->count; i++)
        s->v[i].made = false;
}

void listen_close(struct listen_set *s, bool unlink_files)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (unlink_files)
            listen_unlink(&s->v[i]);
        for (unsigned j = 0; j < s->v[i].socket_count; j++)
            socket_close(&s->v[i].sockets[j]);
    }
}

void listen_free(struct listen_set *s)
{
    for (unsigned i = 0; i < s->count; i++)
        free(s->v[i].sockets);
    shared_close(&s->flags);
    free(s->v);
    *s = (struct listen_set){ 0 };
}
