/* SPDX-License-Identifier: BSD-2-Clause */
/* The state of a master, read by the program that takes over.  It comes from a program of the same name, perhaps of
 * another version: the first thing that is wrong ends it. */
#include "daemon/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/state_words.h"

/* ---- the control socket ---- */

static void asker_read(struct state_reader *r, const json_t *from, struct control_client *c)
{
    const json_t *words = json_object_get(from, "words");
    size_t size;
    char *request = state_bytes(r, json_object_get(words, "request"), "request", &size);

    *c = (struct control_client){ .state = (enum control_state)state_number(r, from, "state", CONTROL_ANSWERING),
                                  .pid = (pid_t)state_number(r, from, "pid", INT32_MAX),
                                  .uid = (uid_t)state_number(r, from, "uid", UINT32_MAX),
                                  .id = (uint32_t)state_number(r, from, "id", UINT32_MAX),
                                  .reload = (unsigned)state_number(r, from, "reload", UINT32_MAX),
                                  .since_ms = state_moment_in(r, from, "since"), .fd = -1 };
    if (request != NULL && size <= sizeof c->request) {
        memcpy(c->request, request, size);
        c->got = size;
    } else {
        state_wrong(r, "\"request\" is too long");
    }
    free(request);
    c->answer = state_bytes(r, json_object_get(words, "answer"), "answer", &c->answer_size);
    c->sent = (size_t)state_number(r, words, "sent", c->answer_size);
    c->fd = state_descriptor_in(r, from, "fd");
}

static void control_read(struct state_reader *r, const json_t *from, struct control *c)
{
    const json_t *clients = state_list(r, from, "clients");

    if (json_array_size(clients) > CONTROL_CLIENTS)
        state_wrong(r, "there are more clients than places for them");
    state_text(r, from, "path", c->socket.path, sizeof c->socket.path);
    c->last_id = (uint32_t)state_number(r, from, "last_id", UINT32_MAX);
    c->socket.fd = state_descriptor_in(r, from, "fd");
    c->socket.device = (dev_t)state_number(r, from, "device", UINT64_MAX);
    if (r->adopt)               /* who only looks must not remove the file */
        c->socket.inode = (ino_t)state_number(r, from, "inode", UINT64_MAX);
    for (size_t i = 0; i < json_array_size(clients) && !r->failed; i++)
        asker_read(r, json_array_get(clients, i), &c->v[i]);
}

/* ---- the others ---- */

static void handed_read(struct state_reader *r, const json_t *all, struct handed *h)
{
    h->v = calloc(json_array_size(all) + 1, sizeof *h->v);
    if (h->v == NULL || !json_is_array(all)) {
        state_wrong(r, "\"handed\" is no list");
        return;
    }
    for (size_t i = 0; i < json_array_size(all) && !r->failed; i++) {
        const json_t *one = json_array_get(all, i);
        struct handed_one *to = &h->v[h->count++];

        to->fd = state_descriptor_in(r, one, "fd");
        to->datagram = state_flag(r, one, "datagram");
        to->stream = state_flag(r, one, "stream");
        state_text(r, one, "name", to->name, sizeof to->name);
    }
}

static void store_read(struct state_reader *r, const json_t *all, struct store *s)
{
    if (!json_is_array(all))
        state_wrong(r, "\"store\" is no list");
    for (size_t i = 0; i < json_array_size(all) && !r->failed; i++) {
        const json_t *one = json_array_get(all, i);
        uint64_t inode = state_integer(r, json_array_get(one, 1), "store", UINT64_MAX);
        size_t size;
        char *name = state_bytes(r, json_array_get(one, 0), "store", &size);

        if (name != NULL && store_note(s, name, inode) == -1)
            state_wrong(r, "\"store\": %s", strerror(errno));
        free(name);
    }
}

/* Who only looks has no descriptors, and so notes none. */
static void lobby_read(struct state_reader *r, const json_t *from, struct lobby *l)
{
    const json_t *former = state_list(r, from, "former"), *benches = state_list(r, from, "benches");

    l->ends[0] = state_descriptor_in(r, from, "out");
    l->ends[1] = state_descriptor_in(r, from, "in");
    l->number = (unsigned)state_number(r, from, "number", UINT32_MAX);
    l->kept = state_flag(r, from, "kept");
    l->seated = state_number(r, from, "seated", INT64_MAX);
    l->lost = state_number(r, from, "lost", INT64_MAX);
    for (size_t i = 0; i < json_array_size(former) && !r->failed; i++) {
        const json_t *one = json_array_get(former, i);
        unsigned number = (unsigned)state_integer(r, json_array_get(one, 1), "former", UINT32_MAX);
        int fd = state_descriptor(r, json_array_get(one, 0), "former");

        if (fd != -1 && lobby_add_former(l, fd, number) == -1)
            state_wrong(r, "\"former\": %s", strerror(errno));
    }
    for (size_t i = 0; i < json_array_size(benches) && !r->failed; i++) {
        int fd = state_descriptor(r, json_array_get(benches, i), "benches");

        if (fd != -1 && lobby_add_bench(l, fd) == -1)
            state_wrong(r, "\"benches\": %s", strerror(errno));
    }
}

static void overrides_read(struct state_reader *r, const json_t *from, const char *name, struct overrides *o)
{
    const json_t *all = state_list(r, from, name);

    for (size_t i = 0; i < json_array_size(all) && !r->failed; i++) {
        size_t size;
        char *text = state_bytes(r, json_array_get(all, i), name, &size);

        if (text != NULL && overrides_put(o, text) == -1)
            state_wrong(r, "\"%s\": %s", name, strerror(errno));
        free(text);
    }
}

static void result_read(struct state_reader *r, const json_t *from, struct reload_result *to)
{
    const json_t *errors = json_object_get(from, "errors");
    size_t size;

    to->attempt = (unsigned)state_number(r, from, "attempt", UINT32_MAX);
    to->ok = state_flag(r, from, "ok");
    to->generation = (unsigned)state_number(r, from, "generation", UINT32_MAX);
    to->when = (time_t)state_number(r, from, "when", INT64_MAX);
    to->took_ms = state_number(r, from, "took", INT64_MAX);
    if (!json_is_null(errors))
        to->errors = state_bytes(r, errors, "errors", &size);
}

static void reload_read(struct state_reader *r, const json_t *from)
{
    struct master *m = r->m;

    m->attempts = (unsigned)state_number(r, from, "attempts", UINT32_MAX);
    m->reload_began_ms = state_number(r, from, "began", INT64_MAX);
    m->reload_wanted = state_flag(r, from, "wanted");
    m->wanted_fresh = state_flag(r, from, "fresh");
    result_read(r, json_object_get(from, "last"), &m->last);
    overrides_read(r, from, "in_force", &m->in_force);
    overrides_read(r, from, "trying", &m->trying);
    overrides_read(r, from, "next", &m->wanted);
    overrides_read(r, from, "dropped", &m->dropped);
}

static void counters_adopt(struct state_reader *r, const json_t *from)
{
    int fd = state_descriptor_in(r, from, "ledger");
    struct ledger *t = &r->m->ledger;

    if (!r->failed && (fd == -1 ? ledger_open(t) : ledger_adopt(t, fd, false)) == -1)
        state_wrong(r, "the counters: %s", strerror(errno));
    t->used = (unsigned)state_number(r, from, "slots", LEDGER_ROOM);    /* whatever workers wrote into the memory */
}

static void target_log_read(struct state_reader *r, const json_t *from, struct logger_target *t, enum logger_kind kind)
{
    t->form[kind] = (uint32_t)state_number(r, from, "form", LOGGER_LINES);
    state_text(r, from, "path", t->path[kind], sizeof t->path[kind]);
}

static void log_target_read(struct state_reader *r, const json_t *from, struct logger_target *t)
{
    int number = (int)state_number(r, from, "number", LOGGER_TARGETS - 1);

    *t = (struct logger_target){ .use = (uint32_t)state_number(r, from, "use", LOGGER_ENDING),
                                 .order = (uint32_t)state_number(r, from, "order", UINT32_MAX) };
    state_text(r, from, "format", t->format, sizeof t->format);
    target_log_read(r, json_object_get(from, "log"), t, LOGGER_LOG);
    target_log_read(r, json_object_get(from, "access"), t, LOGGER_ACCESS);
    if (r->adopt && !r->failed && !logger_target_know(&r->m->desk.rings, number, t))
        state_wrong(r, "two targets have the number %d", number);
}

static void targets_read(struct state_reader *r, const json_t *all)
{
    struct logger_target *t = malloc(sizeof *t);

    if (t == NULL)
        state_wrong(r, "%s", strerror(errno));
    for (size_t i = 0; t != NULL && i < json_array_size(all) && !r->failed; i++)
        log_target_read(r, json_array_get(all, i), t);
    free(t);
}

/* They are children of this process, and somebody has to take leave of them. */
static void formers_read(struct state_reader *r, const json_t *all)
{
    for (size_t i = 0; i < json_array_size(all) && !r->failed; i++)
        logger_desk_leave(&r->m->desk, (pid_t)state_integer(r, json_array_get(all, i), "formers", INT32_MAX));
}

/* One that is of another version is left behind: it ends when the last of its workers has gone. */
static void logger_read(struct state_reader *r, const json_t *from)
{
    const struct logger_legacy l = { .rings = state_descriptor_in(r, from, "rings"),
                                     .bell_read = state_descriptor_in(r, from, "bell_read"),
                                     .bell_write = state_descriptor_in(r, from, "bell_write"),
                                     .channel = state_descriptor_in(r, from, "channel"),
                                     .pid = (pid_t)state_number(r, from, "pid", INT32_MAX) };
    const int fds[] = { l.rings, l.bell_read, l.bell_write, l.channel };
    const json_t *targets = json_object_get(from, "targets");   /* other versions have left it to the shared file */

    if (r->failed || !r->adopt || (json_is_array(targets) && logger_desk_adopt(&r->m->desk, &l) == 0)) {
        targets_read(r, targets);
        formers_read(r, json_object_get(from, "formers"));
        return;
    }
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] != -1)
            close(fds[i]);
    if (logger_desk_open(&r->m->desk) == -1)
        state_wrong(r, "memory for the log: %s", strerror(errno));
    logger_desk_leave(&r->m->desk, l.pid);
    formers_read(r, json_object_get(from, "formers"));
}

/* ---- all of it ---- */

static void master_read(struct state_reader *r, const json_t *from)
{
    struct master *m = r->m;

    m->began_ms = state_number(r, from, "began_ms", INT64_MAX);
    m->began_s = (time_t)state_number(r, from, "began_s", INT64_MAX);
    m->last_number = (unsigned)state_number(r, from, "last_number", UINT32_MAX);
    m->health.tell_ms = state_number(r, from, "tell_ms", INT64_MAX);
    state_text(r, from, "owed", m->notice.owed, sizeof m->notice.owed);
    reload_read(r, json_object_get(from, "reload"));
    handed_read(r, json_object_get(from, "handed"), &m->handed);
    store_read(r, json_object_get(from, "store"), &m->store);
    lobby_read(r, json_object_get(from, "lobby"), &m->lobby);
    control_read(r, json_object_get(from, "control"), &m->control);
    logger_read(r, json_object_get(from, "logger"));
    if (!r->failed)
        counters_adopt(r, from);
    if (!r->failed)
        state_generations_read(r, from);
}

/* Before anything is made of it. */
static void check_form(struct state_reader *r, const json_t *from)
{
    const char *version = json_string_value(json_object_get(from, "iomuxd"));
    const char *layout = json_string_value(json_object_get(from, "layout"));
    uint64_t form = state_number(r, from, "form", UINT32_MAX);
    char own[LEDGER_LAYOUT_SIZE];

    ledger_layout(own);
    if (r->failed || version == NULL)
        state_wrong(r, "it has no version");
    else if (form != STATE_FORM)
        state_wrong(r, "that is iomuxd %.40s and hands over form %ju, this is iomuxd %s and takes form %d", version,
                    (uintmax_t)form, PACKAGE_VERSION, STATE_FORM);
    else if (layout == NULL || strcmp(layout, own) != 0)
        state_wrong(r, "iomuxd %.40s keeps other counters than iomuxd %s", version, PACKAGE_VERSION);
    else if (r->adopt && state_number(r, from, "pid", INT32_MAX) != (uint64_t)getpid())
        state_wrong(r, "it is of another process");
}

/* The text; NULL with errno. */
static char *memory_read(int fd, size_t *size)
{
    struct stat st;
    char *text;
    ssize_t n = 1;

    *size = 0;
    if (fstat(fd, &st) == -1)
        return NULL;
    errno = EBADMSG;
    text = S_ISREG(st.st_mode) && st.st_size <= STATE_MAX ? malloc((size_t)st.st_size + 1) : NULL;
    while (text != NULL && n > 0 && *size < (size_t)st.st_size) {
        n = pread(fd, text + *size, (size_t)st.st_size - *size, (off_t)*size);
        *size += n > 0 ? (size_t)n : 0;
    }
    return text;
}

int state_read(struct master *m, int taken, bool adopt, char why[STATE_WHY_SIZE])
{
    struct state_reader r = { .m = m, .adopt = adopt, .why = why };
    json_error_t error;
    json_t *whole = NULL;
    size_t size;
    char *text = memory_read(taken, &size);

    if (text == NULL)
        state_wrong(&r, "%s", strerror(errno));
    else if ((whole = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error)) == NULL)
        state_wrong(&r, "%.200s", error.text);
    free(text);
    close(taken);
    if (!r.failed)
        check_form(&r, whole);
    if (!r.failed)
        master_read(&r, whole);
    json_decref(whole);
    return r.failed ? -1 : 0;
}
