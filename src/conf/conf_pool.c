/* SPDX-License-Identifier: BSD-2-Clause */
/* The pools: each by its table, then what it has from the settings outside and what can only be seen with all
 * of them in view.  Without the setting there is one pool of everything, so that nobody else needs to know
 * whether it was there. */
#include "conf/conf_inner.h"

#include <string.h>

enum { POOLS_MAX = 100 };           /* all are compared with all */

static const char implicit_name[] = "main";

bool conf_pool_serves(const struct conf_pool *p, const struct conf_service *service)
{
    for (unsigned i = 0; i < p->service_count; i++)
        if (p->services[i] == service)
            return true;
    return false;
}

/* ---- the services of one pool ---- */

/* Room for as many as there are.  False: memory ran out. */
static bool pool_make_room(struct conf_reader *r, struct conf_pool *pool)
{
    pool->services = conf_memory_get(r->memory, (r->conf->service_count + 1) * sizeof(*pool->services));
    pool->service_count = 0;
    return pool->services != NULL;
}

static void pool_take_all(struct conf_reader *r, struct conf_pool *pool)
{
    if (!pool_make_room(r, pool))
        return;
    for (unsigned i = 0; i < r->conf->service_count; i++)
        pool->services[pool->service_count++] = &r->conf->services[i];
}

/* The names of all services as the words that are allowed; NULL: memory ran out. */
static const struct conf_word *service_words(struct conf_reader *r)
{
    struct conf_word *words = conf_memory_get(r->memory, (r->conf->service_count + 1) * sizeof(*words));

    for (unsigned i = 0; words != NULL && i < r->conf->service_count; i++)
        words[i] = (struct conf_word){ .name = r->conf->services[i].name, .value = i };
    return words;
}

static void one_service_read(struct conf_reader *r, struct conf_pool *pool, const struct conf_word *words,
                             const config_setting_t *node)
{
    const struct conf_word *w = words;

    if (conf_node_string(node) == NULL) {
        r->pools_unsure = true;
        return;
    }
    while (w->name != NULL && strcmp(w->name, conf_node_string(node)) != 0)
        w++;
    if (w->name == NULL) {
        conf_gripe_value(r, node, words, "the name of a service");
        r->pools_unsure = true;
    } else if (conf_pool_serves(pool, &r->conf->services[w->value])) {
        conf_gripe(r, node, NULL, "\"%s\" is here twice", w->name);
    } else {
        pool->services[pool->service_count++] = &r->conf->services[w->value];
    }
}

static void pool_services_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                               void *base)
{
    unsigned n = conf_strings_count(r, node, "the name of a service or a list of names");
    const struct conf_word *words;

    (void)s;
    if (n == 0)
        conf_gripe(r, node, NULL, "needs one service at least");
    if (n == 0 || n == UINT_MAX) {
        r->pools_unsure = true;
        return;
    }
    words = service_words(r);
    if (!r->services_known || words == NULL || !pool_make_room(r, base))
        return;
    for (unsigned i = 0; i < n; i++)
        one_service_read(r, base, words, conf_strings_at(node, i));
}

static void pool_services_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf_pool *pool = base;

    conf_print_key(p, s->key);
    fputs("[ ", p->to);
    for (unsigned i = 0; i < pool->service_count; i++) {
        fputs(i == 0 ? "" : ", ", p->to);
        conf_print_string(p, pool->services[i]->name);
    }
    fputs(" ];\n", p->to);
}

/* ---- one pool ---- */

static void pool_name_compare(struct conf_reader *r, const struct conf_pool *pool,
                              const config_setting_t *node)
{
    for (const struct conf_pool *other = r->conf->pools; pool->name != NULL && other < pool; other++) {
        if (other->name != NULL && strcmp(pool->name, other->name) == 0) {
            conf_gripe(r, config_setting_get_member(node, "name"), NULL,
                       "\"%s\" is taken: each pool has a name of its own", pool->name);
            return;
        }
    }
}

/* What a pool does not say itself is said outside. */
static void pool_inherit(struct conf_reader *r, struct conf_pool *pool, const config_setting_t *node)
{
    if (config_setting_get_member(node, "io_model") == NULL)
        pool->io_model = r->conf->io_model;
    if (config_setting_get_member(node, "workers") == NULL)
        pool->workers = r->conf->workers;
    if (config_setting_get_member(node, "services") == NULL)
        pool_take_all(r, pool);
}

static void pool_read(struct conf_reader *r, struct conf_pool *pool, config_setting_t *node)
{
    pool->place = conf_node_origin(node)->place;
    conf_group_read(r, conf_pool_settings, node, pool);
    pool_inherit(r, pool, node);
    pool_name_compare(r, pool, node);
}

/* ---- all ---- */

/* Was every element of `services` fit to be referred to? */
static bool services_whole(const struct conf *c, const config_setting_t *services)
{
    if (services == NULL || c->service_count == 0 ||
        c->service_count != (unsigned)config_setting_length(services))
        return false;
    for (unsigned i = 0; i < c->service_count; i++)
        if (c->services[i].name == NULL)
            return false;
    return true;
}

static bool service_has_pool(const struct conf *c, const struct conf_service *service)
{
    for (unsigned i = 0; i < c->pool_count; i++)
        if (conf_pool_serves(&c->pools[i], service))
            return true;
    return false;
}

static void orphans_find(struct conf_reader *r, const config_setting_t *services)
{
    const struct conf *c = r->conf;

    for (unsigned i = 0; i < c->service_count; i++)
        if (!service_has_pool(c, &c->services[i]))
            conf_gripe(r, config_setting_get_elem(services, i), NULL,
                       "\"%s\" is in no pool, so nobody would serve it", c->services[i].name);
}

static void pools_fill(struct conf_reader *r, struct conf *c, config_setting_t *node)
{
    const config_setting_t *services = config_setting_get_member(config_setting_parent(node), "services");
    int n = config_setting_length(node);

    r->services_known = services_whole(c, services);
    for (int i = 0; i < n; i++) {
        config_setting_t *element = config_setting_get_elem(node, (unsigned)i);

        if (config_setting_is_group(element)) {
            pool_read(r, &c->pools[c->pool_count++], element);
            continue;
        }
        conf_gripe_value(r, element, NULL, "a pool { name = \"main\"; ... }");
        r->pools_unsure = true;
    }
    if (r->services_known && !r->pools_unsure && !r->memory->failed)
        orphans_find(r, services);
}

static void pools_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                       void *base)
{
    struct conf *c = base;
    int n = config_setting_length(node);

    (void)s;
    if (config_setting_is_scalar(node) || config_setting_is_group(node)) {
        conf_gripe_value(r, node, NULL, "a list of pools ( { name = \"main\"; ... } )");
        return;
    }
    if (n == 0 || n > POOLS_MAX) {
        conf_gripe(r, node, NULL, "must be from 1 to %d pools, not %d", POOLS_MAX, n);
        return;
    }
    c->pools = conf_memory_get(r->memory, (size_t)n * sizeof(*c->pools));
    if (c->pools != NULL)
        pools_fill(r, c, node);
}

void conf_pools_complete(struct conf_reader *r, struct conf *c)
{
    if (c->pools != NULL)
        return;
    c->pools = conf_memory_get(r->memory, sizeof(*c->pools));
    if (c->pools == NULL)
        return;
    c->pool_count = 1;
    c->pool_is_implicit = true;
    c->pools[0] = (struct conf_pool){ .name = implicit_name, .io_model = c->io_model,
                                      .io_model_place = c->io_model_place, .workers = c->workers };
    pool_take_all(r, &c->pools[0]);
}

/* What nobody wrote is not printed either: the file would say the same thing twice. */
static void pools_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf *c = base;

    if (c->pool_is_implicit) {
        conf_print_indent(p);
        fprintf(p->to, "# %s is not set\n", s->key);
        return;
    }
    conf_list_print(p, s->key, conf_pool_settings,
                    &(struct conf_list){ c->pools, c->pool_count, sizeof(*c->pools) });
}

bool conf_pools_inherit_model(const struct conf *c)
{
    for (unsigned i = 0; i < c->pool_count; i++)
        if (c->pools[i].io_model_place.file == NULL)
            return true;
    return false;
}

/* A default that no pool uses is not printed: who reads it again need not have that model. */
static void model_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    const struct conf *c = base;

    if (c->io_model_place.file != NULL || conf_pools_inherit_model(c)) {
        conf_kind_word.print(p, s, base);
        return;
    }
    conf_print_indent(p);
    fprintf(p->to, "# %s is not set, and each pool has its own\n", s->key);
}

static void model_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    conf_kind_word.read(r, s, node, base);
}

static void model_fall_back(const struct conf_setting *s, void *base)
{
    conf_kind_word.fall_back(s, base);
}

const struct conf_kind conf_kind_model = { model_read, model_fall_back, model_print };
const struct conf_kind conf_kind_pool_services = { pool_services_read, NULL, pool_services_print };
const struct conf_kind conf_kind_pools = { pools_read, NULL, pools_print };
