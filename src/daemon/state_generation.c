/* SPDX-License-Identifier: BSD-2-Clause */
/* Generations, as the state of a master has them.  All that would lead astray is checked: what a configuration says now
 * must fit to what was made for it then. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/listen_socket.h"
#include "daemon/service.h"
#include "daemon/state_words.h"


static struct conf *configuration_read(struct state_reader *r, const json_t *from)
{
    struct conf_options options = { .file = "running configuration", .model_check = r->m->again->model_check,
                                    .carried = true };
    size_t size, said_size = 0;
    char *text = state_bytes(r, json_object_get(from, "configuration"), "configuration", &size), *said = NULL;
    FILE *to = open_memstream(&said, &said_size);
    struct conf *c = NULL;

    if (text != NULL && to != NULL)
        c = conf_read_text(&options, text, size, to);
    if (to != NULL)
        fclose(to);
    if (c == NULL)
        state_wrong(r, "%.*s", said != NULL ? (int)strcspn(said, "\n") : 0, said != NULL ? said : "");
    free(text);
    free(said);
    return c;
}

static void account_read(struct state_reader *r, const json_t *from, struct priv *p)
{
    p->drop = state_flag(r, from, "drop");
    p->chosen = state_flag(r, from, "chosen");
    p->uid = (uid_t)state_number(r, from, "uid", UINT32_MAX);
    p->gid = (gid_t)state_number(r, from, "gid", UINT32_MAX);
    state_text(r, from, "user", p->user, sizeof p->user);
    state_text(r, from, "group", p->group, sizeof p->group);
}

static void log_read(struct state_reader *r, const json_t *from, struct generation *g)
{
    const json_t *fd = json_object_get(from, "fd");
    bool standard = json_is_integer(fd) && json_integer_value(fd) == STDERR_FILENO;

    g->logger.form = (enum logger_form)state_number(r, from, "form", LOGGER_JOURNAL);
    g->logger.level = (enum log_level)state_number(r, from, "level", LOG_DEBUG);
    g->logger.path = g->conf->log_target == CONF_TARGET_FILE ? g->conf->log_file : NULL;
    g->logger.fd = standard ? STDERR_FILENO : state_descriptor(r, fd, "log");
    g->access_fd = state_descriptor_in(r, from, "access");
    g->logger.target = (uint32_t)state_number(r, from, "target", LOGGER_TARGETS - 1);
    if (!r->adopt || !r->m->desk.started)       /* who only looks, or has another logger, has no targets */
        return;
    g->desk = &r->m->desk;
    g->target = (int)g->logger.target;
}

/* The numbers of workers and the models are those that were chosen then. */
static void pool_set_read(struct state_reader *r, const json_t *from, struct generation *g)
{
    const json_t *all = state_list(r, from, "pools");

    if (pool_set_init(&g->pools, g->conf) == -1 || json_array_size(all) != g->pools.count) {
        state_wrong(r, "the pools are not those of the configuration");
        return;
    }
    g->pools.workers = 0;
    for (unsigned i = 0; i < g->pools.count; i++) {
        const json_t *one = json_array_get(all, i);
        const char *model = json_string_value(json_object_get(one, "model"));
        struct pool *p = &g->pools.v[i];

        p->model = model != NULL ? model_find(model) : NULL;
        p->first = g->pools.workers;
        p->workers = (unsigned)state_number(r, one, "workers", LEDGER_ROOM);
        g->pools.workers += p->workers;
        if (p->model == NULL)
            state_wrong(r, "the model %.40s, which workers have, is not in this program", model != NULL ? model : "?");
    }
}

static void socket_read(struct state_reader *r, const json_t *from, const struct generation *g, struct listen_socket *s)
{
    *s = (struct listen_socket){ .fd = state_descriptor(r, json_array_get(from, 0), "socket"),
                                 .number = (unsigned)state_integer(r, json_array_get(from, 1), "socket", UINT32_MAX),
                                 .worker = (unsigned)state_integer(r, json_array_get(from, 2), "socket", UINT32_MAX) };
    if (s->worker >= g->pools.workers)
        state_wrong(r, "a socket belongs to worker %u of %u", s->worker, g->pools.workers);
}

static void bound_read(struct state_reader *r, const json_t *from, const struct generation *g, struct listen_address *a)
{
    const json_t *sockets = state_list(r, from, "sockets");
    size_t size = 0;
    char *bytes = state_hex(json_object_get(from, "address"), &size);

    if (bytes != NULL && size <= sizeof a->address) {
        memset(&a->address, 0, sizeof a->address);
        memcpy(&a->address, bytes, size);
        a->size = (socklen_t)size;
    } else {
        state_wrong(r, "\"address\" is none");
    }
    free(bytes);
    a->dual = state_flag(r, from, "dual");
    a->inherited = state_flag(r, from, "inherited");
    a->made = state_flag(r, from, "made") && r->adopt;      /* who only looks must not remove the file */
    a->device = (dev_t)state_number(r, from, "device", UINT64_MAX);
    a->inode = (ino_t)state_number(r, from, "inode", UINT64_MAX);
    a->sockets = calloc(json_array_size(sockets) + 1, sizeof *a->sockets);
    while (!r->failed && a->sockets != NULL && a->socket_count < json_array_size(sockets)) {
        socket_read(r, json_array_get(sockets, a->socket_count), g, &a->sockets[a->socket_count]);
        a->socket_count++;
    }
    if (a->sockets == NULL)
        state_wrong(r, "%s", strerror(errno));
    else if (!r->failed)
        listen_describe(a);
}

static void listens_read(struct state_reader *r, const json_t *from, struct generation *g)
{
    const json_t *all = state_list(r, from, "addresses");
    int flags = state_descriptor_in(r, from, "flags");

    if (r->failed)
        return;
    if (listen_set_init(&g->listens, g->conf, flags) == -1)
        state_wrong(r, "the flags of listening sockets: %s", strerror(errno));
    else if (json_array_size(all) != g->listens.count)
        state_wrong(r, "the addresses are not those of the configuration");
    for (unsigned i = 0; !r->failed && i < g->listens.count; i++)
        bound_read(r, json_array_get(all, i), g, &g->listens.v[i]);
}

static void counts_read(struct state_reader *r, const json_t *from, struct metric_slot *base)
{
#define STATE_COUNTER(name, ...) base->total.name = state_number(r, from, #name, UINT64_MAX);
    METRIC_COUNTERS(STATE_COUNTER)
#undef STATE_COUNTER
    base->progress = state_number(r, from, "progress", UINT64_MAX);
}

static void pulse_read(struct state_reader *r, const json_t *from, struct pulse *p)
{
    p->silent_ms = (unsigned)state_integer(r, json_array_get(from, 0), "pulse", UINT32_MAX);
    p->kill_ms = state_moment(r, json_array_get(from, 1), "pulse");
    p->killed = json_is_true(json_array_get(from, 2));
}

/* Words that a program of another version owes its workers are for them to understand. */
static void owed_read(struct state_reader *r, const json_t *all, struct outbox *o)
{
    for (size_t i = 0; i < json_array_size(all) && !r->failed; i++) {
        const json_t *one = json_array_get(all, i);
        struct channel_message m = { .kind = (enum channel_kind)state_integer(r, json_array_get(one, 0), "owed", UINT32_MAX),
                                     .value = (uint32_t)state_integer(r, json_array_get(one, 1), "owed", UINT32_MAX),
                                     .fd = state_descriptor(r, json_array_get(one, 2), "owed") };

        if (outbox_put(o, m) == -1)
            state_wrong(r, "what workers are still to be told: %s", strerror(errno));
    }
}

/* A worker that lives has a slot of its own. */
static void slot_read(struct state_reader *r, const json_t *from, struct worker_slot *s)
{
    const json_t *slot = json_object_get(from, "slot");

    s->ledger = -1;
    if (json_is_integer(slot) && json_integer_value(slot) == -1 && s->pid == 0)
        return;
    s->ledger = (int)state_number(r, from, "slot", LEDGER_ROOM - 1);
    if (!r->failed && !ledger_claim(&r->m->ledger, s->ledger))
        state_wrong(r, "two workers have the counters %d", s->ledger);
}

static void worker_read(struct state_reader *r, const json_t *from, const struct generation *g, struct worker_slot *s)
{
    const json_t *times = json_object_get(from, "times");
    size_t pool = (size_t)state_number(r, from, "pool", g->pools.count - 1);

    if (r->failed)
        return;
    *s = (struct worker_slot){ .pool = &g->pools.v[pool], .pid = (pid_t)state_number(r, from, "pid", INT32_MAX),
                               .ready = state_flag(r, from, "ready"), .told = state_flag(r, from, "told"),
                               .passes = state_flag(r, from, "passes"),
                               .was_filled = state_flag(r, from, "was_filled"), .shut = state_flag(r, from, "shut"),
                               .pause_ms = (unsigned)state_number(r, from, "pause", UINT32_MAX),
                               .quick_deaths = (unsigned)state_number(r, from, "deaths", UINT32_MAX),
                               .ready_by_ms = UINT64_MAX,
                               .kill_ms = state_moment_in(r, times, "kill"), .started_ms = state_moment_in(r, times, "started"),
                               .next_start_ms = state_moment_in(r, times, "next") };
    s->channel = state_descriptor_in(r, from, "channel");
    s->inbox[0] = state_descriptor_in(r, from, "inbox");
    s->inbox[1] = state_descriptor_in(r, from, "inbox_end");
    state_text(r, from, "name", s->name, sizeof s->name);
    counts_read(r, json_object_get(from, "base"), &s->base);
    pulse_read(r, json_object_get(from, "pulse"), &s->pulse);
    owed_read(r, json_object_get(from, "owed"), &s->owed);
    slot_read(r, from, s);
}

/* Places of a crew are as many as its configuration wants; of those that leave there may be any number. */
static void crew_read(struct state_reader *r, const json_t *from, struct generation *g, struct crew *c)
{
    const json_t *all = state_list(r, from, "workers");
    size_t count = json_array_size(all);

    if (c == &g->crew && count != g->pools.workers)
        state_wrong(r, "there are %zu places for %u workers", count, g->pools.workers);
    c->killed = state_flag(r, from, "killed");
    c->ledger = &r->m->ledger;
    if (r->failed)
        return;
    c->v = calloc(count + 1, sizeof *c->v);
    if (c->v == NULL) {
        state_wrong(r, "%s", strerror(errno));
        return;
    }
    for (size_t i = 0; i < count && !r->failed; i++) {
        c->v[i].channel = c->v[i].ledger = c->v[i].inbox[0] = c->v[i].inbox[1] = -1;
        c->count++;
        worker_read(r, json_array_get(all, i), g, &c->v[i]);
    }
}

static void notes_read(struct state_reader *r, const json_t *from, struct generation *g)
{
    int fd = state_descriptor_in(r, from, "notes");

    if (fd != -1 && shared_adopt(&g->notes, fd, service_notes_size(g->conf)) == -1)
        state_wrong(r, "the notes of a generation: %s", strerror(errno));
}

static void generation_fill(struct state_reader *r, const json_t *from, struct generation *g)
{
    g->phase = (enum generation_phase)state_number(r, from, "phase", GENERATION_LEAVING);
    g->failed = state_flag(r, from, "failed");
    g->began_ms = state_number(r, from, "began_ms", INT64_MAX);
    g->began_s = (time_t)state_number(r, from, "began_s", INT64_MAX);
    g->crew.common.connections_max = (unsigned)state_number(r, from, "connections", UINT32_MAX);
    account_read(r, json_object_get(from, "account"), &g->priv);
    log_read(r, json_object_get(from, "log"), g);
    notes_read(r, from, g);
    if (!r->failed)
        pool_set_read(r, from, g);
    if (!r->failed)
        listens_read(r, json_object_get(from, "listens"), g);
    if (!r->failed)
        crew_read(r, json_object_get(from, "crew"), g, &g->crew);
    if (!r->failed)
        crew_read(r, json_object_get(from, "leaving"), g, &g->leaving);
}

static void generation_read(struct state_reader *r, const json_t *from)
{
    unsigned n = (unsigned)state_number(r, from, "number", UINT32_MAX);
    struct conf *c = configuration_read(r, from);
    struct generation *g = c != NULL ? generation_new(n, c) : NULL;

    if (g == NULL) {
        state_wrong(r, "%s", strerror(errno));
        conf_free(c);
        return;
    }
    list_append(&r->m->generations, &g->siblings);
    generation_fill(r, from, g);
    if (r->failed || g->phase != GENERATION_SERVING)
        return;
    if (r->m->serving != NULL)
        state_wrong(r, "two generations serve");
    r->m->serving = g;
}

void state_generations_read(struct state_reader *r, const json_t *from)
{
    const json_t *all = state_list(r, from, "generations");

    for (size_t i = 0; i < json_array_size(all) && !r->failed; i++)
        generation_read(r, json_array_get(all, i));
    if (r->m->serving == NULL)
        state_wrong(r, "no generation serves");
}
