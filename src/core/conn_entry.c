/* SPDX-License-Identifier: BSD-2-Clause */
/* The entry: who comes from a proxy says for whom, and only then is it known whose connection it is; who has as many
 * as his address may have is turned away.  The protocol is opened behind all that. */
#include "core/conn_entry.h"

#include "core/conn_driver.h"
#include "core/proxy.h"
#include "core/tally.h"

void conn_refuse(struct conn *c)
{
    struct span words = c->service->proto->refusal;
    c->refused = c->hasty = true;
    c->header_due = false;
    if (words.n == 0) {
        conn_abort(c);
        return;
    }
    c->progress_ms = c->out.env->now_ms;
    outq_lend(&c->out, words, NULL);
    conn_finish(c);
}

static void entry_log(struct conn *c, enum log_level level, const char *event, const char *what)
{
    char peer[PEER_TEXT_SIZE];
    struct log_about about = c->out.env->about;
    if (!log_wants(level))
        return;
    peer_format(&c->peer, peer);
    about.event = event;
    about.service = c->service->name;
    about.peer = peer;
    log_write(level, &about, "%s: %s %s", about.service, peer, what);
}

/* A flood must not fill the log: one line in a while tells of it, and all of them only who asks for it. */
static void entry_crowded(struct conn *c)
{
    struct env *e = c->out.env;
    bool news = tally_is_news(e->tally, e->now_ms);
    e->count.refused_address++;
    entry_log(c, news ? LOG_NOTICE : LOG_DEBUG, "address-full",
              "is refused: its address has limits.connections_per_address connections");
    conn_refuse(c);
}

static void entry_open(struct conn *c)
{
    struct env *e = c->out.env;
    if (e->tally != NULL && !tally_enter(e->tally, &c->peer, &c->counted)) {
        entry_crowded(c);
        return;
    }
    c->opened = true;
    if (c->service->proto->open != NULL)
        c->service->proto->open(c);
}

static void entry_distrust(struct conn *c, const char *what)
{
    c->out.env->count.refused_proxy++;
    entry_log(c, LOG_DEBUG, "proxy-refused", what);
    conn_abort(c);
}

void conn_entry_begin(struct conn *c)
{
    const struct proxy_rules *proxy = c->service->proxy;
    if (proxy == NULL) {
        entry_open(c);
    } else if (proxy_trusts(proxy, &c->peer)) {
        c->header_due = true;
        conn_timeout(c, proxy->header_ms);
    } else {
        entry_distrust(c, "is no trusted proxy");
    }
}

size_t conn_entry_header(struct conn *c, struct span in)
{
    struct proxy_header header;
    long n = proxy_parse(in, &header);
    if (n == 0)
        return 0;
    if (n < 0) {
        entry_distrust(c, "sent no PROXY header");
        return in.n;
    }
    c->header_due = false;
    conn_timeout(c, 0);
    if (header.known)
        c->peer = header.client;
    entry_open(c);
    return (size_t)n;
}

void conn_entry_end(struct conn *c)
{
    if (c->counted)
        tally_leave(c->out.env->tally, &c->peer);
    c->counted = false;
}
