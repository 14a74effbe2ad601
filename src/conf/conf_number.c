/* SPDX-License-Identifier: BSD-2-Clause */
/* Kinds of values that are numbers: counts, sizes, durations; and booleans. */
#include "conf/conf_inner.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct conf_word auto_words[] = { { "auto", 0 }, { NULL, 0 } };
static const struct conf_word flag_words[] = { { "true", 1 }, { "false", 0 }, { NULL, 0 } };
static const struct conf_word direct_words[] = { { "off", 0 }, { "on", 1 }, { NULL, 0 } };

static bool is_integer(const config_setting_t *node)
{
    return config_setting_type(node) == CONFIG_TYPE_INT || config_setting_type(node) == CONFIG_TYPE_INT64;
}

static bool in_range(const struct conf_setting *s, long long value)
{
    return value >= 0 && (uint64_t)value >= s->min && (uint64_t)value <= s->max;
}

static void unsigned_fall_back(const struct conf_setting *s, void *base)
{
    *(unsigned *)conf_field(base, s->offset) = (unsigned)s->fallback;
}

static unsigned unsigned_of(const struct conf_setting *s, const void *base)
{
    return *(const unsigned *)conf_field_const(base, s->offset);
}

static void unsigned_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    conf_print_key(p, s->key);
    fprintf(p->to, "%u;\n", unsigned_of(s, base));
}

/* ---- counts ---- */

static void count_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                       void *base)
{
    if (is_integer(node) && in_range(s, config_setting_get_int64(node)))
        *(unsigned *)conf_field(base, s->offset) = (unsigned)config_setting_get_int64(node);
    else
        conf_gripe_value(r, node, NULL, "a whole number from %ju to %ju", (uintmax_t)s->min,
                         (uintmax_t)s->max);
}

static void workers_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                         void *base)
{
    const char *word = conf_node_string(node);

    if (is_integer(node) && in_range(s, config_setting_get_int64(node)))
        *(unsigned *)conf_field(base, s->offset) = (unsigned)config_setting_get_int64(node);
    else if (word == NULL || strcmp(word, "auto") != 0)
        conf_gripe_value(r, node, auto_words, "\"auto\" or a whole number from %ju to %ju",
                         (uintmax_t)s->min, (uintmax_t)s->max);
}

static void workers_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    if (unsigned_of(s, base) != 0) {
        unsigned_print(p, s, base);
        return;
    }
    conf_print_key(p, s->key);
    fputs("\"auto\";\n", p->to);
}

/* ---- sizes ---- */

/* "64k": digits and one of k, m, g.  -1: it is no size. */
static long long parse_size(const char *text)
{
    static const char units[] = "kmg";
    unsigned shift = 0;
    const char *unit;
    long long value;
    char *end;

    if (text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    value = strtoll(text, &end, 10);
    if (*end != '\0' && end[1] == '\0' && (unit = strchr(units, *end | 0x20)) != NULL && *unit != '\0')
        shift = 10 * (unsigned)(unit - units + 1);
    else if (*end != '\0')
        return -1;
    return errno == ERANGE || value > LLONG_MAX >> shift ? LLONG_MAX : value << shift;
}

static bool size_of_node(struct conf_reader *r, const struct conf_setting *s, const config_setting_t *node,
                         uint64_t *size)
{
    const char *text = config_setting_get_string(node);
    long long value = -1;

    if (is_integer(node))
        value = config_setting_get_int64(node);
    else if (text != NULL)
        value = parse_size(text);
    *size = (uint64_t)value;
    if (in_range(s, value))
        return true;
    conf_gripe_value(r, node, NULL, "a size from %ju to %ju bytes, such as 65536 or \"64k\"",
                     (uintmax_t)s->min, (uintmax_t)s->max);
    return false;
}

static void size_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    uint64_t size;

    if (size_of_node(r, s, node, &size))
        *(unsigned *)conf_field(base, s->offset) = (unsigned)size;
}

static void size64_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                        void *base)
{
    uint64_t size;

    if (size_of_node(r, s, node, &size))
        *(uint64_t *)conf_field(base, s->offset) = size;
}

static void size64_fall_back(const struct conf_setting *s, void *base)
{
    *(uint64_t *)conf_field(base, s->offset) = s->fallback;
}

static void size64_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    conf_print_key(p, s->key);
    fprintf(p->to, "%ju;\n", (uintmax_t)*(const uint64_t *)conf_field_const(base, s->offset));
}

/* ---- direct_io: "off", "on" or a size ---- */

enum { DIRECT_OFF, DIRECT_ON };         /* as sizes: no file is of 0 bytes at least, every one of 1 */

/* "no" is one slip from "on", and means the opposite. */
static const struct conf_word *direct_words_near(const char *text)
{
    return text != NULL && strcasecmp(text, "no") == 0 ? NULL : direct_words;
}

static void direct_io_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                           void *base)
{
    const char *text = conf_node_string(node);
    uint64_t *size = conf_field(base, s->offset);
    long long value = -1;

    if (is_integer(node))
        value = config_setting_get_int64(node);
    else if (text != NULL)
        value = parse_size(text);

    if (text != NULL && strcmp(text, "off") == 0)
        *size = DIRECT_OFF;
    else if (text != NULL && strcmp(text, "on") == 0)
        *size = DIRECT_ON;
    else if (in_range(s, value))
        *size = (uint64_t)value;
    else
        conf_gripe_value(r, node, direct_words_near(text),
                         "\"off\", \"on\" or a size in bytes, such as 1048576 or \"1m\"");
}

static void direct_io_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    uint64_t size = *(const uint64_t *)conf_field_const(base, s->offset);

    if (size > DIRECT_ON) {
        size64_print(p, s, base);
        return;
    }
    conf_print_key(p, s->key);
    fputs(size == DIRECT_ON ? "\"on\";\n" : "\"off\";\n", p->to);
}

/* ---- durations: seconds outside, milliseconds or microseconds inside ---- */

enum { PER_SECOND_MS = 1000, PER_SECOND_US = 1000000 };

static double seconds_of_node(const config_setting_t *node)
{
    if (is_integer(node))
        return (double)config_setting_get_int64(node);
    return config_setting_type(node) == CONFIG_TYPE_FLOAT ? config_setting_get_float(node) : -1;
}

static bool duration_of_node(struct conf_reader *r, const struct conf_setting *s,
                             const config_setting_t *node, unsigned per_second, unsigned *value)
{
    double exact = seconds_of_node(node) * per_second;

    if (exact >= (double)s->min && exact <= (double)s->max) {
        *value = (unsigned)lround(exact);
        return true;
    }
    conf_gripe_value(r, node, NULL, "a number of seconds from %g to %g", (double)s->min / per_second,
                     (double)s->max / per_second);
    return false;
}

/* "12", "0.25": as many digits as it takes. */
static void duration_print(struct conf_printer *p, const struct conf_setting *s, unsigned value,
                           unsigned per_second)
{
    unsigned fraction = value % per_second, digits = 0;

    for (unsigned unit = 1; unit < per_second; unit *= 10)
        digits++;
    for (; fraction != 0 && fraction % 10 == 0; fraction /= 10)
        digits--;
    conf_print_key(p, s->key);
    if (fraction == 0)
        fprintf(p->to, "%u;\n", value / per_second);
    else
        fprintf(p->to, "%u.%0*u;\n", value / per_second, (int)digits, fraction);
}

static void seconds_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                         void *base)
{
    unsigned value;

    if (duration_of_node(r, s, node, PER_SECOND_MS, &value))
        *(unsigned *)conf_field(base, s->offset) = value;
}

static void seconds_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    duration_print(p, s, unsigned_of(s, base), PER_SECOND_MS);
}

static void micros_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node,
                        void *base)
{
    unsigned value;

    if (duration_of_node(r, s, node, PER_SECOND_US, &value))
        *(unsigned *)conf_field(base, s->offset) = value;
}

static void micros_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    duration_print(p, s, unsigned_of(s, base), PER_SECOND_US);
}

/* ---- booleans ---- */

static void flag_read(struct conf_reader *r, const struct conf_setting *s, config_setting_t *node, void *base)
{
    if (config_setting_type(node) == CONFIG_TYPE_BOOL)
        *(bool *)conf_field(base, s->offset) = config_setting_get_bool(node);
    else
        conf_gripe_value(r, node, flag_words, "true or false");
}

static void flag_fall_back(const struct conf_setting *s, void *base)
{
    *(bool *)conf_field(base, s->offset) = s->fallback != 0;
}

static void flag_print(struct conf_printer *p, const struct conf_setting *s, const void *base)
{
    conf_print_key(p, s->key);
    fprintf(p->to, "%s;\n", *(const bool *)conf_field_const(base, s->offset) ? "true" : "false");
}

const struct conf_kind conf_kind_count = { count_read, unsigned_fall_back, unsigned_print };
const struct conf_kind conf_kind_status = { count_read, NULL, unsigned_print };
const struct conf_kind conf_kind_workers = { workers_read, unsigned_fall_back, workers_print };
const struct conf_kind conf_kind_size = { size_read, unsigned_fall_back, unsigned_print };
const struct conf_kind conf_kind_size64 = { size64_read, size64_fall_back, size64_print };
const struct conf_kind conf_kind_direct_io = { direct_io_read, size64_fall_back, direct_io_print };
const struct conf_kind conf_kind_seconds = { seconds_read, unsigned_fall_back, seconds_print };
const struct conf_kind conf_kind_micros = { micros_read, unsigned_fall_back, micros_print };
const struct conf_kind conf_kind_flag = { flag_read, flag_fall_back, flag_print };
