/* SPDX-License-Identifier: BSD-2-Clause */
/* The methods that a route answers: some of those that its kind could. */
#include "conf/conf_inner.h"

#include <string.h>

enum { READS = 1, POSTS = 2, OTHERS = 4 };

static const struct conf_word method_words[] = {
    { "GET", READS }, { "HEAD", READS }, { "OPTIONS", READS }, { "POST", POSTS },
    { "PUT", OTHERS }, { "DELETE", OTHERS }, { "PATCH", OTHERS }, { NULL, 0 }
};

static unsigned method_class(const char *method)
{
    for (const struct conf_word *w = method_words; w->name != NULL; w++)
        if (strcmp(w->name, method) == 0)
            return w->value;
    return 0;
}

bool conf_check_method(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    if (method_class(value) != 0)
        return true;
    conf_gripe_value(r, node, method_words, "\"GET\", \"HEAD\", \"POST\", \"PUT\", \"DELETE\", \"PATCH\" or"
                                            " \"OPTIONS\"");
    return false;
}

static unsigned classes_of_kind(enum conf_route_kind kind)
{
    switch (kind) {
    case CONF_ROUTE_ROOT:
    case CONF_ROUTE_ALIAS:
    case CONF_ROUTE_LIVE:
        return READS;
    case CONF_ROUTE_RESPOND:
        return READS | POSTS;
    case CONF_ROUTE_REDIRECT:
    case CONF_ROUTE_STATUS:
        break;
    }
    return READS | POSTS | OTHERS;
}

void conf_methods_check(struct conf_reader *r, const struct conf_route *route, const config_setting_t *node)
{
    unsigned classes = classes_of_kind(route->kind);

    for (unsigned i = 0; i < route->methods.count; i++)
        if ((method_class(route->methods.v[i]) & classes) == 0)
            conf_gripe(r, config_setting_get_member(node, "methods"), NULL,
                       "has %s, which such a route does not answer: it knows GET, HEAD%s and OPTIONS",
                       route->methods.v[i], (classes & POSTS) != 0 ? ", POST" : "");
}

static void methods_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    struct conf_strings *methods = conf_field(base, s->offset);

    conf_strings_read(r, s, node, "the name of a method or a list of names", methods);
    if (methods->v != NULL && conf_node_string(node) == NULL && config_setting_length(node) == 0)
        conf_gripe(r, node, NULL, "needs one method at least");
}

static void methods_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_strings *methods = conf_field_const(base, s->offset);

    if (methods->count > 0)
        conf_print_strings(p, s->key, methods->v, methods->count);
}

const struct conf_kind conf_kind_methods = { methods_read, NULL, methods_print };
