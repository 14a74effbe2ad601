/* SPDX-License-Identifier: BSD-2-Clause */
/* Every setting, once: key, kind, place in the structure, range, default.  Reading, printing and "did you
 * mean" follow these tables; iomuxd.conf(5) and the sample in etc are written after them. */
#include "conf/conf_inner.h"

enum {
    WORKERS_MAX = 1024,
    DURATION_MAX_MS = 86400 * 1000,         /* a day: longer is a slip of the unit */
    POLL_INTERVAL_MAX_US = 1000 * 1000,     /* a second: slower than that serves nobody */
    CONNECTIONS_MAX = 1000000,              /* descriptors of a process (fs.nr_open is about that) */
    GENERATIONS_MIN = 2,                    /* the one that comes and the one that goes */
    GENERATIONS_MAX = 32,                   /* each may have as many workers as the one that serves */
    REQUEST_LINE_MIN = 64, REQUEST_LINE_MAX = 1 << 20,
    HEADER_MIN = 1024, HEADER_MAX = 16 << 20,   /* each connection may have to keep so much */
    HEADER_COUNT_MAX = 10000,
    REQUESTS_MAX = 1000000000,
    DATAGRAMS_MAX = 1000000,                /* answers in a second: more than a worker can send */
    WATCHDOG_MIN_MS = 1000,                 /* a turn takes milliseconds, tens of them where CPU is short */
    WATCHDOG_MAX_MS = 3600 * 1000
};

#define BODY_MAX (UINT64_C(1) << 50)        /* bodies are read and dropped, never kept */
#define DIRECT_MAX (UINT64_C(1) << 50)      /* larger than any file */

/* ---- words ---- */

static const struct conf_word level_words[] = {
    { "error", LOG_ERROR }, { "warn", LOG_WARN }, { "notice", LOG_NOTICE }, { "info", LOG_INFO },
    { "debug", LOG_DEBUG }, { NULL, 0 }
};

static const struct conf_word sandbox_words[] = {
    { "auto", CONF_SANDBOX_AUTO }, { "require", CONF_SANDBOX_REQUIRE }, { "off", CONF_SANDBOX_OFF }, { NULL, 0 }
};

static const struct conf_word log_target_words[] = {
    { "auto", CONF_TARGET_AUTO }, { "stderr", CONF_TARGET_STDERR }, { "journal", CONF_TARGET_JOURNAL },
    { NULL, 0 }
};

static const struct conf_word access_target_words[] = { { "off", CONF_TARGET_OFF }, { NULL, 0 } };

static const struct conf_word access_format_words[] = {
    { "combined", CONF_ACCESS_COMBINED }, { "json", CONF_ACCESS_JSON }, { NULL, 0 }
};

static const struct conf_word protocol_words[] = {
    { "http", CONF_HTTP }, { "greet", CONF_GREET }, { "echo", CONF_ECHO }, { "discard", CONF_DISCARD },
    { "chargen", CONF_CHARGEN }, { "daytime", CONF_DAYTIME }, { "time", CONF_TIME }, { NULL, 0 }
};

/* ---- groups ---- */

#define AT(type, member) .offset = offsetof(type, member)
#define RANGE(low, high, otherwise) .min = (low), .max = (high), .fallback = (otherwise)
#define SECONDS(otherwise) RANGE(1, DURATION_MAX_MS, 1000 * (otherwise))

static const struct conf_setting log_settings[] = {
    { .key = "target", .kind = &conf_kind_target, AT(struct conf, log_target), .words = log_target_words,
      .check = conf_check_target, .fallback = CONF_TARGET_AUTO,
      .file_offset = offsetof(struct conf, log_file),
      .place_offset = offsetof(struct conf, log_place) },
    { .key = "level", .kind = &conf_kind_choice, AT(struct conf, log_level), .words = level_words,
      .fallback = LOG_INFO },
    { .key = NULL }
};

static const struct conf_setting access_settings[] = {
    { .key = "target", .kind = &conf_kind_target, AT(struct conf, access_target),
      .words = access_target_words,
      .fallback = CONF_TARGET_OFF, .file_offset = offsetof(struct conf, access_file),
      .place_offset = offsetof(struct conf, access_place) },
    { .key = "format", .kind = &conf_kind_choice, AT(struct conf, access_format),
      .words = access_format_words,
      .fallback = CONF_ACCESS_COMBINED },
    { .key = NULL }
};

static const struct conf_setting timeout_settings[] = {
    { .key = "header", .kind = &conf_kind_seconds, AT(struct conf_timeouts, header_ms), SECONDS(10) },
    { .key = "body", .kind = &conf_kind_seconds, AT(struct conf_timeouts, body_ms), SECONDS(30) },
    { .key = "idle", .kind = &conf_kind_seconds, AT(struct conf_timeouts, idle_ms), SECONDS(60) },
    { .key = "send", .kind = &conf_kind_seconds, AT(struct conf_timeouts, send_ms), SECONDS(30) },
    { .key = "drain", .kind = &conf_kind_seconds, AT(struct conf_timeouts, drain_ms), SECONDS(30) },
    { .key = NULL }
};

static const struct conf_setting limit_settings[] = {
    { .key = "connections", .kind = &conf_kind_count, AT(struct conf_limits, connections),
      RANGE(1, CONNECTIONS_MAX, 10000) },
    { .key = "request_line", .kind = &conf_kind_size, AT(struct conf_limits, request_line),
      RANGE(REQUEST_LINE_MIN, REQUEST_LINE_MAX, 8192) },
    { .key = "header_bytes", .kind = &conf_kind_size, AT(struct conf_limits, header_bytes),
      RANGE(HEADER_MIN, HEADER_MAX, 32768) },
    { .key = "header_count", .kind = &conf_kind_count, AT(struct conf_limits, header_count),
      RANGE(1, HEADER_COUNT_MAX, 100) },
    { .key = "body_bytes", .kind = &conf_kind_size64, AT(struct conf_limits, body_bytes),
      RANGE(0, BODY_MAX, 1 << 20) },
    { .key = "requests", .kind = &conf_kind_count, AT(struct conf_limits, requests),
      RANGE(0, REQUESTS_MAX, 0) },
    { .key = "datagrams_per_address", .kind = &conf_kind_count, AT(struct conf_limits, datagrams_per_address),
      RANGE(0, DATAGRAMS_MAX, 100) },
    { .key = NULL }
};

const struct conf_setting conf_settings[] = {
    { .key = "workers", .kind = &conf_kind_workers, AT(struct conf, workers), RANGE(1, WORKERS_MAX, 0) },
    { .key = "io_model", .kind = &conf_kind_word, AT(struct conf, io_model), .fallback_text = "epoll",
      .place_offset = offsetof(struct conf, io_model_place), .check = conf_check_model },
    { .key = "poll_interval", .kind = &conf_kind_micros, AT(struct conf, poll_interval_us),
      RANGE(0, POLL_INTERVAL_MAX_US, 0) },
    { .key = "user", .kind = &conf_kind_word, AT(struct conf, user), .check = conf_check_user,
      .place_offset = offsetof(struct conf, user_place) },
    { .key = "group", .kind = &conf_kind_word, AT(struct conf, group), .check = conf_check_group,
      .place_offset = offsetof(struct conf, group_place) },
    { .key = "sandbox", .kind = &conf_kind_sandbox, AT(struct conf, sandbox), .words = sandbox_words,
      .fallback = CONF_SANDBOX_AUTO },
    { .key = "watchdog", .kind = &conf_kind_watchdog, AT(struct conf, watchdog_ms),
      RANGE(WATCHDOG_MIN_MS, WATCHDOG_MAX_MS, 10 * 1000) },
    { .key = "control", .kind = &conf_kind_word, AT(struct conf, control), .check = conf_check_control,
      .place_offset = offsetof(struct conf, control_place) },
    { .key = "generations", .kind = &conf_kind_count, AT(struct conf, generations),
      RANGE(GENERATIONS_MIN, GENERATIONS_MAX, 3) },
    { .key = "log", .kind = &conf_kind_group, .members = log_settings },
    { .key = "access_log", .kind = &conf_kind_group, .members = access_settings },
    { .key = "timeouts", .kind = &conf_kind_group, AT(struct conf, timeouts), .members = timeout_settings },
    { .key = "limits", .kind = &conf_kind_group, AT(struct conf, limits), .members = limit_settings },
    { .key = "mime_types", .kind = &conf_kind_word, AT(struct conf, mime_types),
      .check = conf_check_readable_file, .place_offset = offsetof(struct conf, mime_types_place) },
    { .key = "services", .kind = &conf_kind_services, .required = "iomuxd needs one service at least" },
    { .key = "pools", .kind = &conf_kind_pools },   /* last: they refer to what is above */
    { .key = NULL }
};

/* ---- pools: their defaults are the settings of the same name above, all services ---- */

const struct conf_setting conf_pool_settings[] = {
    { .key = "name", .kind = &conf_kind_word, AT(struct conf_pool, name), .check = conf_check_pool_name,
      .required = "each pool has a name of its own, for the log" },
    { .key = "io_model", .kind = &conf_kind_word, AT(struct conf_pool, io_model), .check = conf_check_model,
      .place_offset = offsetof(struct conf_pool, io_model_place) },
    { .key = "workers", .kind = &conf_kind_workers, AT(struct conf_pool, workers), RANGE(1, WORKERS_MAX, 0) },
    { .key = "services", .kind = &conf_kind_pool_services },
    { .key = NULL }
};

/* ---- services ---- */

static bool service_is_http(const void *service)
{
    return ((const struct conf_service *)service)->protocol == CONF_HTTP;
}

static bool service_is_greet(const void *service)
{
    return ((const struct conf_service *)service)->protocol == CONF_GREET;
}

const struct conf_setting conf_service_settings[] = {
    { .key = "name", .kind = &conf_kind_word, AT(struct conf_service, name), .check = conf_check_service_name,
      .required = "each service has a name of its own, for the log" },
    { .key = "protocol", .kind = &conf_kind_choice, AT(struct conf_service, protocol),
      .words = protocol_words,
      .fallback = CONF_PROTOCOL_UNKNOWN, .required = "such as protocol = \"http\"" },
    { .key = "listen", .kind = &conf_kind_listen, .required = "such as listen = \"8080\"" },
    { .key = "greeting", .kind = &conf_kind_text, AT(struct conf_service, greeting),
      .fallback_text = "hello\n",
      .applies = service_is_greet, .only = "protocol \"greet\"" },
    { .key = "routes", .kind = &conf_kind_routes, .applies = service_is_http, .only = "protocol \"http\"" },
    { .key = NULL }
};

/* ---- routes ---- */

static enum conf_route_kind route_kind(const void *route)
{
    return ((const struct conf_route *)route)->kind;
}

static bool route_is_root(const void *route)
{
    return route_kind(route) == CONF_ROUTE_ROOT;
}

static bool route_is_respond(const void *route)
{
    return route_kind(route) == CONF_ROUTE_RESPOND;
}

static bool route_is_redirect(const void *route)
{
    return route_kind(route) == CONF_ROUTE_REDIRECT;
}

static bool route_is_status(const void *route)
{
    return route_kind(route) == CONF_ROUTE_STATUS;
}

static const struct conf_setting respond_settings[] = {
    { .key = "status", .kind = &conf_kind_count, AT(struct conf_route, status), RANGE(200, 599, 200) },
    { .key = "type", .kind = &conf_kind_word, AT(struct conf_route, type), .check = conf_check_media_type,
      .fallback_text = "text/plain; charset=utf-8" },
    { .key = "body", .kind = &conf_kind_text, AT(struct conf_route, body), .fallback_text = "" },
    { .key = NULL }
};

static const struct conf_setting redirect_settings[] = {
    { .key = "status", .kind = &conf_kind_redirect_status, AT(struct conf_route, status), .fallback = 302 },
    { .key = "to", .kind = &conf_kind_word, AT(struct conf_route, to), .check = conf_check_location,
      .required = "such as to = \"/new\"" },
    { .key = NULL }
};

/* The status of a route is one member, filled by one of three settings: only that one has a default. */
const struct conf_setting conf_route_settings[] = {
    { .key = "path", .kind = &conf_kind_word, AT(struct conf_route, path), .check = conf_check_route_path,
      .required = "such as path = \"/\"" },
    { .key = "host", .kind = &conf_kind_host, AT(struct conf_route, host), .check = conf_check_host },
    { .key = "root", .kind = &conf_kind_word, AT(struct conf_route, root), .check = conf_check_folder,
      .place_offset = offsetof(struct conf_route, root_place), .applies = route_is_root },
    { .key = "index", .kind = &conf_kind_index, .check = conf_check_file_name, .applies = route_is_root,
      .only = "a route with root" },
    { .key = "dotfiles", .kind = &conf_kind_flag, AT(struct conf_route, dotfiles), .applies = route_is_root,
      .only = "a route with root" },
    { .key = "direct_io", .kind = &conf_kind_direct_io, AT(struct conf_route, direct_io),
      RANGE(1, DIRECT_MAX, 0), .applies = route_is_root, .only = "a route with root" },
    { .key = "respond", .kind = &conf_kind_part, .members = respond_settings, .applies = route_is_respond },
    { .key = "redirect", .kind = &conf_kind_redirect, AT(struct conf_route, to), .members = redirect_settings,
      .check = conf_check_location, .applies = route_is_redirect },
    { .key = "status", .kind = &conf_kind_status, AT(struct conf_route, status), .min = 400, .max = 599,
      .applies = route_is_status },
    { .key = NULL }
};
