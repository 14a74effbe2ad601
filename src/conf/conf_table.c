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
    BODY_RATE_MAX = 1 << 30,                /* bytes in a second: 8 Gbit/s */
    REQUEST_RATE_MAX = 1000000,             /* requests in a second: more than a worker can answer */
    EXPIRES_MAX_S = 10 * 366 * 86400,       /* ten years: who says so means never */
    DATAGRAMS_MAX = 1000000,                /* answers in a second: more than a worker can send */
    LOG_BUFFER_MIN = 64 * 1024,             /* some of the longest lines */
    LOG_BUFFER_MAX = 64 * 1024 * 1024,      /* 200,000 lines or more: a longer pause is a failure */
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

static const struct conf_word access_target_words[] = {
    { "off", CONF_TARGET_OFF }, { "journal", CONF_TARGET_JOURNAL }, { NULL, 0 }
};

static const struct conf_word protocol_words[] = {
    { "http", CONF_HTTP }, { "greet", CONF_GREET }, { "echo", CONF_ECHO }, { "discard", CONF_DISCARD },
    { "chargen", CONF_CHARGEN }, { "daytime", CONF_DAYTIME }, { "time", CONF_TIME },
    { "status", CONF_STATUS }, { NULL, 0 }
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
    { .key = "buffer", .kind = &conf_kind_size, AT(struct conf, log_buffer),
      RANGE(LOG_BUFFER_MIN, LOG_BUFFER_MAX, 16 << 20) },
    { .key = NULL }
};

static const struct conf_setting access_settings[] = {
    { .key = "target", .kind = &conf_kind_target, AT(struct conf, access_target),
      .words = access_target_words, .check = conf_check_target,
      .fallback = CONF_TARGET_OFF, .file_offset = offsetof(struct conf, access_file),
      .place_offset = offsetof(struct conf, access_place) },
    { .key = "format", .kind = &conf_kind_format, AT(struct conf, access_format), .fallback_text = "combined" },
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
    { .key = "connections_per_address", .kind = &conf_kind_count,
      AT(struct conf_limits, connections_per_address), RANGE(0, CONNECTIONS_MAX, 0) },
    { .key = "request_line", .kind = &conf_kind_size, AT(struct conf_limits, request_line),
      RANGE(REQUEST_LINE_MIN, REQUEST_LINE_MAX, 8192) },
    { .key = "header_bytes", .kind = &conf_kind_size, AT(struct conf_limits, header_bytes),
      RANGE(HEADER_MIN, HEADER_MAX, 32768) },
    { .key = "header_count", .kind = &conf_kind_count, AT(struct conf_limits, header_count),
      RANGE(1, HEADER_COUNT_MAX, 100) },
    { .key = "body_bytes", .kind = &conf_kind_size64, AT(struct conf_limits, body_bytes),
      RANGE(0, BODY_MAX, 1 << 20) },
    { .key = "body_rate", .kind = &conf_kind_size, AT(struct conf_limits, body_rate),
      RANGE(0, BODY_RATE_MAX, 1024) },
    { .key = "requests", .kind = &conf_kind_count, AT(struct conf_limits, requests),
      RANGE(0, REQUESTS_MAX, 0) },
    { .key = "requests_per_second", .kind = &conf_kind_count, AT(struct conf_limits, requests_per_second),
      RANGE(0, REQUEST_RATE_MAX, 0) },
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

static bool service_speaks_http(const void *service)
{
    return service_is_http(service) || ((const struct conf_service *)service)->protocol == CONF_STATUS;
}

static bool service_is_greet(const void *service)
{
    return ((const struct conf_service *)service)->protocol == CONF_GREET;
}

#define PROXY_SETTINGS(type)                                                                        \
    { .key = "proxy_protocol", .kind = &conf_kind_flag, AT(type, proxy.on),                         \
      .place_offset = offsetof(type, proxy.on_place) },                                             \
    { .key = "trusted", .kind = &conf_kind_nets, AT(type, proxy.trusted), .check = conf_check_net,   \
      .place_offset = offsetof(type, proxy.trusted_place) }

/* A listener that says more than its address, which is read and printed by its own kind. */
const struct conf_setting conf_listen_settings[] = {
    { .key = "address", .kind = &conf_kind_word, AT(struct conf_listen, text),
      .required = "such as address = \"8080\"" },
    PROXY_SETTINGS(struct conf_listen),
    { .key = NULL }
};

static const struct conf_setting header_settings[] = {
    { .key = "add", .kind = &conf_kind_header_add },
    { .key = "remove", .kind = &conf_kind_header_remove },
    { .key = NULL }
};

const struct conf_setting conf_service_settings[] = {
    { .key = "name", .kind = &conf_kind_word, AT(struct conf_service, name), .check = conf_check_service_name,
      .required = "each service has a name of its own, for the log" },
    { .key = "protocol", .kind = &conf_kind_choice, AT(struct conf_service, protocol),
      .words = protocol_words,
      .fallback = CONF_PROTOCOL_UNKNOWN, .required = "such as protocol = \"http\"" },
    { .key = "listen", .kind = &conf_kind_listen, .required = "such as listen = \"8080\"" },
    PROXY_SETTINGS(struct conf_service),
    { .key = "greeting", .kind = &conf_kind_text, AT(struct conf_service, greeting),
      .fallback_text = "hello\n",
      .applies = service_is_greet, .only = "protocol \"greet\"" },
    { .key = "allow", .kind = &conf_kind_nets, AT(struct conf_service, allow), .check = conf_check_net_or_unix,
      .applies = service_speaks_http, .only = "protocol \"http\" or \"status\"" },
    { .key = "deny", .kind = &conf_kind_nets, AT(struct conf_service, deny), .check = conf_check_net_or_unix,
      .applies = service_speaks_http, .only = "protocol \"http\" or \"status\"" },
    { .key = "headers", .kind = &conf_kind_headers, AT(struct conf_service, headers), .members = header_settings,
      .applies = service_is_http, .only = "protocol \"http\"" },
    { .key = "error_pages", .kind = &conf_kind_error_pages, AT(struct conf_service, error_pages),
      .applies = service_is_http, .only = "protocol \"http\"" },
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

static bool route_is_alias(const void *route)
{
    return route_kind(route) == CONF_ROUTE_ALIAS;
}

static bool route_has_files(const void *route)
{
    return route_is_root(route) || route_is_alias(route);
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
    return route_kind(route) == CONF_ROUTE_STATUS || route_kind(route) == CONF_ROUTE_LIVE;
}

#define FOR_FILES .applies = route_has_files, .only = "a route with root or alias"

static const struct conf_word coding_words[] = {
    { "br", CONF_CODING_BR }, { "zstd", CONF_CODING_ZSTD }, { "gzip", CONF_CODING_GZIP }, { NULL, 0 }
};

const struct conf_setting conf_error_page_settings[] = {
    { .key = "status", .kind = &conf_kind_statuses, RANGE(400, 599, 0), .required = "such as status = 404" },
    { .key = "file", .kind = &conf_kind_word, AT(struct conf_error_page, file), .check = conf_check_error_page,
      .place_offset = offsetof(struct conf_error_page, file_place),
      .required = "such as file = \"/srv/errors/404.html\"" },
    { .key = NULL }
};

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

static const struct conf_setting auth_settings[] = {
    { .key = "realm", .kind = &conf_kind_word, AT(struct conf_auth, realm), .fallback_text = "Restricted" },
    { .key = "file", .kind = &conf_kind_users, AT(struct conf_auth, file),
      .required = "such as file = \"/etc/iomuxd.htpasswd\"" },
    { .key = NULL }
};

/* The status of a route is one member, filled by one of three settings: only that one has a default. */
const struct conf_setting conf_route_settings[] = {
    { .key = "path", .kind = &conf_kind_word, AT(struct conf_route, path), .check = conf_check_route_path,
      .required = "such as path = \"/\"" },
    { .key = "host", .kind = &conf_kind_hosts, AT(struct conf_route, hosts), .check = conf_check_host },
    { .key = "methods", .kind = &conf_kind_methods, AT(struct conf_route, methods), .check = conf_check_method },
    { .key = "allow", .kind = &conf_kind_nets, AT(struct conf_route, allow), .check = conf_check_net_or_unix },
    { .key = "deny", .kind = &conf_kind_nets, AT(struct conf_route, deny), .check = conf_check_net_or_unix },
    { .key = "basic_auth", .kind = &conf_kind_auth, AT(struct conf_route, auth), .members = auth_settings },
    { .key = "headers", .kind = &conf_kind_headers, AT(struct conf_route, headers), .members = header_settings },
    { .key = "cache_control", .kind = &conf_kind_cache_control, AT(struct conf_route, cache_control),
      .check = conf_check_cache_control },
    { .key = "expires", .kind = &conf_kind_expires, AT(struct conf_route, expires_s), .max = EXPIRES_MAX_S },
    { .key = "root", .kind = &conf_kind_word, AT(struct conf_route, root), .check = conf_check_folder,
      .place_offset = offsetof(struct conf_route, root_place), .applies = route_is_root },
    { .key = "alias", .kind = &conf_kind_word, AT(struct conf_route, alias), .check = conf_check_folder,
      .place_offset = offsetof(struct conf_route, alias_place), .applies = route_is_alias },
    { .key = "index", .kind = &conf_kind_index, .check = conf_check_file_name, FOR_FILES },
    { .key = "try", .kind = &conf_kind_try, FOR_FILES },
    { .key = "autoindex", .kind = &conf_kind_autoindex, AT(struct conf_route, autoindex), FOR_FILES },
    { .key = "dotfiles", .kind = &conf_kind_flag, AT(struct conf_route, dotfiles), FOR_FILES },
    { .key = "precompressed", .kind = &conf_kind_precompressed, .words = coding_words, FOR_FILES },
    { .key = "direct_io", .kind = &conf_kind_direct_io, AT(struct conf_route, direct_io),
      RANGE(1, DIRECT_MAX, 0), FOR_FILES },
    { .key = "error_pages", .kind = &conf_kind_error_pages, AT(struct conf_route, error_pages) },
    { .key = "respond", .kind = &conf_kind_part, .members = respond_settings, .applies = route_is_respond },
    { .key = "redirect", .kind = &conf_kind_redirect, AT(struct conf_route, to), .members = redirect_settings,
      .check = conf_check_location, .applies = route_is_redirect },
    { .key = "status", .kind = &conf_kind_route_status, AT(struct conf_route, status), .min = 400, .max = 599,
      .applies = route_is_status },
    { .key = NULL }
};
