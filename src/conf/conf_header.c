/* SPDX-License-Identifier: BSD-2-Clause */
/* Header fields that routes add to their replies or leave out of them. */
#include "conf/conf_inner.h"

#include <string.h>
#include <strings.h>

enum {
    ADDED_MAX = 100,            /* fields of a route or service */
    ADDED_BYTES = 8192          /* of all of them: what clients take as a head is about that */
};

static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Fields that only the server can say truly, each with why or with what sets it. */
static const struct { const char *name, *why; } owned[] = {
    { "Accept-Ranges", "it says what the server can do" },
    { "Allow", "it follows from methods" },
    { "Connection", "it says what becomes of the connection" },
    { "Content-Encoding", "it says what the bytes are" },
    { "Content-Length", "it says where the reply ends" },
    { "Content-Range", "it says which bytes are sent" },
    { "Content-Type", "respond.type and mime_types set it" },
    { "Date", "it is the server's clock" },
    { "ETag", "it must change with the content" },
    { "Keep-Alive", "it says what becomes of the connection" },
    { "Last-Modified", "it must change with the content" },
    { "Location", "redirect sets it" },
    { "Proxy-Authenticate", "it is a proxy's" },
    { "Proxy-Connection", "it says what becomes of the connection" },
    { "TE", "it is a client's" },
    { "Trailer", "it says where the reply ends" },
    { "Transfer-Encoding", "it says where the reply ends" },
    { "Upgrade", "it says what becomes of the connection" },
    { "WWW-Authenticate", "basic_auth sets it" },
};

/* What replies can do without. */
static const struct { const char *name; unsigned bit; } removable[] = {
    { "ETag", CONF_REMOVE_ETAG }, { "Last-Modified", CONF_REMOVE_LAST_MODIFIED },
    { "Accept-Ranges", CONF_REMOVE_ACCEPT_RANGES },
};

unsigned conf_header_removed(const struct conf_headers *h)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < h->remove.count; i++)
        for (size_t j = 0; j < sizeof(removable) / sizeof(removable[0]); j++)
            if (strcasecmp(h->remove.v[i], removable[j].name) == 0)
                bits |= removable[j].bit;
    return bits;
}

bool conf_header_adds(const struct conf_headers *h, const char *name)
{
    for (unsigned i = 0; i < h->add_count; i++)
        if (strcasecmp(h->add[i].name, name) == 0)
            return true;
    return false;
}

bool conf_header_removes(const struct conf_headers *h, const char *name)
{
    for (unsigned i = 0; i < h->remove.count; i++)
        if (strcasecmp(h->remove.v[i], name) == 0)
            return true;
    return false;
}

/* ---- add ---- */

static bool name_fits_field(struct conf_reader *r, const config_setting_t *node, const char *name)
{
    if (name[0] == '\0' || name[strspn(name, token)] != '\0') {
        conf_gripe(r, node, NULL, "\"%.60s\" is no name of a header field: letters, digits and -", name);
        return false;
    }
    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++)
        if (strcasecmp(name, owned[i].name) == 0) {
            conf_gripe(r, node, NULL, "%s cannot be set here: %s", owned[i].name, owned[i].why);
            return false;
        }
    return true;
}

/* RFC 9110 section 5.5: no control bytes but tabs between words, no blanks around. */
static bool value_fits_field(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    size_t n = strlen(value);

    for (size_t i = 0; i < n; i++)
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f) {
            conf_gripe(r, node, NULL, "must not have control bytes such as \\x%02X in it", (unsigned)value[i]);
            return false;
        }
    if (n > 0 && (strchr(" \t", value[0]) != NULL || strchr(" \t", value[n - 1]) != NULL)) {
        conf_gripe(r, node, NULL, "\"%.60s\" must not begin or end with a blank", value);
        return false;
    }
    return true;
}

static void field_add(struct conf_reader *r, struct conf_headers *h, const config_setting_t *name_node,
                      const config_setting_t *value_node)
{
    const char *name = name_node == value_node ? config_setting_name(name_node) : conf_node_string(name_node);
    const char *value = conf_node_string(value_node);

    if (name == NULL)
        conf_gripe_value(r, name_node, NULL, "a string");
    if (value == NULL)
        conf_gripe_value(r, value_node, NULL, "a string");
    if (name == NULL || value == NULL || !name_fits_field(r, name_node, name) ||
        !value_fits_field(r, value_node, value))
        return;
    h->add[h->add_count++] = (struct conf_header){ conf_memory_keep(r->memory, name, strlen(name)),
                                                   conf_memory_keep(r->memory, value, strlen(value)) };
}

/* One of a list: { name = "X"; value = "a"; } */
static void pair_add(struct conf_reader *r, struct conf_headers *h, const config_setting_t *node)
{
    const config_setting_t *name = NULL, *value = NULL;

    if (config_setting_is_group(node)) {
        name = config_setting_get_member(node, "name");
        value = config_setting_get_member(node, "value");
    }
    if (name == NULL || value == NULL || config_setting_length(node) != 2)
        conf_gripe_value(r, node, NULL, "a field { name = \"X-Name\"; value = \"text\"; }");
    else
        field_add(r, h, name, value);
}

static void add_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    struct conf_headers *h = base;
    int n = config_setting_length(node);
    size_t bytes = 0;

    (void)s;
    if (config_setting_is_scalar(node) || config_setting_is_array(node)) {
        conf_gripe_value(r, node, NULL, "a group { X-Name = \"text\"; } or a list of fields"
                                        " ( { name = \"X-Name\"; value = \"text\"; } )");
        return;
    }
    if (n > ADDED_MAX) {
        conf_gripe(r, node, NULL, "has %d fields; %d are allowed", n, ADDED_MAX);
        return;
    }
    h->add = conf_memory_get(r->memory, (size_t)n * sizeof(*h->add));
    for (int i = 0; i < n && h->add != NULL; i++) {
        const config_setting_t *element = config_setting_get_elem(node, (unsigned)i);

        if (config_setting_is_group(node))
            field_add(r, h, element, element);
        else
            pair_add(r, h, element);
    }
    for (unsigned i = 0; i < h->add_count && !r->memory->failed; i++)
        bytes += strlen(h->add[i].name) + strlen(h->add[i].value) + 4;
    if (bytes > ADDED_BYTES)
        conf_gripe(r, node, NULL, "has %zu bytes of fields; %d are allowed", bytes, ADDED_BYTES);
}

static void add_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_headers *h = base;

    if (h->add_count == 0)
        return;
    conf_print_key(p, s->key);
    fputs("(\n", p->to);
    p->depth++;
    for (unsigned i = 0; i < h->add_count; i++) {
        conf_print_indent(p);
        fputs("{ name = ", p->to);
        conf_print_string(p, h->add[i].name);
        fputs("; value = ", p->to);
        conf_print_string(p, h->add[i].value);
        fputs(i + 1 < h->add_count ? "; },\n" : "; }\n", p->to);
    }
    p->depth--;
    conf_print_indent(p);
    fputs(");\n", p->to);
}

/* ---- remove ---- */

static void remove_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    struct conf_headers *h = base;

    conf_strings_read(r, s, node, "the name of a header field or a list of names", &h->remove);
}

static void remove_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_headers *h = base;

    if (h->remove.count > 0)
        conf_print_strings(p, s->key, h->remove.v, h->remove.count);
}

/* ---- the group ---- */

static void headers_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    conf_kind_part.read(r, s, node, base);
}

static void headers_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_headers *h = conf_field_const(base, s->offset);

    if (h->add_count + h->remove.count > 0)
        conf_kind_part.print(p, s, base);
}

static bool is_removable(const char *name)
{
    return conf_header_removed(&(struct conf_headers){ .remove = { &name, 1 } }) != 0;
}

void conf_headers_check(struct conf_reader *r, const struct conf_headers *h, const struct conf_headers *outer,
                        const config_setting_t *node)
{
    const config_setting_t *group = config_setting_get_member(node, "headers");
    const config_setting_t *remove = group != NULL && config_setting_is_group(group)
                                         ? config_setting_get_member(group, "remove") : NULL;

    for (unsigned i = 0; i < h->remove.count; i++) {
        const char *name = h->remove.v[i];

        if (conf_header_adds(h, name))
            conf_gripe(r, remove, NULL, "has %.60s, which is added here too", name);
        else if (!is_removable(name) && (outer == NULL || !conf_header_adds(outer, name)))
            conf_gripe(r, remove, NULL, "\"%.60s\" cannot be removed: ETag, Last-Modified and Accept-Ranges can, and"
                                        " on a route what its service adds", name);
    }
}

const struct conf_kind conf_kind_headers = { headers_read, NULL, headers_print };
const struct conf_kind conf_kind_header_add = { add_read, NULL, add_print };
const struct conf_kind conf_kind_header_remove = { remove_read, NULL, remove_print };
