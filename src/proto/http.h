/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP/1.1 (RFC 9110, 9112): files beneath roots, fixed replies, redirects. All sites of a process must
 * share one struct mime: what is noted about a file (struct file, note) depends on it. */
#ifndef PROTO_HTTP_H
#define PROTO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/net.h"
#include "core/conn.h"
#include "core/file.h"

struct mime;

/* A table from file name extension to media type, read from text in the form of /etc/mime.types
 * ("text/html html htm", '#' begins a comment).  The text is copied. text types are served as UTF-8.  Of
 * two lines for one extension the first counts; types that are no types are passed over.  NULL with
 * ENOMEM. */
struct mime *mime_new(struct span text);
void mime_free(struct mime *m);

/* The media type for a file name; "application/octet-stream" when nothing fits. */
struct span mime_type(const struct mime *m, struct span file_name);

/* The table that is built in. */
extern const char mime_builtin[];

enum http_route_kind { HTTP_ROUTE_ROOT, HTTP_ROUTE_RESPOND, HTTP_ROUTE_REDIRECT, HTTP_ROUTE_STATUS, HTTP_ROUTE_LIVE };

/* What the daemon says of itself. */
enum http_live_kind { HTTP_LIVE_METRICS, HTTP_LIVE_STATUS, HTTP_LIVE_EVENTS };

/* A file of the page that shows it; the page itself has no name.  Constant. */
struct http_live_part {
    struct span name, type, body;
};

struct http_live {
    /* METRICS: the text format of Prometheus, STATUS: JSON without newlines; from malloc, its length in *n; NULL: memory
     * is out.  Called in any thread. */
    char *(*make)(const void *arg, enum http_live_kind kind, size_t *n);
    const void                  *arg;
    const struct http_live_part *parts;
    unsigned                     part_count;
    unsigned                    *watchers;  /* of events, in this process; counted atomically */
};

/* Whom a route answers: a network or all that come by Unix sockets. */
struct http_net {
    struct net net;
    bool       local;           /* Unix sockets: `net` is not looked at */
    bool       deny;
};

/* Who may ask: a name and what crypt(3) made of the password.  Strings must outlive the site. */
struct http_user {
    const char *name, *hash;
};

/* A header field of every final reply of a route. */
struct http_header {
    const char *name, *value;
};

/* Fields that the server would send itself, and that a route leaves out: bits. */
enum { HTTP_REMOVE_ETAG = 1, HTTP_REMOVE_LAST_MODIFIED = 2, HTTP_REMOVE_ACCEPT_RANGES = 4 };

/* Codings of siblings that hold a file compressed already: F.br, F.zst and F.gz. */
enum http_coding { HTTP_CODING_BR, HTTP_CODING_ZSTD, HTTP_CODING_GZIP, HTTP_CODINGS };

/* A folder without an index file: 403, or a list; ON: in the form that the client likes better. */
enum http_autoindex { HTTP_AUTOINDEX_OFF, HTTP_AUTOINDEX_ON, HTTP_AUTOINDEX_HTML, HTTP_AUTOINDEX_JSON };

/* What replaces the small page of an error. */
struct http_page {
    unsigned    status;
    struct span type, body;
};

struct http_pages {
    const struct http_page *v;          /* the first for a status counts */
    unsigned                count;
};

/* A route as the daemon describes it.  Strings and pages must outlive the site.
 *   ROOT      GET and HEAD of the file at the whole decoded path beneath the root; with `alias`, at the path without
 *             the prefix of the route
 *   RESPOND   a fixed reply to GET, HEAD and POST
 *   LIVE      GET and HEAD of what `live` says, beneath the path; with fields of its own, among them what must not be
 *             kept, in place of added ones
 *   REDIRECT  `status` with Location `to`, STATUS: `status`; both to every method but CONNECT and TRACE
 * OPTIONS is answered by all of them. */
struct http_route_spec {
    const char          *path;          /* a prefix of the decoded request path; unless it ends in '/', on
                                         * segment borders */
    const char *const   *hosts;         /* names in lower case, "*.NAME" for all that end in .NAME; */
    unsigned             host_count;    /* 0: any host */
    enum http_route_kind kind;
    struct root         *root;          /* ROOT: not owned */
    const char *const   *index;
    unsigned             index_count;
    const char *const   *try;           /* candidates instead of the path: "$path.html", "/index.html", "=404" */
    unsigned             try_count;
    enum http_autoindex  autoindex;
    bool                 dotfiles;
    bool                 alias;
    enum http_coding     codings[HTTP_CODINGS];     /* to look for, the best first */
    unsigned             coding_count;
    struct http_pages    pages;
    unsigned             status;
    const char          *type;
    struct span          body;
    const char *const   *methods;       /* names of those it answers, of those that it could; GET brings HEAD, and */
    unsigned             method_count;  /* OPTIONS is always answered; 0: all */
    const struct http_net *nets;        /* the longest prefix that holds a peer decides, `deny` of two; if there is */
    unsigned             net_count;     /* none: in, unless some net is no `deny` or `closed` is set */
    bool                 closed;
    const struct http_user *users;      /* who may ask, by basic authentication; NULL: everybody */
    unsigned             user_count;    /* 0, with users: nobody */
    const char          *realm;         /* what for */
    const struct http_header *add;
    unsigned             add_count;
    unsigned             removed;       /* HTTP_REMOVE bits */
    const char          *cache_control; /* of files, redirects and fixed replies, no errors of the server; NULL: max-age
                                         * if there is: */
    bool                 expires;
    unsigned             expires_s;     /* from Date on; 0: at once */
    const char          *to;            /* REDIRECT: with variables: */
    const struct http_live *live;       /* LIVE; must outlive the site */
};

/* What may stand in `to` behind a dollar: the host that was asked, without its port; the path, encoded; the query with
 * its '?', or nothing.  NULL ends them. */
extern const char *const http_location_names[];

/* A text with these variables: NULL, or why it is no safe place for a redirect. */
const char *http_location_fault(struct span text);

struct http_limits {
    unsigned request_line, header_bytes, header_count, requests;
    uint64_t body_bytes;
    unsigned header_ms, idle_ms;
    unsigned body_ms;           /* for a body; with a rate: at once, and what comes is worth more */
    unsigned body_rate;         /* bytes in a second that a body must keep up with; 0: body_ms is for all of it */
};

/* The settings of an http service: routes sorted, replies ready made.  Constant once made.  NULL with
 * ENOMEM, or EINVAL: a control byte in `type` or `to`, a status that cannot be. */
struct http_site;
struct http_site *http_site_new(const char *service_name, const struct http_route_spec *routes,
                                unsigned count, const struct http_limits *limits, const struct mime *mime);
void http_site_free(struct http_site *s);

/* Pages for the errors that no route answers with; to be said before the first connection. */
void http_site_pages(struct http_site *s, struct http_pages pages);

/* Bytes of an incomplete request that a connection may keep under these limits. */
size_t http_message_max(const struct http_limits *l);

extern const struct proto proto_http;

#endif
