/* SPDX-License-Identifier: BSD-2-Clause */
/* Joins a configuration file and its includes to one text and notes where each setting stands.
 * Includes are opened here and not by libconfig 1.5, which waits for ever on a FIFO, ends the process when it
 * cannot read, cannot include by absolute path, and says only "cannot open include file". */
#include "conf/conf_source.h"

#include <stdlib.h>
#include <string.h>

enum { INCLUDES_MAX = 10 };     /* nested: a file that includes itself must end somewhere */

/* A file being taken in. */
struct part {
    const char        *name;
    struct conf_tokens tokens;
    const char        *copied;      /* up to here the text is joined already */
};

/* ---- complaints ---- */

static void part_complain(const struct conf_source *s, const struct conf_place *place, const char *path,
                          const char *text)
{
    const struct conf_origin own = { .place = *place, .order = s->order };
    const struct conf_origin *where = s->override != NULL ? s->override->origin : &own;

    if (s->complaints != NULL)
        conf_complaints_add(s->complaints, where, path, "%s", text);
}

static int part_fail(struct conf_source *s, const struct part *part, unsigned line, const char *text)
{
    const struct conf_place place = { part->name, line };

    s->order++;         /* behind what was said about the settings before */
    part_complain(s, &place, NULL, text);
    return -1;
}

/* About the setting or element that has begun. */
static void node_complain(const struct conf_source *s, const struct conf_place *place, const char *text)
{
    char own[CONF_PATH_MAX], path[2 * CONF_PATH_MAX];

    conf_names_path(&s->names, own, sizeof(own));
    if (s->override == NULL)
        snprintf(path, sizeof(path), "%s", own);
    else
        snprintf(path, sizeof(path), "%s%s", s->override->path, own + strcspn(own, ".["));
    part_complain(s, place, path, text);
}

/* ---- the text for libconfig ---- */

static int count_bytes(struct conf_source *s, const struct part *part, unsigned line, size_t n)
{
    if (n > CONF_TEXT_MAX - s->taken)
        return part_fail(s, part, line, "is too long: more than 1 MiB with what it includes");
    s->taken += n;
    return 0;
}

static int join_text(struct conf_source *s, const struct part *part, const char *text, size_t n)
{
    if (conf_memory_grow(&s->text, &s->room, s->size + n + 1, 1) == -1)
        return part_fail(s, part, part->tokens.line, "out of memory");
    memcpy(s->text + s->size, text, n);
    s->size += n;
    s->text[s->size] = '\0';
    return 0;
}

static int join_up_to(struct conf_source *s, struct part *part, const char *to)
{
    const char *from = part->copied;
    size_t n = (size_t)(to - from);

    part->copied = to;
    if (count_bytes(s, part, part->tokens.line, n) == -1)
        return -1;
    return s->skipping ? 0 : join_text(s, part, from, n);
}

static int note_origin(struct conf_source *s, const struct part *part, const struct conf_token *t, bool told)
{
    if (conf_memory_grow(&s->origins, &s->origin_room, s->origin_count + 1, sizeof(*s->origins)) == -1)
        return part_fail(s, part, t->line, "out of memory");
    s->origins[s->origin_count++] = (struct conf_origin){
        .place = { part->name, t->line }, .order = s->order, .told = told
    };
    return 0;
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
    text = conf_file_load(path, &size, &why);
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
    if (join_up_to(s, part, t->at) == -1 || count_bytes(s, part, t->line, t->size) == -1)
        return -1;
    part->copied = t->at + t->size;
    s->depth++;
    r = include_load(s, part, t);
    s->depth--;
    return r;
}

/* ---- syntax ---- */

enum { QUOTE_MAX = 40 };        /* bytes of a token in a complaint */

static int token_fail(struct conf_source *s, const struct part *part, const struct conf_token *t,
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

/* ---- what libconfig would not take ---- */

/* The value of the setting that is left out has ended with the token before this one. */
static bool skip_over(const struct conf_source *s, const struct conf_token *t)
{
    bool more = t->kind == TOKEN_STRING && s->syntax.after_string;

    return s->skipping && s->names.depth == s->skip_depth && s->syntax.expect == EXPECT_TERMINATOR && !more;
}

/* What is around the gap must not become one word. */
static int skip_end(struct conf_source *s, const struct part *part)
{
    s->skipping = false;
    return join_text(s, part, " ", 1);
}

static int name_take(struct conf_source *s, const struct conf_token *t, const struct conf_place *place)
{
    const struct conf_name *before;
    char text[CONF_PLACE_SIZE + 64], seen[CONF_PLACE_SIZE];

    if (conf_names_add(&s->names, t, place, &before) == -1)
        return -1;
    if (before == NULL)
        return 0;
    if (s->override == NULL)
        snprintf(text, sizeof(text), "is set twice, first at %s",
                 conf_place_seen(place, &before->place, seen));
    else
        snprintf(text, sizeof(text), "is set twice in the same group");
    node_complain(s, place, text);
    s->twice++;
    if (!s->skipping) {
        s->skipping = true;
        s->skip_depth = s->names.depth;
    }
    return 0;
}

static enum conf_type plain_type(enum conf_type type)
{
    return type == TYPE_INTEGER_L ? TYPE_INTEGER : type;
}

/* True if an element is not of the type that the first one of its array has. */
static bool element_differs(struct conf_source *s, const struct conf_token *t)
{
    if (s->names.levels[s->names.depth].elements == 1)
        s->array_type = t->type;
    if (t->type == s->array_type)
        return false;
    if (!s->skipping) {
        s->array_mixed = true;
        s->text[s->array_at] = '(';
    }
    return plain_type(t->type) != plain_type(s->array_type);
}

/* A setting or element begins.  *told: it is wrong, and that has been said. */
static int node_take(struct conf_source *s, const struct part *part, const struct conf_token *t, bool *told)
{
    static const char mixed[] = "the elements of an array [ ] must be of one type; a list ( ) takes any";
    const struct conf_place place = { part->name, t->line };

    s->order++;
    if (t->kind == TOKEN_NAME)
        return name_take(s, t, &place) == 0 ? 0 : part_fail(s, part, t->line, "out of memory");
    conf_names_element(&s->names);
    if (conf_syntax_in_array(&s->syntax) && t->kind != TOKEN_OPEN && element_differs(s, t)) {
        *told = s->override == NULL;        /* there it is said where a string is wanted */
        if (*told)
            node_complain(s, &place, mixed);
    }
    return 0;
}

/* Behind a bracket: the levels of names, and what becomes of an array. */
static void bracket_follow(struct conf_source *s, const struct conf_token *t)
{
    if (t->kind == TOKEN_OPEN)
        conf_names_open(&s->names);
    else if (t->kind == TOKEN_CLOSE)
        conf_names_close(&s->names);
    if (t->kind == TOKEN_OPEN && *t->at == '[')
        s->array_at = s->size - 1;
    if (t->kind == TOKEN_CLOSE && *t->at == ']') {
        if (s->array_mixed)
            s->text[s->size - 1] = ')';
        s->array_mixed = false;
    }
}

/* ---- tokens ---- */

static int token_join(struct conf_source *s, struct part *part, const struct conf_token *t)
{
    bool told = false, node, over = skip_over(s, t);
    bool terminator = t->kind == TOKEN_SEMICOLON || t->kind == TOKEN_COMMA;
    const char *want;

    if (over && !terminator && skip_end(s, part) == -1)
        return -1;
    want = conf_syntax_take(&s->syntax, t, &node);
    if (want != NULL)
        return token_fail(s, part, t, want);
    if (node && node_take(s, part, t, &told) == -1)
        return -1;
    if (join_up_to(s, part, t->at + t->size) == -1)
        return -1;
    if (over && terminator)
        return skip_end(s, part);
    bracket_follow(s, t);
    if (s->skipping)
        return 0;
    /* libconfig 1.5 as Debian builds it keeps the low 32 bits of an integer without L. */
    if (t->wide && join_text(s, part, "L", 1) == -1)
        return -1;
    return node ? note_origin(s, part, t, told) : 0;
}

/* The end of an included file is no end for the grammar. */
static int token_take(struct conf_source *s, struct part *part, const struct conf_token *t)
{
    if (t->kind == TOKEN_BAD)
        return token_fail(s, part, t, NULL);
    if (t->kind == TOKEN_INCLUDE)
        return include_take(s, part, t);
    if (t->kind == TOKEN_END && s->depth > 0)
        return join_up_to(s, part, t->at);
    return token_join(s, part, t);
}

static int zero_fail(struct conf_source *s, const struct part *part, const char *zero)
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
    return count_bytes(s, &part, part.tokens.line, 1) == -1 ? -1 : join_text(s, &part, "\n", 1);
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
    text = conf_file_load(file, &size, &why);
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
    conf_names_free(&s->names);
}
