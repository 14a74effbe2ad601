/* SPDX-License-Identifier: BSD-2-Clause */
/* The configuration: one constant structure, made from one file (and what it includes) and overrides.
 * Every complaint names file, line and setting; all complaints of a file are made at once.
 * Knows libconfig, which nobody else sees, and nothing of what the settings do. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/net.h"

/* Where a setting stands, for complaints that come after reading (an address that cannot be bound). */
struct conf_place {
    const char *file;           /* NULL: a default; an override is "-o PATH=VALUE" in line 0 */
    unsigned    line;           /* 0: the file as a whole */
};

/* Networks; one of the family AF_UNIX holds all that come by Unix sockets. */
struct conf_nets {
    const struct net *v;
    unsigned          count;
    bool              set;
};

/* Who says what of the PROXY protocol; places without a file: it was not said here. */
struct conf_proxy {
    bool              on;
    struct conf_nets  trusted;          /* proxies */
    struct conf_place on_place, trusted_place;
};

/* Several strings in the order in which they were written. */
struct conf_strings {
    const char *const *v;
    unsigned           count;
};

struct conf_listen {
    const char             *text;       /* as written */
    bool                    wildcard;   /* only a port was given: all addresses of both kinds, as [::]:PORT */
    bool                    datagram;   /* "udp:" */
    const char             *handed;     /* "systemd:NAME": the name, and no address */
    struct sockaddr_storage address;    /* AF_INET, AF_INET6, AF_UNIX */
    socklen_t               address_size;
    struct conf_place       place;
    struct conf_proxy       proxy;      /* what was not said here is the service's */
};

enum conf_protocol {
    CONF_HTTP, CONF_GREET, CONF_ECHO, CONF_DISCARD, CONF_CHARGEN, CONF_DAYTIME, CONF_TIME, CONF_STATUS
};

struct conf_header { const char *name, *value; };

/* Fields of the server's own that replies can do without: bits. */
enum { CONF_REMOVE_ETAG = 1, CONF_REMOVE_LAST_MODIFIED = 2, CONF_REMOVE_ACCEPT_RANGES = 4 };

struct conf_headers {
    struct conf_header *add;
    unsigned            add_count;
    struct conf_strings remove;
};

/* One who may ask, and what crypt(3) made of the password. */
struct conf_user { const char *name, *hash; };

struct conf_auth {
    const char       *realm;    /* what for */
    const char       *file;     /* NULL: nobody is asked who it is */
    struct conf_user *users;    /* of the file, by name */
    unsigned          user_count;       /* 0, with a file: nobody comes in */
};

#define CONF_EXPIRES_UNSET UINT32_MAX

enum conf_route_kind {
    CONF_ROUTE_ROOT, CONF_ROUTE_ALIAS, CONF_ROUTE_RESPOND, CONF_ROUTE_REDIRECT, CONF_ROUTE_STATUS,
    CONF_ROUTE_LIVE                     /* "status = true": the statistics of the daemon */
};

enum conf_coding { CONF_CODING_BR, CONF_CODING_ZSTD, CONF_CODING_GZIP, CONF_CODINGS };

enum conf_autoindex { CONF_AUTOINDEX_OFF, CONF_AUTOINDEX_ON, CONF_AUTOINDEX_HTML, CONF_AUTOINDEX_JSON };

enum { CONF_ERROR_PAGE_MAX = 1 << 20 };     /* bytes: each worker keeps all of them in memory */

/* A file that replaces the page of some errors. */
struct conf_error_page {
    struct conf_place place;
    unsigned         *statuses;     /* 400-599 */
    unsigned          status_count;
    const char       *file;
    struct conf_place file_place;
};

struct conf_error_pages {
    struct conf_error_page *v;
    unsigned                count;
};

struct conf_route {
    struct conf_place    place;
    const char          *path;          /* begins with '/' */
    struct conf_strings  hosts;         /* names or "*.NAME", lower case, without port; none: any */
    struct conf_strings  methods;       /* that it answers, of those that it could; none: all */
    struct conf_nets     allow, deny;
    struct conf_auth     auth;
    struct conf_headers  headers;
    const char          *cache_control; /* NULL: not set */
    unsigned             expires_s;     /* CONF_EXPIRES_UNSET */
    enum conf_route_kind kind;
    const char          *root;          /* ROOT: an absolute folder, or relative to the working directory */
    struct conf_place    root_place;
    const char          *alias;         /* ALIAS: the same */
    struct conf_place    alias_place;
    const char *const   *index;         /* ROOT, ALIAS, as are those up to direct_io: file names */
    unsigned             index_count;
    const char *const   *try;           /* candidates; the last may be a status, "=404" */
    unsigned             try_count;
    enum conf_autoindex  autoindex;
    bool                 dotfiles;      /* serve names that begin with '.' */
    enum conf_coding     precompressed[CONF_CODINGS];   /* each once, the best first */
    unsigned             precompressed_count;
    uint64_t             direct_io;     /* from this size on past the page cache; 1: "on", 0: "off" */
    struct conf_error_pages error_pages;
    unsigned             status;        /* RESPOND: 200-599; STATUS: 400-599; REDIRECT: 301 302 303 307 308 */
    const char          *type;          /* RESPOND: Content-Type */
    const char          *body;          /* RESPOND */
    size_t               body_size;
    const char          *to;            /* REDIRECT: Location, may have variables */
};

struct conf_service {
    struct conf_place    place;
    const char          *name;
    enum conf_protocol   protocol;
    struct conf_listen  *listens;
    unsigned             listen_count;
    struct conf_proxy    proxy;
    struct conf_route   *routes;        /* HTTP */
    unsigned             route_count;
    struct conf_nets     allow, deny;   /* of routes that have neither; of STATUS */
    struct conf_headers  headers;       /* of routes that do not say it otherwise */
    struct conf_error_pages error_pages;    /* HTTP */
    const char          *greeting;      /* GREET */
};

enum { CONF_POOL_NAME_MAX = 32 };       /* bytes: it is the beginning of its workers' names */

/* Workers of one I/O model and what they serve. */
struct conf_pool {
    struct conf_place    place;
    const char          *name;
    const char          *io_model;
    struct conf_place    io_model_place;    /* file NULL: not of its own */
    unsigned             workers;           /* 0: "auto" */
    const struct conf_service **services;   /* each once */
    unsigned             service_count;
};

struct conf_timeouts { unsigned header_ms, body_ms, idle_ms, send_ms, drain_ms; };

struct conf_limits {
    unsigned connections;               /* for each worker */
    unsigned request_line;              /* bytes */
    unsigned header_bytes;
    unsigned header_count;
    uint64_t body_bytes;
    unsigned body_rate;                 /* bytes in a second; 0: none, timeouts.body is for the whole body */
    unsigned connections_per_address;   /* for each worker; 0: no limit */
    unsigned requests_per_second;       /* of each address, by each worker; 0: no limit */
    unsigned requests;                  /* for each connection; 0: no limit */
    unsigned datagrams_per_address;     /* answers for each second, by each worker; 0: no limit */
};

enum conf_target {
    CONF_TARGET_AUTO, CONF_TARGET_OFF, CONF_TARGET_STDERR, CONF_TARGET_JOURNAL, CONF_TARGET_FILE
};

enum conf_sandbox {
    CONF_SANDBOX_AUTO,                  /* whatever of it there is here */
    CONF_SANDBOX_REQUIRE,               /* all of it, or no start */
    CONF_SANDBOX_OFF
};

struct conf {
    const char            *file;        /* that it was read from */
    unsigned               workers;     /* of pools that do not say it; 0: "auto", one for each usable CPU */
    const char            *io_model;    /* of pools that do not say it */
    struct conf_place      io_model_place;
    unsigned               poll_interval_us;    /* of the model nonblocking: pause between sweeps; 0: none */
    const char            *user, *group;/* NULL: not set */
    struct conf_place      user_place, group_place;
    enum conf_sandbox      sandbox;     /* of the workers */
    unsigned               watchdog_ms; /* a worker that stands still for so long is replaced; 0: it is left alone */
    enum conf_target       log_target;  /* AUTO, STDERR, JOURNAL or FILE */
    const char            *log_file;
    struct conf_place      log_place;
    enum log_level         log_level;
    unsigned               log_buffer;  /* bytes for lines that wait, of each worker */
    enum conf_target       access_target;   /* OFF, JOURNAL or FILE */
    const char            *access_file;
    struct conf_place      access_place;
    const char            *access_format;   /* "combined", "json" or a text with fields */
    const char            *control;     /* the path of the control socket; "off"; NULL: the default one */
    struct conf_place      control_place;
    unsigned               generations; /* at once, while old workers finish after a reload */
    const char            *mime_types;  /* a file in the form of /etc/mime.types; NULL: the one built in */
    struct conf_place      mime_types_place;
    struct conf_timeouts   timeouts;
    struct conf_limits     limits;
    struct conf_service   *services;
    unsigned               service_count;
    struct conf_pool      *pools;       /* one at least; every service is in one at least */
    unsigned               pool_count;
    bool                   pool_is_implicit;    /* not set: there is one, "main", with all services */
};

/* Can what this word names be used here?  It is something that only the daemon knows; false says why not. */
typedef bool conf_word_check(const char *word, char *why, size_t why_size);

/* Each check may be NULL: then every word is right. */
struct conf_options {
    const char        *file;
    const char *const *overrides;       /* "PATH=VALUE" as for -o; VALUE in libconfig syntax or a bare word */
    unsigned           override_count;
    conf_word_check   *model_check;     /* an I/O model */
    conf_word_check   *user_check;      /* an account; NULL: none is named, so the default */
    conf_word_check   *group_check;
    conf_word_check   *target_check;    /* of a log: as it is written */
    conf_word_check   *format_check;    /* of the access log */
    conf_word_check   *location_check;  /* where a redirect leads */
    conf_word_check   *sandbox_check;   /* "require" */
    bool               carried;         /* it has been checked, and rules: files and folders that it names may be gone */
};

/* Names of header fields are compared without case. */
bool conf_header_adds(const struct conf_headers *h, const char *name);
bool conf_header_removes(const struct conf_headers *h, const char *name);

/* Those of the server's own that are removed: bits. */
unsigned conf_header_removed(const struct conf_headers *h);

/* The candidate nearest to a word, by edit distance, for "did you mean". */
struct conf_near {
    const char *word;
    const char *best;                   /* NULL: nothing is near */
    unsigned    distance;               /* of best */
};

void conf_near_try(struct conf_near *n, const char *candidate);

/* "; did you mean 'x'?" or nothing; returns `to`. */
const char *conf_near_text(const struct conf_near *n, char *to, size_t size);

/* Reads and checks everything.  Returns the configuration, which the caller owns until conf_free, or NULL
 * after having written every complaint, a line each, to `complaints`. */
struct conf *conf_read(const struct conf_options *o, FILE *complaints);
void conf_free(struct conf *c);

/* The same for a text in memory, without includes; o->file is what it is called in complaints. */
struct conf *conf_read_text(const struct conf_options *o, const char *text, size_t size, FILE *complaints);

/* Says what is no error and may yet be a mistake, in the form of complaints, a line each. */
void conf_warn(const struct conf *c, FILE *to);

bool conf_pool_serves(const struct conf_pool *p, const struct conf_service *service);

/* Writes the effective configuration, with all defaults, as a file that reads back to the same. */
void conf_print(const struct conf *c, FILE *to);

/* How a complaint begins: "FILE:LINE: ", "-o PATH=VALUE: ", or "" for a default. */
enum { CONF_PLACE_SIZE = 512 };
const char *conf_place_text(const struct conf_place *place, char text[CONF_PLACE_SIZE]);

/* One complaint about a setting, in the one form: "FILE:LINE: path: message\n". */
void conf_complain(FILE *to, const struct conf_place *place, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
