/* SPDX-License-Identifier: BSD-2-Clause */
/* Joins a configuration file and its includes to one text and notes where each setting stands.
 * Includes are opened here and not by libconfig 1.5, which waits for ever on a FIFO, ends the process when it
 * cannot read, cannot include by absolute path, and says only "cannot open include file". */
#include "conf/conf_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    TEXT_MAX = 1 << 20,     /* bytes of all files together: a wrong file may be longer */
    INCLUDES_MAX = 10       /* nested: a file that includes itself must end somewhere */
};

/* A file being taken in. */
struct part {
    const char        *name;
    struct conf_tokens tokens;
    const char        *copied;      /* up to here the text is joined already */
};

static int part_fail(const struct conf_source *s, const struct part *part, unsigned line, const char *text)
{
    struct conf_origin where = { .place = { part->name, line } };

    if (s->complaints != NULL)
        conf_complaints_add(s->complaints, &where, NULL, "%s", text);
    return -1;
}

static int join_text(struct conf_source *s, const struct part *part, unsigned line, const char *text,
                     size_t n)
{
    if (n > TEXT_MAX - s->size)
        return part_fail(s, part, line, "is too long: more than 1 MiB with what it includes");
    if (s->size + n + 1 > s->room) {
        size_t room = 2 * (s->size + n + 1);
        char *grown = realloc(s->text, room);

        if (grown == NULL)
            return part_fail(s, part, line, "out of memory");
        s->text = grown;
        s->room = room;
    }
    memcpy(s->text + s->size, text, n);
    s->size += n;
    s->text[s->size] = '\0';
    return 0;
}

static int join_up_to(struct conf_source *s, struct part *part, const char *to)
{
    const char *from = part->copied;

    part->copied = to;
    return join_text(s, part, part->tokens.line, from, (size_t)(to - from));
}

/* The token has just been joined: its bytes are the last of the text. */
static int note_origin(struct conf_source *s, const struct part *part, const struct conf_token *t)
{
    if (s->origin_count == s->origin_room) {
        size_t room = s->origin_room == 0 ? 64 : 2 * s->origin_room;
        struct conf_origin *grown = realloc(s->origins, room * sizeof(*grown));

        if (grown == NULL)
            return part_fail(s, part, t->line, "out of memory");
        s->origins = grown;
        s->origin_room = room;
    }
    s->origin_count++;
    s->origins[s->origin_count - 1] = (struct conf_origin){
        .place = { part->name, t->line },
        .order = s->origin_count,
        .name_at = s->size - t->size,
        .name_size = t->kind == TOKEN_NAME ? t->size : 0,
    };
    return 0;
}

/* ---- files ---- */

static char *read_whole(int fd, size_t *size)
{
    char *text = malloc(TEXT_MAX + 2);
    ssize_t n = 1;

    for (*size = 0; text != NULL && n > 0 && *size <= TEXT_MAX; *size += n > 0 ? (size_t)n : 0)
        do
            n = read(fd, text + *size, TEXT_MAX + 1 - *size);
        while (n == -1 && errno == EINTR);
    if (n == -1 || text == NULL) {
        free(text);
        return NULL;
    }
    text[*size] = '\0';
    return text;
}

/* NULL: it may be read, else why not. */
static const char *judge_file(const struct stat *st)
{
    if (S_ISDIR(st->st_mode))
        return "is a folder, not a file";
    if (!S_ISREG(st->st_mode))
        return "is not a regular file";
    if (st->st_size > TEXT_MAX)
        return "is too long: a configuration has at most 1 MiB";
    return NULL;
}

/* The content of a file with a NUL behind it, or NULL and the reason.  O_NONBLOCK: a FIFO must not hold us
 * up. */
static char *load_file(const char *path, size_t *size, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char *text = NULL;
    struct stat st;

    *why = NULL;
    if (fd != -1 && fstat(fd, &st) == 0 && (*why = judge_file(&st)) == NULL)
        text = read_whole(fd, size);
    if (text == NULL && *why == NULL)
        *why = strerror(errno);
    if (fd != -1)
        close(fd);
    return text;
}

/* ---- includes ---- */

/* The file name of an include, without quotes and escapes, relative to the folder of the main file. */
static char *include_path(const struct conf_source *s, const struct conf_token *t)
{
    const char *from = memchr(t->at, '"', t->size), *end = t->at + t->size - 1;
    const char *slash = strrchr(s->main_file, '/');
    size_t folder = slash == NULL || from[1] == '/' ? 0 : (size_t)(slash - s->main_file) + 1;
    char *path = conf_memory_get(s->memory, folder + t->size + 1), *to = path;

    if (path == NULL)
        return NULL;
    memcpy(to, s->main_file, folder);
    to += folder;
    for (from++; from < end; from++) {
        if (*from == '\\' && from + 1 < end && (from[1] == '\\' || from[1] == '"'))
            from++;
        *to++ = *from;
    }
    return path;
}

static int take_part(struct conf_source *s, const char *name, const char *text, size_t size);

static int include_load(struct conf_source *s, const struct part *part, const struct conf_token *t)
{
    const char *why, *path = include_path(s, t);
    char reason[512], *text;
    size_t size;
    int r;

    if (path == NULL)
        return part_fail(s, part, t->line, "out of memory");
    text = load_file(path, &size, &why);
    if (text == NULL) {
        snprintf(reason, sizeof(reason), "@include: cannot read \"%.400s\": %s", path, why);
        return part_fail(s, part, t->line, reason);
    }
    r = take_part(s, path, text, size);
    free(text);
    return r;
}

/* Puts the file in the place of the directive. */
static int include_take(struct conf_source *s, struct part *part, const struct conf_token *t)
{
    int r;

    if (s->no_includes)
        return part_fail(s, part, t->line, "@include is not allowed here");
    if (s->depth == INCLUDES_MAX)
        return part_fail(s, part, t->line, "@include: nested more than 10 deep; does a file include itself?");
    if (join_up_to(s, part, t->at) == -1)
        return -1;
    part->copied = t->at + t->size;
    s->depth++;
    r = include_load(s, part, t);
    s->depth--;
    return r;
}

/* ---- syntax ---- */

enum { QUOTE_MAX = 40 };        /* bytes of a token in a complaint */

static int token_fail(const struct conf_source *s, const struct part *part, const struct conf_token *t,
                      const char *want)
{
    int n = (int)(t->size < QUOTE_MAX ? t->size : QUOTE_MAX);
    char text[256];

    if (t->kind == TOKEN_BAD)
        snprintf(text, sizeof(text), "syntax error: %.*s %s", n, t->at, t->why);
    else if (t->kind == TOKEN_END)
        snprintf(text, sizeof(text), "syntax error: expected %s before the end of the file", want);
    else
        snprintf(text, sizeof(text), "syntax error at %.*s: expected %s", n, t->at, want);
    return part_fail(s, part, t->line, text);
}

/* The end of an included file is no end for the grammar. */
static bool ends_all(const struct conf_source *s, const struct conf_token *t)
{
    return t->kind == TOKEN_END && s->depth == 0;
}

static int token_take(struct conf_source *s, struct part *part, const struct conf_token *t)
{
    const char *want = NULL;
    bool node = false;

    if (t->kind == TOKEN_BAD)
        return token_fail(s, part, t, NULL);
    if (t->kind == TOKEN_INCLUDE)
        return include_take(s, part, t);
    if (t->kind != TOKEN_END || ends_all(s, t))
        want = conf_syntax_take(&s->syntax, t, &node);
    if (want != NULL)
        return token_fail(s, part, t, want);
    if (join_up_to(s, part, t->at + t->size) == -1)
        return -1;
    /* libconfig 1.5 as Debian builds it keeps the low 32 bits of an integer without L. */
    if (t->wide && join_text(s, part, t->line, "L", 1) == -1)
        return -1;
    return node ? note_origin(s, part, t) : 0;
}

static int zero_fail(const struct conf_source *s, const struct part *part, const char *zero)
{
    unsigned line = 1;

    for (const char *p = part->copied; p < zero; p++)
        line += *p == '\n';
    return part_fail(s, part, line, "is not a text: there is a zero byte in this line");
}

/* A comment on the last line needs a newline for libconfig 1.5, and an include ends its line. */
static int take_part(struct conf_source *s, const char *name, const char *text, size_t size)
{
    struct part part = { .name = name, .tokens = { text, text, text + size, 1 }, .copied = text };
    const char *zero = memchr(text, '\0', size);
    struct conf_token t;

    if (zero != NULL)
        return zero_fail(s, &part, zero);
    do {
        conf_token_next(&part.tokens, &t);
        if (token_take(s, &part, &t) == -1)
            return -1;
    } while (t.kind != TOKEN_END);
    return join_text(s, &part, part.tokens.line, "\n", 1);
}

int conf_source_read_text(struct conf_source *s, const char *name, const char *text, size_t size)
{
    const char *kept = conf_memory_keep(s->memory, name, strlen(name));

    if (kept == NULL)
        return -1;
    s->main_file = kept;
    return take_part(s, kept, text, size);
}

int conf_source_read_file(struct conf_source *s, const char *file)
{
    const struct part none = { .name = conf_memory_keep(s->memory, file, strlen(file)) };
    const char *why;
    size_t size;
    char *text;
    int r;

    if (none.name == NULL)
        return -1;
    text = load_file(file, &size, &why);
    if (text == NULL)
        return part_fail(s, &none, 0, why);
    r = conf_source_read_text(s, file, text, size);
    free(text);
    return r;
}

void conf_source_free(struct conf_source *s)
{
    free(s->text);
    free(s->origins);
}
