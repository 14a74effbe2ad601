/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds of values that guard the workers: how much of the sandbox there must be, and how long a worker may stand
 * still. */
#include "conf/conf_inner.h"

#include <math.h>

enum { PER_SECOND = 1000 };

/* ---- sandbox: a word, and what "require" asks for must be there ---- */

static void sandbox_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    char why[CONF_WHY_SIZE] = "";
    const enum conf_sandbox *value = conf_field_const(base, s->offset);

    conf_kind_choice.read(r, s, node, base);
    if (*value != CONF_SANDBOX_REQUIRE || r->options->sandbox_check == NULL ||
        r->options->sandbox_check("require", why, sizeof why))
        return;
    conf_gripe(r, node, NULL, "\"require\": %s", why);
}

static void sandbox_fall_back(const struct conf_setting *s, void *base)
{
    conf_kind_choice.fall_back(s, base);
}

static void sandbox_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    conf_kind_choice.print(p, s, base);
}

/* ---- watchdog: 0, or so many seconds that no honest work takes as long ---- */

static double watchdog_of_node(const config_setting_t *node)
{
    switch (config_setting_type(node)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64: return (double)config_setting_get_int64(node) * PER_SECOND;
    case CONFIG_TYPE_FLOAT: return config_setting_get_float(node) * PER_SECOND;
    default:                return -1;
    }
}

static void watchdog_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    double exact = watchdog_of_node(node);

    if (exact == 0 || (exact >= (double)s->min && exact <= (double)s->max))
        *(unsigned *)conf_field(base, s->offset) = (unsigned)lround(exact);
    else
        conf_gripe_value(r, node, NULL, "0 or a number of seconds from %g to %g", (double)s->min / PER_SECOND,
                         (double)s->max / PER_SECOND);
}

static void watchdog_fall_back(const struct conf_setting *s, void *base)
{
    conf_kind_seconds.fall_back(s, base);
}

static void watchdog_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    conf_kind_seconds.print(p, s, base);
}

const struct conf_kind conf_kind_sandbox = { sandbox_read, sandbox_fall_back, sandbox_print };
const struct conf_kind conf_kind_watchdog = { watchdog_read, watchdog_fall_back, watchdog_print };
