/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of the master, written down.  Looks at everything and changes nothing.  Texts that are no UTF-8 (paths may
 * be such), or have a NUL in them, are written as {"hex": "..."}; times that are never are null. */
#include "daemon/state.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- words ---- */

static json_t *hex_write(const void *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *from = bytes;
    char *text = malloc(2 * n + 1);
    json_t *hex;

    if (text == NULL)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[from[i] >> 4];
        text[2 * i + 1] = digits[from[i] & 15];
    }
    hex = json_stringn(text, 2 * n);
    free(text);
    return hex;
}

static json_t *bytes_write(const char *bytes, size_t n)
{
    json_t *text = n > 0 && memchr(bytes, '\0', n) != NULL ? NULL : json_stringn(bytes, n);

    return text != NULL ? text : json_pack("{s:o}", "hex", hex_write(bytes, n));
}

static json_t *text_write(const char *text)
{
    return text != NULL ? bytes_write(text, strlen(text)) : json_null();
}

static json_t *time_write(uint64_t ms)
{
    return ms != UINT64_MAX ? json_integer((json_int_t)ms) : json_null();
}

/* What cannot be written (memory is short) is missing, which is noted. */
static void append(struct state *s, json_t *all, json_t *taken)
{
    s->gaps |= json_array_append_new(all, taken) == -1;
}

static json_t *number_write(uint64_t n)
{
    return json_integer((json_int_t)n);
}

/* A descriptor that is to be kept; a list that cannot grow leaves none. */
static json_t *descriptor_write(struct state *s, int fd)
{
    int *grown;

    if (fd == -1)
        return json_integer(-1);
    grown = realloc(s->kept, (s->kept_count + 1) * sizeof *grown);
    if (grown == NULL)
        return NULL;
    s->kept = grown;
    s->kept[s->kept_count++] = fd;
    return json_integer(fd);
}

/* ---- a generation ---- */

static json_t *configuration_write(const struct conf *c)
{
    char *text = NULL;
    size_t size = 0;
    FILE *to = open_memstream(&text, &size);
    json_t *written = NULL;

    if (to == NULL)
        return NULL;
    conf_print(c, to);
    if (fclose(to) == 0)
        written = bytes_write(text, size);
    free(text);
    return written;
}

static json_t *account_write(const struct priv *p)
{
    return json_pack("{s:b, s:b, s:I, s:I, s:o, s:o}", "drop", p->drop, "chosen", p->chosen, "uid", (json_int_t)p->uid,
                     "gid", (json_int_t)p->gid, "user", text_write(p->user), "group", text_write(p->group));
}

static json_t *pools_write(struct state *s, const struct pool_set *pools)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < pools->count; i++)
        append(s, all, json_pack("{s:s, s:I}", "model", pools->v[i].model->name, "workers",
                                             (json_int_t)pools->v[i].workers));
    return all;
}

static json_t *address_write(struct state *s, const struct listen_address *a)
{
    json_t *sockets = json_array();

    for (unsigned i = 0; i < a->socket_count; i++)
        append(s, sockets, json_pack("[o, I, I]", descriptor_write(s, a->sockets[i].fd),
                                                 (json_int_t)a->sockets[i].number, (json_int_t)a->sockets[i].worker));
    return json_pack("{s:o, s:b, s:b, s:b, s:I, s:I, s:o}", "address", hex_write(&a->address, a->size),
                     "dual", a->dual, "inherited", a->inherited, "made", a->made, "device", (json_int_t)a->device,
                     "inode", (json_int_t)a->inode, "sockets", sockets);
}

static json_t *listens_write(struct state *s, const struct listen_set *set)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < set->count; i++)
        append(s, all, address_write(s, &set->v[i]));
    return json_pack("{s:o, s:o}", "flags", descriptor_write(s, set->flags.fd), "addresses", all);
}

static json_t *counts_write(struct state *s, const struct metric_slot *base)
{
    json_t *all = json_object();

#define STATE_COUNTER(name, ...) s->gaps |= json_object_set_new(all, #name, number_write(base->total.name)) == -1;
    METRIC_COUNTERS(STATE_COUNTER)
#undef STATE_COUNTER
    s->gaps |= json_object_set_new(all, "progress", number_write(base->progress)) == -1;
    return all;
}

static json_t *pulse_write(const struct pulse *p)
{
    return json_pack("[I, o, b]", (json_int_t)p->silent_ms, time_write(p->kill_ms), p->killed);
}

static json_t *owed_write(struct state *s, const struct outbox *o)
{
    json_t *all = json_array();

    for (unsigned i = o->first; i < o->count; i++)
        append(s, all, json_pack("[i, I, o]", (int)o->v[i].kind, (json_int_t)o->v[i].value, descriptor_write(s, o->v[i].fd)));
    return all;
}

static json_t *worker_write(struct state *s, const struct generation *g, const struct worker_slot *w)
{
    json_t *times = json_pack("{s:o, s:o, s:o}", "kill", time_write(w->kill_ms), "started", time_write(w->started_ms),
                              "next", time_write(w->next_start_ms));

    return json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:i, s:b, s:b, s:b, s:b, s:b, s:I, s:I, s:o, s:o, s:o, s:o}", "name",
                     w->name, "pool", (json_int_t)(w->pool - g->pools.v), "pid", (json_int_t)w->pid,
                     "channel", descriptor_write(s, w->channel), "inbox", descriptor_write(s, w->inbox[0]),
                     "inbox_end", descriptor_write(s, w->inbox[1]), "slot", w->ledger, "ready", w->ready,
                     "told", w->told, "passes", w->passes, "was_filled", w->was_filled, "shut", w->shut, "pause", (json_int_t)w->pause_ms,
                     "deaths", (json_int_t)w->quick_deaths, "times", times, "base", counts_write(s, &w->base),
                     "pulse", pulse_write(&w->pulse), "owed", owed_write(s, &w->owed));
}

static json_t *crew_write(struct state *s, const struct generation *g, const struct crew *c)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < c->count; i++)
        append(s, all, worker_write(s, g, &c->v[i]));
    return json_pack("{s:b, s:o}", "killed", c->killed, "workers", all);
}

static json_t *log_write_down(struct state *s, const struct generation *g)
{
    json_t *fd = g->logger.fd > STDERR_FILENO ? descriptor_write(s, g->logger.fd) : json_integer(g->logger.fd);

    return json_pack("{s:o, s:i, s:i, s:o, s:i}", "fd", fd, "form", (int)g->logger.form, "level", (int)g->logger.level,
                     "access", descriptor_write(s, g->access_fd), "target", g->target);
}

static json_t *generation_write(struct state *s, const struct generation *g)
{
    return json_pack("{s:I, s:i, s:b, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "number", (json_int_t)g->number, "phase", (int)g->phase, "failed", g->failed,
                     "configuration", configuration_write(g->conf), "began_ms", (json_int_t)g->began_ms,
                     "began_s", (json_int_t)g->began_s, "connections", (json_int_t)g->crew.common.connections_max,
                     "account", account_write(&g->priv), "log", log_write_down(s, g),
                     "notes", descriptor_write(s, g->notes.fd), "pools", pools_write(s, &g->pools),
                     "listens", listens_write(s, &g->listens), "crew", crew_write(s, g, &g->crew),
                     "leaving", crew_write(s, g, &g->leaving));
}

static json_t *generations_write(struct state *s, const struct master *m)
{
    json_t *all = json_array();

    for (struct list *l = m->generations.next; l != &m->generations; l = l->next)
        append(s, all, generation_write(s, LIST_ENTRY(l, struct generation, siblings)));
    return all;
}

/* ---- what belongs to the master ---- */

static json_t *client_write(struct state *s, const struct control_client *c)
{
    json_t *words = json_pack("{s:o, s:o, s:I}", "request", bytes_write(c->request, c->got),
                              "answer", bytes_write(c->answer != NULL ? c->answer : "", c->answer_size),
                              "sent", (json_int_t)c->sent);

    return json_pack("{s:o, s:i, s:I, s:I, s:I, s:I, s:o, s:o}", "fd", descriptor_write(s, c->fd), "state", (int)c->state,
                     "pid", (json_int_t)c->pid, "uid", (json_int_t)c->uid, "id", (json_int_t)c->id,
                     "reload", (json_int_t)c->reload, "since", time_write(c->since_ms), "words", words);
}

static json_t *control_write(struct state *s, const struct control *c)
{
    json_t *clients = json_array();

    for (unsigned i = 0; i < CONTROL_CLIENTS; i++)
        if (c->v[i].state != CONTROL_FREE)
            append(s, clients, client_write(s, &c->v[i]));
    return json_pack("{s:o, s:o, s:I, s:I, s:I, s:o}", "fd", descriptor_write(s, c->socket.fd),
                     "path", text_write(c->socket.path), "device", (json_int_t)c->socket.device,
                     "inode", (json_int_t)c->socket.inode, "last_id", (json_int_t)c->last_id, "clients", clients);
}

static json_t *handed_write(struct state *s, const struct handed *h)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < h->count; i++)
        append(s, all, json_pack("{s:o, s:o, s:b, s:b}", "fd", descriptor_write(s, h->v[i].fd),
                                             "name", text_write(h->v[i].name), "datagram", h->v[i].datagram,
                                             "stream", h->v[i].stream));
    return all;
}

static json_t *overrides_write(struct state *s, const struct overrides *o)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < o->count; i++)
        append(s, all, text_write(o->v[i]));
    return all;
}

static json_t *result_write(const struct reload_result *r)
{
    return json_pack("{s:I, s:b, s:I, s:I, s:I, s:o}", "attempt", (json_int_t)r->attempt, "ok", r->ok,
                     "generation", (json_int_t)r->generation, "when", (json_int_t)r->when, "took", (json_int_t)r->took_ms,
                     "errors", text_write(r->errors));
}

static json_t *reload_write(struct state *s, const struct master *m)
{
    return json_pack("{s:I, s:I, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "attempts", (json_int_t)m->attempts,
                     "began", (json_int_t)m->reload_began_ms, "wanted", m->reload_wanted, "fresh", m->wanted_fresh,
                     "last", result_write(&m->last), "in_force", overrides_write(s, &m->in_force),
                     "trying", overrides_write(s, &m->trying), "next", overrides_write(s, &m->wanted),
                     "dropped", overrides_write(s, &m->dropped));
}

static json_t *store_write(struct state *s, const struct store *kept)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < kept->count; i++)
        append(s, all, json_pack("[o, I]", text_write(kept->v[i].name), (json_int_t)kept->v[i].inode));
    return all;
}

static json_t *lobby_write(struct state *s, const struct lobby *l)
{
    json_t *former = json_array(), *benches = json_array();

    for (unsigned i = 0; i < l->former_count; i++)
        append(s, former, json_pack("[o, I]", descriptor_write(s, l->former[i].fd), (json_int_t)l->former[i].number));
    for (unsigned i = 0; i < l->bench_count; i++)
        append(s, benches, descriptor_write(s, l->benches[i]));
    return json_pack("{s:o, s:o, s:I, s:b, s:o, s:o, s:I, s:I}", "out", descriptor_write(s, l->ends[0]),
                     "in", descriptor_write(s, l->ends[1]), "number", (json_int_t)l->number, "kept", l->kept,
                     "former", former, "benches", benches, "seated", (json_int_t)l->seated, "lost", (json_int_t)l->lost);
}

static json_t *target_log_write(const struct logger_target *t, enum logger_kind kind)
{
    return json_pack("{s:i, s:o}", "form", (int)t->form[kind], "path", text_write(t->path[kind]));
}

/* Also those whose generation has gone: another logger may have to be told of them. */
static json_t *targets_write(struct state *s, const struct logger_rings *rings)
{
    json_t *all = json_array();

    for (int i = 0; rings->own != NULL && i < LOGGER_TARGETS; i++) {
        const struct logger_target *t = &rings->own[i];

        if (t->use != LOGGER_FREE)
            append(s, all, json_pack("{s:i, s:I, s:I, s:o, s:o, s:o}", "number", i, "use", (json_int_t)t->use,
                                     "order", (json_int_t)t->order, "format", text_write(t->format),
                                     "log", target_log_write(t, LOGGER_LOG),
                                     "access", target_log_write(t, LOGGER_ACCESS)));
    }
    return all;
}

static json_t *formers_write(struct state *s, const struct logger_desk *d)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < LOGGER_FORMERS; i++)
        if (d->former[i] != 0)
            append(s, all, number_write((uint64_t)d->former[i]));
    return all;
}

static json_t *logger_write(struct state *s, const struct logger_desk *d)
{
    struct logger_legacy l;

    logger_desk_describe(d, &l);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "formers", formers_write(s, d), "targets", targets_write(s, &d->rings),
                     "rings", descriptor_write(s, l.rings), "bell_read", descriptor_write(s, l.bell_read), "bell_write", descriptor_write(s, l.bell_write),
                     "channel", descriptor_write(s, l.channel), "pid", (json_int_t)l.pid);
}

static json_t *master_write(struct state *s, const struct master *m)
{
    char layout[LEDGER_LAYOUT_SIZE];

    ledger_layout(layout);
    return json_pack("{s:s, s:i, s:I, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
                     "iomuxd", PACKAGE_VERSION, "form", STATE_FORM, "pid", (json_int_t)getpid(), "layout", layout,
                     "began_ms", (json_int_t)m->began_ms, "began_s", (json_int_t)m->began_s,
                     "last_number", (json_int_t)m->last_number, "tell_ms", (json_int_t)m->health.tell_ms,
                     "slots", (json_int_t)m->ledger.used, "owed", text_write(m->notice.owed),
                     "ledger", descriptor_write(s, m->ledger.page.fd), "generations", generations_write(s, m),
                     "control", control_write(s, &m->control), "handed", handed_write(s, &m->handed),
                     "reload", reload_write(s, m), "store", store_write(s, &m->store),
                     "lobby", lobby_write(s, &m->lobby),
                     "logger", logger_write(s, &m->desk));
}

/* ---- the text ---- */

static int write_whole(int fd, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t wrote = write(fd, text, n);

        if (wrote == -1 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return -1;
        text += wrote;
        n -= (size_t)wrote;
    }
    return 0;
}

static int seal(int fd)
{
    if (lseek(fd, 0, SEEK_SET) == -1)
        return -1;
    return fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL);
}

int state_write(struct state *s, const struct master *m)
{
    json_t *whole;
    char *text;
    int rc = -1;

    *s = (struct state){ .fd = memfd_create("iomuxd-state", MFD_CLOEXEC | MFD_ALLOW_SEALING) };
    if (s->fd == -1)
        return -1;
    json_decref(descriptor_write(s, s->fd));
    whole = master_write(s, m);
    text = whole != NULL ? json_dumps(whole, JSON_COMPACT) : NULL;
    json_decref(whole);
    if (text == NULL || s->gaps)
        errno = ENOMEM;
    else if (write_whole(s->fd, text, strlen(text)) == 0)
        rc = seal(s->fd);
    free(text);
    if (rc == -1)
        state_close(s);
    return rc;
}

void state_close(struct state *s)
{
    int error = errno;

    if (s->fd != -1)
        close(s->fd);
    free(s->kept);
    *s = (struct state){ .fd = -1 };
    errno = error;
}
