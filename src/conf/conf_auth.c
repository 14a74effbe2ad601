/* SPDX-License-Identifier: BSD-2-Clause */
/* Basic authentication: the users of a route come from a file of lines USER:HASH, read with the configuration, so that
 * a wrong line is told with everything else and workers need not read the file. */
#include "conf/conf_inner.h"
#include "conf/conf_source.h"

#include <stdlib.h>
#include <string.h>

#include "base/password.h"

enum {
    USERS_MAX = 10000,
    USER_NAME_MAX = 255         /* bytes */
};

/* While a file is read. */
struct user_file {
    struct conf_reader     *r;
    const config_setting_t *node;
    const char             *path;
    unsigned                line;
    struct conf_auth       *auth;
    bool                    full;       /* and that has been said */
};

static void gripe_line(const struct user_file *f, const char *user, const char *message)
{
    if (user == NULL)
        conf_gripe(f->r, f->node, NULL, "\"%.200s\", line %u: %s", f->path, f->line, message);
    else
        conf_gripe(f->r, f->node, NULL, "\"%.200s\", line %u: user \"%.60s\" %s", f->path, f->line, user, message);
}

/* RFC 7617 section 2: no control bytes, and no colon, which ends it. */
static bool name_is_fit(const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i < n; i++)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    return n > 0 && n <= USER_NAME_MAX;
}

static void user_add(struct user_file *f, const char *name, const char *hash)
{
    struct conf_auth *auth = f->auth;

    if (auth->user_count == USERS_MAX) {
        if (!f->full)
            gripe_line(f, NULL, "is one user too many: 10000 are allowed");
        f->full = true;
        return;
    }
    auth->users[auth->user_count++] = (struct conf_user){ conf_memory_keep(f->r->memory, name, strlen(name)),
                                                          conf_memory_keep(f->r->memory, hash, strlen(hash)) };
}

/* USER:HASH, and whatever stands behind a further colon. */
static void user_line_read(struct user_file *f, char *line)
{
    char *colon = strchr(line, ':'), *end;
    const char *fault;

    if (line[0] == '\0' || line[0] == '#')
        return;
    if (colon == NULL) {
        gripe_line(f, NULL, "must be USER:HASH, as htpasswd writes it");
        return;
    }
    *colon = '\0';
    end = strchr(colon + 1, ':');
    if (end != NULL)
        *end = '\0';
    fault = password_fault(colon + 1);
    if (!name_is_fit(line))
        gripe_line(f, NULL, "must have the name of a user, of at most 255 bytes and no control bytes, before its colon");
    else if (fault != NULL)
        gripe_line(f, line, fault);
    else
        user_add(f, line, colon + 1);
}

static int conf_user_compare(const void *a, const void *b)
{
    return strcmp(((const struct conf_user *)a)->name, ((const struct conf_user *)b)->name);
}

/* The users are brought into an order that finds those who stand twice. */
static void users_compare(const struct user_file *f)
{
    const struct conf_auth *auth = f->auth;

    if (f->r->memory->failed || auth->users == NULL)
        return;
    qsort(auth->users, auth->user_count, sizeof(*auth->users), conf_user_compare);
    for (unsigned i = 1; i < auth->user_count; i++)
        if (strcmp(auth->users[i - 1].name, auth->users[i].name) == 0)
            conf_gripe(f->r, f->node, NULL, "\"%.200s\": user \"%.60s\" is there twice", f->path, auth->users[i].name);
}

static unsigned lines_in(const char *text)
{
    unsigned n = 1;

    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void users_text_read(struct user_file *f, char *text)
{
    unsigned lines = lines_in(text), room = lines < USERS_MAX ? lines : USERS_MAX;
    char *line;

    f->auth->users = conf_memory_get(f->r->memory, room * sizeof(*f->auth->users));
    while (f->auth->users != NULL && (line = strsep(&text, "\n")) != NULL) {
        size_t n = strlen(line);

        f->line++;
        while (n > 0 && strchr(" \t\r", line[n - 1]) != NULL)
            line[--n] = '\0';
        user_line_read(f, line);
    }
    users_compare(f);
}

/* What the file had in it is wiped: it is as good as passwords to who has time. */
static void file_read(struct conf_reader *r, const config_setting_t *node, const char *path, struct conf_auth *auth)
{
    struct user_file f = { .r = r, .node = node, .path = path, .auth = auth };
    size_t size = 0, complaints = r->complaints->count;
    const char *why;
    char *text = conf_file_load(path, &size, &why);

    if (text == NULL) {
        conf_gripe(r, node, NULL, "\"%.200s\": %s", path, why);
    } else if (size > CONF_TEXT_MAX || strlen(text) != size) {
        conf_gripe(r, node, NULL, "\"%.200s\" %s", path, size > CONF_TEXT_MAX ? "is too long: 1 MiB is allowed"
                                                                               : "has a NUL in it: it is no text");
    } else {
        users_text_read(&f, text);
        if (auth->user_count == 0 && complaints == r->complaints->count)
            conf_gripe(r, node, NULL, "\"%.200s\" has no user in it: nobody could come in", path);
    }
    if (text != NULL)
        explicit_bzero(text, size);
    free(text);
}

/* Of a configuration that rules already the file may have changed or gone.  Who cannot be read cannot come in. */
static void file_read_again(struct conf_reader *r, const config_setting_t *node, struct conf_auth *auth)
{
    struct conf_complaints unsaid = { .v = NULL }, *kept = r->complaints;

    r->complaints = &unsaid;
    file_read(r, node, auth->file, auth);
    r->complaints = kept;
    if (unsaid.count > 0)
        auth->user_count = 0;
    conf_complaints_free(&unsaid);
}

static void users_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    struct conf_auth *auth = base;

    conf_kind_word.read(r, s, node, base);
    if (auth->file != NULL && r->options->carried)
        file_read_again(r, node, auth);
    else if (auth->file != NULL)
        file_read(r, node, auth->file, auth);
}

static void users_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    conf_kind_word.print(p, s, base);
}

static void auth_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    conf_kind_part.read(r, s, node, base);
}

static void auth_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_auth *auth = conf_field_const(base, s->offset);

    if (auth->file != NULL)
        conf_kind_part.print(p, s, base);
}

const struct conf_kind conf_kind_users = { users_read, NULL, users_print };
const struct conf_kind conf_kind_auth = { auth_read, NULL, auth_print };
