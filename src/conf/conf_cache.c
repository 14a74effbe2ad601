/* SPDX-License-Identifier: BSD-2-Clause */
/* What a route says about how long its replies may be kept: cache_control and expires (RFC 9111). */
#include "conf/conf_inner.h"

#include <string.h>
#include <strings.h>

#include "base/fmt.h"

static const char token[] = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Directives whose argument is a number of seconds. */
static bool wants_seconds(struct span name)
{
    static const char *const names[] = { "max-age", "s-maxage", "stale-while-revalidate", "stale-if-error" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (span_equal_nocase(name, span_of(names[i])))
            return true;
    return false;
}

/* Takes the argument behind '='; false: it is neither a token nor a quoted string, or no number where one is due. */
static bool argument_take(const char **p, bool seconds)
{
    size_t n = strspn(*p, token);
    uint64_t value;

    if (**p == '"' && !seconds) {
        const char *end = strchr(*p + 1, '"');

        if (end == NULL)
            return false;
        *p = end + 1;
        return true;
    }
    if (n == 0 || (seconds && !fmt_parse_u64((struct span){ *p, n }, INT32_MAX, &value)))
        return false;
    *p += n;
    return true;
}

/* directive *( "," directive ), each a token that may have an argument (RFC 9111 section 5.2). */
static bool directives_fit(const char *p)
{
    for (;;) {
        struct span name = { p, strspn(p, token) };
        bool seconds = wants_seconds(name);

        p += name.n;
        if (name.n == 0 || (seconds && *p != '='))
            return false;
        if (*p == '=') {
            p++;
            if (!argument_take(&p, seconds))
                return false;
        }
        p += strspn(p, " \t");
        if (*p == '\0')
            return true;
        if (*p++ != ',')
            return false;
        p += strspn(p, " \t");
    }
}

bool conf_check_cache_control(struct conf_reader *r, const config_setting_t *node, const char *value)
{
    if (directives_fit(value))
        return true;
    conf_gripe(r, node, NULL, "\"%.60s\" must be directives such as \"public, max-age=3600\" or \"no-store\"", value);
    return false;
}

static void expires_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    int type = config_setting_type(node);
    bool integer = type == CONFIG_TYPE_INT || type == CONFIG_TYPE_INT64;
    long long value = integer ? config_setting_get_int64(node) : -1;

    if (value >= 0 && (uint64_t)value <= s->max)
        *(unsigned *)conf_field(base, s->offset) = (unsigned)value;
    else
        conf_gripe_value(r, node, NULL, "a whole number of seconds from 0, which is at once, to %ju",
                         (uintmax_t)s->max);
}

static void expires_fall_back(const struct conf_setting *s, void *base)
{
    *(unsigned *)conf_field(base, s->offset) = CONF_EXPIRES_UNSET;
}

static void expires_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    unsigned value = *(const unsigned *)conf_field_const(base, s->offset);

    if (value == CONF_EXPIRES_UNSET)
        return;
    conf_print_key(p, s->key);
    fprintf(p->to, "%u;\n", value);
}

static void cache_control_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                               void *base)
{
    conf_kind_word.read(r, s, node, base);
}

static void cache_control_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    if (*(const char *const *)conf_field_const(base, s->offset) != NULL)
        conf_kind_word.print(p, s, base);
}

/* Does a list of added fields say the same in other words? */
static void cache_compare(struct conf_reader *r, const struct conf_headers *h, const config_setting_t *node,
                          const char *key)
{
    static const char *const fields[] = { "Cache-Control", "Expires" };

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (conf_header_adds(h, fields[i]))
            conf_gripe(r, config_setting_get_member(node, key), NULL, "stands beside headers.add.%s, which says it"
                                                                      " too: one of them", fields[i]);
}

/* True if it could say something: the daemon's status is of one moment, and its answers say so themselves. */
static bool cache_means(struct conf_reader *r, const struct conf_route *route, const config_setting_t *node,
                        const char *key)
{
    if (route->kind != CONF_ROUTE_LIVE)
        return true;
    conf_gripe(r, config_setting_get_member(node, key), NULL, "means nothing beside status = true, whose answers are"
                                                              " never kept");
    return false;
}

void conf_cache_check(struct conf_reader *r, const struct conf_route *route, const struct conf_headers *outer,
                      const config_setting_t *node)
{
    const char *key = route->cache_control != NULL ? "cache_control" : "expires";

    if (route->cache_control == NULL && route->expires_s == CONF_EXPIRES_UNSET)
        return;
    if (!cache_means(r, route, node, key))
        return;
    cache_compare(r, &route->headers, node, key);
    cache_compare(r, outer, node, key);
}

const struct conf_kind conf_kind_cache_control = { cache_control_read, NULL, cache_control_print };
const struct conf_kind conf_kind_expires = { expires_read, expires_fall_back, expires_print };
