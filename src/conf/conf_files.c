/* SPDX-License-Identifier: BSD-2-Clause */
/* How the files of a route are found and shown: candidates that are tried, lists of folders, siblings that are
 * compressed already. */
#include "conf/conf_inner.h"

#include <limits.h>
#include <string.h>

enum { TRY_MAX = 100 };             /* a request may have to look for all of them */

/* ---- try: paths beneath the folder, and at the end a status ---- */

static const char try_path[] = "$path";

/* "=404", from 400 to 599. */
static bool try_status(const char *entry)
{
    return entry[0] == '=' && (entry[1] == '4' || entry[1] == '5') && strspn(entry + 1, "0123456789") == 3 &&
           entry[4] == '\0';
}

/* No empty segment, "." or "..": the request has none either. */
static bool try_segments_clean(const char *entry)
{
    const char *p = entry;

    while (*p != '\0') {
        size_t n;

        p += *p == '/';
        n = strcspn(p, "/");
        if ((n == 0 && *p != '\0') || (n == 1 && p[0] == '.') || (n == 2 && memcmp(p, "..", 2) == 0))
            return false;
        p += n;
    }
    return true;
}

static bool try_candidate(const char *entry)
{
    const size_t n = sizeof(try_path) - 1;
    const char *dollar = strchr(entry, '$');
    bool known = dollar == NULL || (strncmp(dollar, try_path, n) == 0 && strchr(dollar + n, '$') == NULL);

    return known && (entry[0] == '/' || dollar == entry) && try_segments_clean(entry);
}

static bool try_check(struct conf_reader *r, const config_setting_t *node, const char *entry)
{
    if (try_candidate(entry) || try_status(entry))
        return true;
    conf_gripe(r, node, NULL, "\"%.60s\" must be a path such as \"/index.html\" or \"$path.html\", without . and"
                              " .. in it, or at the end a status such as \"=404\"", entry);
    return false;
}

static void try_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    const struct conf_setting checked = { .key = s->key, .check = try_check };
    struct conf_route *route = base;
    unsigned n = conf_strings_count(r, node, "a list of paths such as [ \"$path\", \"/index.html\" ]");
    const char **entries;

    if (n == UINT_MAX)
        return;
    if (n > TRY_MAX) {
        conf_gripe(r, node, NULL, "has %u candidates; %d are allowed", n, TRY_MAX);
        return;
    }
    entries = conf_memory_get(r->memory, n * sizeof(*entries));
    route->try = entries;
    route->try_count = entries == NULL ? 0 : n;
    for (unsigned i = 0; i < route->try_count; i++) {
        conf_word_at(r, &checked, node, i, &entries[i]);
        if (entries[i] != NULL && entries[i][0] == '=' && i + 1 < n)
            conf_gripe(r, conf_strings_at(node, i), NULL, "\"%s\" ends the list: nothing behind it is tried",
                       entries[i]);
    }
}

static void try_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_route *route = base;

    conf_print_strings(p, s->key, route->try, route->try_count);
}

/* ---- autoindex: true, false, or one form of the two ---- */

static const struct conf_word autoindex_words[] = {
    { "html", CONF_AUTOINDEX_HTML }, { "json", CONF_AUTOINDEX_JSON }, { NULL, 0 }
};

static void autoindex_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    enum conf_autoindex *to = conf_field(base, s->offset);
    const char *word = conf_node_string(node);

    if (config_setting_type(node) == CONFIG_TYPE_BOOL) {
        *to = config_setting_get_bool(node) ? CONF_AUTOINDEX_ON : CONF_AUTOINDEX_OFF;
        return;
    }
    for (const struct conf_word *w = autoindex_words; word != NULL && w->name != NULL; w++)
        if (strcmp(w->name, word) == 0) {
            *to = (enum conf_autoindex)w->value;
            return;
        }
    conf_gripe_value(r, node, autoindex_words, "true, false, \"html\" or \"json\"");
}

static void autoindex_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    static const char *const texts[] = {
        [CONF_AUTOINDEX_OFF] = "false", [CONF_AUTOINDEX_ON] = "true",
        [CONF_AUTOINDEX_HTML] = "\"html\"", [CONF_AUTOINDEX_JSON] = "\"json\""
    };

    conf_print_key(p, s->key);
    fprintf(p->to, "%s;\n", texts[*(const enum conf_autoindex *)conf_field_const(base, s->offset)]);
}

/* ---- precompressed: codings, each once ---- */

static bool coding_taken(const struct conf_route *route, unsigned coding)
{
    for (unsigned i = 0; i < route->precompressed_count; i++)
        if (route->precompressed[i] == coding)
            return true;
    return false;
}

static void coding_read(struct conf_reader *r, const struct conf_setting *s, const config_setting_t *node,
                        struct conf_route *route)
{
    const struct conf_word *w = s->words;
    const char *name = conf_node_string(node);

    if (name == NULL)
        return;
    while (w->name != NULL && strcmp(w->name, name) != 0)
        w++;
    if (w->name == NULL)
        conf_gripe_value(r, node, s->words, "\"br\", \"zstd\" or \"gzip\"");
    else if (coding_taken(route, w->value))
        conf_gripe(r, node, NULL, "\"%s\" stands there twice", name);
    else
        route->precompressed[route->precompressed_count++] = (enum conf_coding)w->value;
}

static void precompressed_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                               void *base)
{
    unsigned n = conf_strings_count(r, node, "a list such as [ \"br\", \"zstd\", \"gzip\" ]");

    for (unsigned i = 0; n != UINT_MAX && i < n; i++)
        coding_read(r, s, conf_strings_at(node, i), base);
}

static void precompressed_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_route *route = base;
    const char *names[CONF_CODINGS];

    for (unsigned i = 0; i < route->precompressed_count; i++)
        for (const struct conf_word *w = s->words; w->name != NULL; w++)
            if (w->value == route->precompressed[i])
                names[i] = w->name;
    conf_print_strings(p, s->key, names, route->precompressed_count);
}

const struct conf_kind conf_kind_try = { try_read, NULL, try_print };
const struct conf_kind conf_kind_autoindex = { autoindex_read, NULL, autoindex_print };
const struct conf_kind conf_kind_precompressed = { precompressed_read, NULL, precompressed_print };
