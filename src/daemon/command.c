/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands: from a line of JSON to what the master does, and back.  Nothing that a client sends is believed: types
 * and ranges are checked, and what is not known is refused. */
#include "daemon/command.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/gauge.h"
#include "daemon/live.h"
#include "daemon/master_state.h"
#include "daemon/rights.h"
#include "daemon/status.h"

enum { CONNECTIONS_SHOWN = 100 };       /* without a limit */

struct command {
    const char *name;
    bool        changes;                /* only for who may */
    /* Does it and returns the answer; NULL: it comes later (or memory is short). */
    json_t   *(*run)(struct master *m, struct control_client *c, const json_t *request);
};

/* The answer, which is taken over. */
static void answer_with(struct control_client *c, json_t *taken)
{
    char *text = taken != NULL ? json_dumps(taken, JSON_COMPACT) : NULL;
    size_t n = text != NULL ? strlen(text) : 0;
    char *line = text != NULL ? realloc(text, n + 2) : NULL;

    json_decref(taken);
    if (line == NULL) {
        free(text);
        control_answer(c, NULL, 0);
        return;
    }
    line[n] = '\n';
    line[n + 1] = '\0';
    control_answer(c, line, n + 1);
}

static json_t *refusal(const char *format, ...) __attribute__((format(printf, 1, 2)));

static json_t *refusal(const char *format, ...)
{
    char text[256];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return status_errors(text);
}

static json_t *done(void)
{
    return json_pack("{s:b}", "ok", 1);
}

static void say_by_whom(const struct control_client *c, const char *what)
{
    log_write(LOG_NOTICE, &(struct log_about){ .event = "command" }, "master: iomuxctl (pid %d, uid %u): %s",
              (int)c->pid, (unsigned)c->uid, what);
}

/* ---- looking ---- */

static json_t *run_status(struct master *m, struct control_client *c, const json_t *request)
{
    (void)c;
    (void)request;
    gauge_look(m, clock_monotonic_ms());
    return status_whole(m);
}

static json_t *run_models(struct master *m, struct control_client *c, const json_t *request)
{
    (void)m;
    (void)c;
    (void)request;
    return status_models();
}

static json_t *run_version(struct master *m, struct control_client *c, const json_t *request)
{
    (void)m;
    (void)c;
    (void)request;
    return status_version();
}

static bool census_key_of(const json_t *word, enum census_key *key)
{
    static const char *const words[] = {
        [CENSUS_BY_AGE] = "age", [CENSUS_BY_RECEIVED] = "received", [CENSUS_BY_SENT] = "sent",
        [CENSUS_BY_BYTES] = "bytes"
    };

    *key = CENSUS_BY_AGE;
    if (word == NULL)
        return true;
    for (unsigned i = 0; json_is_string(word) && i < sizeof words / sizeof *words; i++) {
        if (strcmp(json_string_value(word), words[i]) == 0) {
            *key = (enum census_key)i;
            return true;
        }
    }
    return false;
}

static void survey_crew(struct survey *s, unsigned *part, const struct generation *g, struct crew *c)
{
    for (unsigned i = 0; i < c->count && *part < s->parts; i++) {
        struct survey_place *p = &s->places[*part];
        struct channel_message ask = { .kind = CHANNEL_SURVEY, .value = *part, .fd = s->fd };

        if (c->v[i].pid == 0)
            continue;
        p->pid = c->v[i].pid;
        p->model = c->v[i].pool->model->name;
        p->generation = g->number;
        snprintf(p->worker, sizeof p->worker, "%s", c->v[i].name);
        p->told = crew_tell_one(c, i, &ask);
        s->waiting += p->told;
        ++*part;
    }
}

static unsigned alive_in_all(const struct master *m)
{
    unsigned n = 0;

    for (const struct list *l = m->generations.next; l != &m->generations; l = l->next)
        n += generation_alive(LIST_ENTRY(l, struct generation, siblings));
    return n;
}

static json_t *survey_begin(struct master *m, struct control_client *c, enum census_key key, unsigned limit)
{
    struct survey *s = survey_new(&m->surveys, alive_in_all(m), key, limit);
    unsigned part = 0;

    if (s == NULL && errno == EBUSY)
        return refusal("others are asking the same just now: try again");
    if (s == NULL)
        return refusal("the workers cannot be asked: %s", strerror(errno));
    s->client = c->id;
    c->state = CONTROL_WAITING;
    for (struct list *l = m->generations.next; l != &m->generations; l = l->next) {
        struct generation *g = LIST_ENTRY(l, struct generation, siblings);

        survey_crew(s, &part, g, &g->crew);
        survey_crew(s, &part, g, &g->leaving);
    }
    survey_check(&m->surveys, s);
    return NULL;
}

static json_t *run_connections(struct master *m, struct control_client *c, const json_t *request)
{
    const json_t *limit = json_object_get(request, "limit");
    enum census_key key;

    if (!census_key_of(json_object_get(request, "sort"), &key))
        return refusal("\"sort\" must be age, received, sent or bytes");
    if (limit != NULL && (!json_is_integer(limit) || json_integer_value(limit) < 1 ||
                          json_integer_value(limit) > SURVEY_ROWS_MAX))
        return refusal("\"limit\" must be a number from 1 to %d", SURVEY_ROWS_MAX);
    return survey_begin(m, c, key, limit != NULL ? (unsigned)json_integer_value(limit) : CONNECTIONS_SHOWN);
}

void command_surveyed(void *arg, struct survey *s)
{
    struct master *m = arg;
    struct control_client *c = control_find(&m->control, s->client);

    if (c != NULL)
        answer_with(c, status_connections(s));
}

void command_hear(void *arg, const struct worker_slot *who, const struct channel_message *m)
{
    struct master *master = arg;

    if (m->fd != -1)
        rights_close(m->fd);
    if (m->kind == CHANNEL_SURVEYED)
        survey_heard(&master->surveys, who->pid, m->value);
}

/* ---- changing ---- */

/* The answer is to come with the end of the next reload. */
static json_t *wait_for_reload(struct master *m, struct control_client *c)
{
    m->reload_wanted = true;            /* one that is under way may have read the file before it was changed */
    c->state = CONTROL_WAITING;
    c->reload = m->attempts + 1;
    return NULL;
}

/* NULL: a reload may be asked for. */
static json_t *refuse_reload(const struct master *m)
{
    if (m->phase == MASTER_RUNNING)
        return NULL;
    return refusal(m->phase == MASTER_STOPPING ? "the daemon is stopping" : "the daemon is still starting");
}

static json_t *run_reload(struct master *m, struct control_client *c, const json_t *request)
{
    bool fresh = json_is_true(json_object_get(request, "fresh"));
    json_t *refused = refuse_reload(m);

    if (refused != NULL)
        return refused;
    say_by_whom(c, fresh ? "reload --fresh" : "reload");
    if (fresh) {
        overrides_free(&m->wanted);
        overrides_free(&m->dropped);
        m->wanted_fresh = true;
    }
    return wait_for_reload(m, c);
}

static json_t *refuse_setting(const char *text)
{
    if (errno == EINVAL)
        return refusal("%.120s: must be PATH=VALUE", text);
    return refusal("%.120s: %s", text, errno == E2BIG ? "there are too many overrides" : strerror(errno));
}

static json_t *run_set(struct master *m, struct control_client *c, const json_t *request)
{
    const char *text = json_string_value(json_object_get(request, "setting"));
    json_t *refused = refuse_reload(m);
    char what[160];

    if (refused != NULL)
        return refused;
    if (text == NULL)
        return refusal("\"setting\" must be a text, PATH=VALUE");
    if (overrides_put(&m->wanted, text) == -1)
        return refuse_setting(text);
    overrides_remove(&m->dropped, text);
    snprintf(what, sizeof what, "set %.140s", text);
    say_by_whom(c, what);
    return wait_for_reload(m, c);
}

static json_t *run_unset(struct master *m, struct control_client *c, const json_t *request)
{
    const char *path = json_string_value(json_object_get(request, "path"));
    json_t *refused = refuse_reload(m);
    char what[CONTROL_REQUEST_MAX];

    if (refused != NULL)
        return refused;
    if (path == NULL)
        return refusal("\"path\" must be a text");
    if (!overrides_has(&m->wanted, path) && !overrides_has(&m->trying, path) && !overrides_has(&m->in_force, path))
        return refusal("%.120s: was not set by iomuxctl", path);
    snprintf(what, sizeof what, "%s=", path);
    if (overrides_put(&m->dropped, what) == -1)
        return refuse_setting(path);
    overrides_remove(&m->wanted, path);
    snprintf(what, sizeof what, "unset %.140s", path);
    say_by_whom(c, what);
    return wait_for_reload(m, c);
}

void control_reloaded(struct master *m, unsigned attempt)
{
    for (unsigned i = 0; i < CONTROL_CLIENTS; i++) {
        struct control_client *c = &m->control.v[i];

        if (c->state == CONTROL_WAITING && c->reload != 0 && c->reload <= attempt)
            answer_with(c, status_reload(&m->last));
    }
}

static json_t *run_drain(struct master *m, struct control_client *c, const json_t *request)
{
    const char *worker = json_string_value(json_object_get(request, "worker"));
    char why[160];

    if (worker == NULL)
        return refusal("\"worker\" must be the name of a worker, such as \"main.0\"");
    if (!master_replace(m, worker, why, sizeof why))
        return refusal("%s", why);
    say_by_whom(c, "drain");
    return done();
}

static json_t *run_log_level(struct master *m, struct control_client *c, const json_t *request)
{
    const char *word = json_string_value(json_object_get(request, "level"));
    enum log_level level;
    char text[32];

    if (word == NULL || !log_parse_level(word, &level))
        return refusal("\"level\" must be error, warn, notice, info or debug");
    snprintf(text, sizeof text, "log-level %s", word);
    say_by_whom(c, text);
    master_set_level(m, level);
    return done();
}

static json_t *run_reopen(struct master *m, struct control_client *c, const json_t *request)
{
    (void)request;
    say_by_whom(c, "reopen");
    return master_reopen(m, "iomuxctl") ? done() : refusal("not every log file could be opened again: the log has the reason");
}

static json_t *run_stop(struct master *m, struct control_client *c, const json_t *request)
{
    (void)request;
    if (m->phase == MASTER_STOPPING)
        return refusal("the daemon is stopping already");
    say_by_whom(c, "stop");
    master_stop(m, "iomuxctl", false);
    return done();
}

static const struct command commands[] = {
    { .name = "status",      .run = run_status },
    { .name = "connections", .run = run_connections },
    { .name = "models",      .run = run_models },
    { .name = "version",     .run = run_version },
    { .name = "reload",      .changes = true, .run = run_reload },
    { .name = "set",         .changes = true, .run = run_set },
    { .name = "unset",       .changes = true, .run = run_unset },
    { .name = "drain",       .changes = true, .run = run_drain },
    { .name = "log-level",   .changes = true, .run = run_log_level },
    { .name = "reopen",      .changes = true, .run = run_reopen },
    { .name = "stop",        .changes = true, .run = run_stop }
};

static json_t *run_named(struct master *m, struct control_client *c, const json_t *request)
{
    const char *name = json_string_value(json_object_get(request, "command"));

    for (size_t i = 0; name != NULL && i < sizeof commands / sizeof *commands; i++) {
        if (strcmp(commands[i].name, name) != 0)
            continue;
        if (commands[i].changes && c->uid != 0 && c->uid != geteuid())
            return refusal("%s: only root and the user that iomuxd runs as may do this", name);
        return commands[i].run(m, c, request);
    }
    return refusal(name != NULL ? "there is no such command" : "the request has no \"command\"");
}

/* ---- statistics for who speaks HTTP ---- */

/* Does this line, which begins a GET, want this path? */
static bool line_asks(struct span line, const char *path)
{
    struct span rest = span_skip(line, 4), wanted = span_of(path);

    return span_starts_with(rest, wanted) && rest.n > wanted.n && (rest.p[wanted.n] == ' ' || rest.p[wanted.n] == '?');
}

/* NULL: memory is short. */
static void answer_http(struct control_client *c, const char *status, const char *type, const char *text, size_t n)
{
    char *whole = NULL;
    size_t size = 0;
    FILE *to = text != NULL ? open_memstream(&whole, &size) : NULL;

    if (to != NULL) {
        fprintf(to, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status, type, n);
        fwrite(text, 1, n, to);
        if (fclose(to) != 0) {
            free(whole);
            whole = NULL;
        }
    }
    control_answer(c, whole, size);
}

static void answer_live(struct master *m, struct control_client *c, char *(*make)(const struct ledger *, size_t *),
                        const char *type)
{
    size_t n = 0;
    char *text;

    gauge_look(m, clock_monotonic_ms());
    text = make(&m->ledger, &n);
    answer_http(c, "200 OK", type, text, n);
    free(text);
}

static void answer_without(struct control_client *c, const char *status, const char *why)
{
    answer_http(c, status, "text/plain; charset=utf-8", why, strlen(why));
}

/* So a socket that is there anyway can be scraped: an answer, and no more, as streams would take the places of those who
 * have a question.  False: it does not speak HTTP. */
static bool obey_http(struct master *m, struct control_client *c, struct span line)
{
    if (!span_starts_with(line, SPAN("GET ")))
        return false;
    if (line_asks(line, "/metrics"))
        answer_live(m, c, live_metrics, "text/plain; version=0.0.4; charset=utf-8");
    else if (line_asks(line, "/status.json"))
        answer_live(m, c, live_status, "application/json");
    else if (line_asks(line, "/events"))
        answer_without(c, "501 Not Implemented", "events are streamed by services with the protocol \"status\" and by routes "
                       "with status = true, not here\n");
    else
        answer_without(c, "404 Not Found", "there are /metrics and /status.json here\n");
    return true;
}

/* A request with a number or a depth that is out of bounds is refused by the library. */
void command_obey(void *arg, struct control_client *c, struct span line)
{
    json_error_t error;
    json_t *request, *answer;

    if (obey_http(arg, c, line))
        return;
    request = json_loadb(line.p, line.n, JSON_REJECT_DUPLICATES, &error);
    if (!json_is_object(request))
        answer = refusal("the request is no JSON object: %.120s", request == NULL ? error.text : "something else");
    else
        answer = run_named(arg, c, request);
    json_decref(request);
    if (answer != NULL)
        answer_with(c, answer);
    else if (c->state == CONTROL_READING)       /* memory is short */
        control_answer(c, NULL, 0);
}
