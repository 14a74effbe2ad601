/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of HTTP share: a parsed request, a site and its routes, an exchange (one request and its
 * reply). Every span of a request points into the input or into the kept head: nothing is copied. */
#ifndef PROTO_HTTP_INTERNAL_H
#define PROTO_HTTP_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"
#include "core/errand.h"
#include "proto/http.h"

struct catalog;

/* Classes of bytes: bits of http_class[]. */
enum {
    CLASS_TOKEN = 1,            /* tchar, RFC 9110 section 5.6.2 */
    CLASS_TARGET = 2,           /* may stand in a request target: visible ASCII but " # < >.  More than RFC
                                 * 3986 allows (\ ^ ` { | }): browsers send those unencoded (WHATWG URL) */
    CLASS_HOST = 4,             /* reg-name, RFC 3986 section 3.2.2 */
    CLASS_PATH = 8,             /* pchar and '/', unencoded: safe in a Location */
    CLASS_PATH_TOO = 16,        /* browsers send these unencoded in a path, against RFC 3986 */
    CLASS_DOT_SLASH = 32,       /* '.' and '/': makes a path unusual when it comes behind a '/' */
    CLASS_SLASH = 64,
    CLASS_PERCENT = 128
};
extern const unsigned char http_class[256];

static inline bool http_is(char byte, unsigned classes)
{
    return (http_class[(unsigned char)byte] & classes) != 0;
}

/* The value of a hexadecimal digit, -1: it is none. */
static inline int http_hex(char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

enum http_method {
    METHOD_UNKNOWN, METHOD_GET, METHOD_HEAD, METHOD_POST, METHOD_PUT, METHOD_DELETE, METHOD_PATCH,
    METHOD_OPTIONS, METHOD_CONNECT, METHOD_TRACE
};

/* The fields that mean something to this server; all others are only checked for their syntax. */
enum http_field {
    FIELD_HOST, FIELD_CONNECTION, FIELD_CONTENT_LENGTH, FIELD_TRANSFER_ENCODING, FIELD_EXPECT, FIELD_RANGE,
    FIELD_IF_MATCH, FIELD_IF_NONE_MATCH, FIELD_IF_MODIFIED_SINCE, FIELD_IF_UNMODIFIED_SINCE, FIELD_IF_RANGE,
    FIELD_REFERER, FIELD_USER_AGENT, FIELD_ACCEPT, FIELD_ACCEPT_ENCODING, FIELD_AUTHORIZATION,
    FIELD_COUNT
};
#define FIELD_BIT(field) (1u << (field))

enum http_expect { EXPECT_NOTHING, EXPECT_CONTINUE, EXPECT_UNKNOWN };

struct http_request {
    struct span method_text, target, version;   /* as they came; length 0: not reached */
    struct span path;           /* of the target, still encoded */
    struct span query;          /* with its '?'; length 0: none */
    struct span authority;      /* of an absolute-form target; length 0: none */
    struct span fields;         /* all field lines */
    uint64_t    length;         /* of the body; saturated */
    uint32_t    seen, repeated; /* FIELD_BITs */
    uint8_t     method;         /* enum http_method */
    uint8_t     major, minor;
    uint8_t     expect;         /* enum http_expect */
    bool        plain;          /* the path can be used as it is: nothing encoded, no empty or dot segment */
    bool        asterisk;
    bool        chunked;
    bool        keep_alive;     /* as far as the client is concerned */
    struct span value[FIELD_COUNT];     /* valid where `seen` says so */
};

static inline bool http_has(const struct http_request *r, enum http_field f)
{
    return (r->seen & FIELD_BIT(f)) != 0;
}

/* http_parse.c: the length of the head, 0: incomplete, -STATUS: refused. */
long http_parse(struct http_request *r, struct span in, const struct http_limits *limits);

/* The next line of this name among the lines left in *fields; false when there is none. */
bool http_next_field(struct span *fields, enum http_field field, struct span *value);

/* http_frame.c: what the fields of a complete head mean together (RFC 9112 sections 3.2, 6, 9.3): 0, or
 * the status that refuses it. */
unsigned http_judge(struct http_request *r);

/* The host without its port, from the target or the Host field; length 0: none. */
struct span http_host(const struct http_request *r);

/* The next element of a comma-separated list (RFC 9110 section 5.6.1), empty ones skipped; a quoted string
 * is one piece.  False at the end. */
bool http_next_element(struct span *list, struct span *element);

/* http_seek.c: a head that comes in pieces is only looked through, each byte once, until it is worth
 * parsing. */
struct http_seek {
    uint32_t seen;              /* bytes looked at */
    uint32_t fields_at;         /* where the field lines begin; 0: not reached */
    uint8_t  step;
};

/* True when http_parse will say something else than "incomplete" about `in`. */
bool http_seek(struct http_seek *k, struct span in, const struct http_limits *limits);

/* http_chunk.c: decodes a chunked body, only to find its end. */
struct http_chunk {
    uint64_t left;              /* of the current chunk, or its size while that is read */
    uint64_t total;             /* bytes of data in all chunks so far */
    uint32_t line_bytes;        /* of the current size line, or of the trailer section */
    uint32_t extension_bytes;   /* in all size lines so far */
    uint8_t  step;
};

/* 0: go on, 1: the body is complete, -STATUS: refused.  *taken: bytes that belong to the body. */
int http_chunk_feed(struct http_chunk *k, struct span in, const struct http_limits *limits, size_t *taken);

/* http_path.c */
enum { HTTP_PATH_MAX = 8192 };  /* bytes of an encoded path that needs work; the kernel takes 4,096 */

/* Decodes a path once and resolves empty, "." and ".." segments.  `to` has room for HTTP_PATH_MAX bytes.
 * Returns 0, or the status that refuses it. */
unsigned http_path_decode(struct span encoded, char *to, struct span *path);

/* Does a segment begin with '.'? */
bool http_path_hidden(struct span path);

/* Encodes for a Location; `to` has room for three times the length.  Returns the number of bytes. */
size_t http_path_encode(char *to, struct span path);

/* The same for a query as it came, in which '%' begins what is encoded already. */
size_t http_query_encode(char *to, struct span query);

/* http_location.c: where a redirect with variables leads.  The text must live as long.  NULL with ENOMEM, or
 * EINVAL. */
struct http_location;
struct http_location *http_location_new(struct span text);
void http_location_free(struct http_location *l);

/* A reply that is ready but for its Date and Connection fields. */
struct http_ready {
    unsigned    status;
    struct span line;           /* "HTTP/1.1 200 OK\r\n" */
    struct span rest;           /* fields, an empty line and, when `copied`, the body */
    size_t      head_n;         /* of rest: without the body */
    struct span body;
    bool        copied;
};

/* http_method.c */
enum { HTTP_ALLOW_MAX = 48 };   /* bytes: "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS" */

/* The bits of the methods that the route answers; 0: it does not know one that is named. */
unsigned http_methods_of(const struct http_route_spec *spec);

/* These bits as the value of an Allow field, in the order in which people read them. */
struct span http_allow_write(char to[HTTP_ALLOW_MAX], unsigned methods);

/* http_guard.c: who is let in.  NULL with ENOMEM. */
struct http_guard;
struct http_guard *http_guard_new(const struct http_net *nets, unsigned count, bool closed);
void http_guard_free(struct http_guard *g);
bool http_guard_admits(const struct http_guard *g, const struct peer *peer);

/* http_auth.c: users and their hashes, which must live as long; none: nobody is let in.  NULL with
 * ENOMEM. */
struct http_auth;
struct http_auth *http_auth_new(const struct http_user *users, unsigned count);
void http_auth_free(struct http_auth *a);

/* Fields that some replies have of themselves: bits of what a route says in their place. */
enum {
    HTTP_SAYS_CACHE = 1, HTTP_SAYS_POLICY = 2, HTTP_SAYS_TYPE_OPTIONS = 4, HTTP_SAYS_REFERRER = 8, HTTP_SAYS_RETRY = 16,
    HTTP_SAYS_LIVE = HTTP_SAYS_CACHE | HTTP_SAYS_POLICY | HTTP_SAYS_TYPE_OPTIONS | HTTP_SAYS_REFERRER
};

/* What a route adds to its replies, ready made. */
struct http_fields {
    struct span always;         /* field lines of every final reply; */
    struct span challenge;      /* of 401 */
    struct span fresh;          /* of what may be kept; up to the date of Expires, if there is one */
    bool        expires;
    unsigned    expires_s;
    unsigned    fixed;          /* the status that the route was made to answer with; 0: none */
    unsigned    removed;        /* HTTP_REMOVE bits */
    unsigned    says;           /* HTTP_SAYS bits */
    char       *memory;
};

/* A place to look at beneath a root: text, perhaps the path of the request, and text again. */
struct http_candidate {
    struct span before, after;
    bool        path;
};

struct http_route {
    struct span          path;
    enum http_route_kind kind;
    struct root         *root;
    size_t               cut;           /* bytes of the path that are no part of the name beneath the root */
    struct span         *index;
    unsigned             index_count;
    struct http_candidate *try;
    unsigned             try_count;
    unsigned             try_status;    /* when none of them is there */
    bool                 dotfiles;
    uint8_t              autoindex;     /* enum http_autoindex */
    uint8_t              codings[HTTP_CODINGS];
    uint8_t              coding_count;
    struct http_pages    pages;
    unsigned             methods;       /* bits: 1 << enum http_method */
    struct span          allow;         /* the same as a field value, in */
    char                 allow_text[HTTP_ALLOW_MAX];
    struct http_guard   *guard;         /* NULL: everybody is let in */
    struct http_auth    *auth;          /* NULL: nobody is asked who it is */
    struct http_ready    ready;         /* RESPOND, REDIRECT, STATUS */
    const struct http_live *live;       /* LIVE */
    struct http_location *location;     /* REDIRECT with variables: instead of `ready` */
    struct http_fields  *fields;        /* NULL: nothing is added or left out */
    struct http_fields  *live_fields;   /* LIVE: the same without HTTP_SAYS_LIVE, for answers that have these of themselves */
    char                *memory;        /* of ready.line and ready.rest */
};

/* A route for one of its hosts. */
struct http_way {
    struct span              path;
    const struct http_route *route;
};

/* The ways of one host, longest path first. */
struct http_host {
    struct span      name;              /* of a wildcard: ".NAME"; of those for any host: length 0 */
    struct http_way *ways;
    unsigned         count;
};

/* What http_find.c looks a route up in. */
struct http_table {
    struct http_way  *ways;             /* of all hosts */
    struct http_host *exact;            /* by name */
    struct http_host *wild;             /* longest name first */
    struct http_host  any;
    unsigned          exact_count, wild_count;
};

struct http_site {
    const char         *name;
    struct http_pages   pages;
    struct http_limits  limits;
    const struct mime  *mime;
    struct http_table   table;
    struct span         allow;          /* what any of its routes allows, in */
    char                allow_text[HTTP_ALLOW_MAX];
    unsigned            count;
    struct http_route   routes[];       /* as they were given */
};

/* http_find.c: fills the table from the specifications of all routes. -1: memory is out. */
int  http_table_make(struct http_table *t, const struct http_route_spec *specs, const struct http_route *routes,
                     unsigned count);
void http_table_free(struct http_table *t);

/* The route for a decoded path, or NULL. */
const struct http_route *http_route_find(const struct http_site *s, const struct http_request *r,
                                         struct span path);

enum http_connection { CONNECTION_PLAIN, CONNECTION_CLOSE, CONNECTION_KEEP_ALIVE };

struct http_exchange;

/* What a reply has to wait for (core/errand.h).  The exchange that waited is gone by then: another one goes on, with
 * the same request. */
struct http_errand {
    struct errand errand;
    struct span   user;         /* who has proved to be it, before */
    void (*answer)(struct http_exchange *x, struct http_errand *e);     /* the work is done; may defer again */
};

/* One request and its reply. */
struct http_exchange {
    struct conn               *conn;
    struct env                *env;
    struct outq               *out;
    const struct http_site    *site;
    const struct http_request *request;
    const struct http_fields  *fields;          /* of the route, NULL: none, or the route is not known yet */
    char                      *start;           /* of the head that is being written */
    struct span                allow;           /* what goes with 405 */
    struct span                content_range;   /* what goes with 416 */
    struct span                user;            /* who has proved to be it; length 0: nobody */
    struct span                vary;            /* what the choice of the reply depended on; length 0: nothing */
    const struct http_pages   *pages;           /* instead of the small ones */
    uint64_t                   body_bytes;      /* to be sent */
    uint64_t                   started_us;      /* when its head was complete */
    const struct http_live    *live;            /* the answer goes on, by events; NULL: it is whole */
    struct http_errand        *deferred;        /* no reply is written yet: this has to be done first */
    unsigned                   status;
    unsigned                   nth;             /* request on its connection, from 1 */
    uint8_t                    connection;      /* enum http_connection: the field of the reply */
    bool                       head_only;
    bool                       last;            /* the connection ends behind this reply */
    bool                       hidden;          /* a segment of the path begins with '.' */
};

/* From now on the route speaks: what it says goes for all its replies, errors too. */
static inline void http_exchange_adopt(struct http_exchange *x, const struct http_route *route)
{
    x->allow = route->allow;
    x->fields = route->fields;
    x->pages = &route->pages;
}

/* http.c: answers, from the request on. */
void http_answer(struct http_exchange *x);

/* Leaves the exchange without a reply until the errand is done, which is taken over. */
static inline void http_defer(struct http_exchange *x, struct http_errand *taken)
{
    taken->user = x->user;
    x->deferred = taken;
}

enum {
    HTTP_COPY_MAX = 2048,       /* bytes of a body that are copied behind the head: cheaper than a piece */
    HTTP_HEAD_MAX = 640         /* bytes of fields that the server writes itself, with room to spare */
};

/* http_fields.c: makes r->fields and r->live_fields, or leaves them NULL if the specification has none.  -1 with ENOMEM,
 * or EINVAL. */
int  http_fields_make(struct http_route *r, const struct http_route_spec *spec);
void http_fields_free(struct http_fields *f);

/* Queues the head up to p, then the fields of the route.  Room for n bytes more, NULL: memory is out. */
char *http_fields_put(struct http_exchange *x, char *p, size_t n);

/* HTTP_REMOVE bits of what this reply leaves out. */
static inline unsigned http_fields_removed(const struct http_exchange *x)
{
    return x->fields != NULL ? x->fields->removed : 0;
}

/* Does the route say this in place of the server?  An HTTP_SAYS bit. */
static inline bool http_fields_say(const struct http_exchange *x, unsigned bit)
{
    return x->fields != NULL && (x->fields->says & bit) != 0;
}

/* http_reply.c: "HTTP/1.1 404 Not Found\r\n". */
struct span http_status_line(unsigned status);

/* Begins a head: the status line, Date and Connection are written, and there is room for n bytes more.
 * NULL when memory is out.  NULL may be passed on to the functions that write behind it. */
char *http_head_begin(struct http_exchange *x, unsigned status, size_t n);
char *http_head_put(char *p, struct span s);
char *http_head_number(char *p, struct span name, uint64_t value);
void  http_head_end(struct http_exchange *x, char *p);

void http_reply_status(struct http_exchange *x, unsigned status);

/* The same, and the connection ends behind it. */
void http_reply_refuse(struct http_exchange *x, unsigned status);
void http_reply_ready(struct http_exchange *x, const struct http_ready *ready);
void http_reply_options(struct http_exchange *x, struct span allow);
void http_reply_moved(struct http_exchange *x, struct span path);
void http_reply_continue(struct outq *q);

/* http_location.c: the redirect.  `path` is decoded and clean. */
void http_location_reply(struct http_exchange *x, const struct http_location *l, unsigned status, struct span path);

/* http_auth.c: 401 if the request has no credentials that could be a user's, else 0; x->user says who it is if these
 * credentials were found right before. */
unsigned http_auth_look(struct http_exchange *x, const struct http_auth *a);

/* Has the credentials checked: the exchange is answered when that is done. */
void http_auth_defer(struct http_exchange *x, const struct http_route *route);

/* Writes the access record of a finished exchange, when there is an access log. */
void http_reply_logged(struct http_exchange *x);

/* Fields that make a reply depend on what the client has. */
enum {
    CONDITIONS = FIELD_BIT(FIELD_IF_MATCH) | FIELD_BIT(FIELD_IF_NONE_MATCH) | FIELD_BIT(FIELD_RANGE) |
                 FIELD_BIT(FIELD_IF_MODIFIED_SINCE) | FIELD_BIT(FIELD_IF_UNMODIFIED_SINCE)
};

/* http_file.c: answers GET and HEAD from a ROOT route. */
void http_file_answer(struct http_exchange *x, const struct http_route *route, struct span path);

/* Is a path with a segment that begins with '.' hidden by this ROOT route? */
bool http_file_hides(const struct http_route *route, struct span path);
/* A file of this root that could not be had, for this errno. */
void http_file_failed(struct http_exchange *x, struct root *root, struct span name, int error);

/* http_folder.c: a list of the folder, when a helper has made it.  `name`: beneath the root, with its '/'. */
void http_folder_list(struct http_exchange *x, const struct http_route *route, struct span path, struct span name);

/* http_listing.c: folders first, then by name. */
void http_listing_sort(struct catalog *c);

/* The list as a file in memory, NULL when that is out.  *cut: it does not have all.  `parent`: with a link upwards. */
struct file *http_listing_html(const struct catalog *c, struct span path, bool parent, bool *cut);
struct file *http_listing_json(const struct catalog *c, bool *cut);

/* What is served of a file: itself, or a sibling that holds it compressed. */
struct http_content {
    struct file *file;          /* a reference */
    struct span  name;          /* of what was asked for: its extension says the media type */
    uint8_t      coding;        /* enum http_coding; HTTP_CODINGS: none */
    bool         varies;        /* another client might get another coding */
};

/* Part of a file that is sent. */
struct http_part {
    uint64_t first, n;
};

/* Sends the fields, the empty line behind them among them, and a part of a file, which is taken over; the status is in
 * the exchange. */
void http_content_send(struct http_exchange *x, struct span fields, struct file *taken, struct http_part part);

/* http_content.c: replies with all or parts of it, as conditions and ranges say; takes the reference over. */
void http_content_reply(struct http_exchange *x, struct http_content *taken);

/* http_encoding.c: chooses between a file and its siblings, by what the client accepts; exchanges the reference. */
void http_encoding_choose(struct http_exchange *x, const struct http_route *route, struct http_content *c);

/* "br"; length 0: none. */
struct span http_coding_name(uint8_t coding);

/* http_accept.c: the next element of Accept or Accept-Encoding (RFC 9110 section 12.4.2), without its parameters, and
 * its weight in thousandths.  Elements that are malformed are passed over.  False at the end. */
bool http_next_choice(struct span *list, struct span *value, unsigned *weight);

/* Is application/json liked better than text/html? */
bool http_accepts_json(const struct http_request *r);

/* http_live.c: answers GET and HEAD from a LIVE route. */
void http_live_reply(struct http_exchange *x, const struct http_route *route, struct span path);

/* Of a connection that has events: the next is due in a second; it is due now; it is made, and goes out; no more. */
void http_live_follow(struct conn *c);
void http_live_tick(struct conn *c, const struct http_live *live);
void http_live_event(struct conn *c, struct errand *back);
void http_live_leave(const struct http_live *live);

/* http_try.c: "$path.html" in its parts; "=404" is none. */
struct http_candidate http_candidate_of(const char *text);

enum { HTTP_NAME_MAX = 4096 };  /* bytes of a name beneath a root: PATH_MAX, what the kernel takes */

/* The candidate for a name, relative as the name is; `to` has room for HTTP_NAME_MAX bytes.  p is NULL when it would
 * be longer. */
struct span http_candidate_name(const struct http_candidate *c, struct span name, char *to);

/* http_range.c */
enum http_range { RANGE_NONE, RANGE_SOME, RANGE_UNSATISFIABLE };

enum { HTTP_PARTS_MAX = 16 };   /* of one reply: each costs memory for its head while it is sent */

struct http_parts {
    unsigned         count;
    struct http_part v[HTTP_PARTS_MAX];
};

/* What a Range field asks of `size` bytes.  RANGE_NONE: answer the whole. */
enum http_range http_range_parse(struct span value, uint64_t size, struct http_parts *parts);

/* http_multipart.c: several parts of one file, as multipart/byteranges (RFC 9110 section 14.6). */
enum {
    HTTP_BOUNDARY_SIZE = 32,
    HTTP_CONTENT_RANGE_MAX = 3 * 20 + 16    /* "bytes F-L/N" */
};

struct http_multipart {
    struct span              type;      /* of each part */
    uint64_t                 size;      /* of the file */
    const struct http_parts *parts;
    char                     boundary[HTTP_BOUNDARY_SIZE];
};

/* A boundary that cannot be in the file, as nobody could know it. */
void http_multipart_mark(struct http_multipart *m, const struct env *e, const struct file *f);

/* Bytes of the whole content. */
uint64_t http_multipart_length(const struct http_multipart *m);
void http_multipart_queue(struct outq *q, const struct http_multipart *m, struct file *taken);

/* Returns the number of bytes. */
size_t http_content_range_put(char *to, struct http_part part, uint64_t size);

/* What a selected representation has to say for itself. */
struct http_validator {
    struct span etag;           /* with W/ and quotes; length 0: none */
    time_t      modified_s;     /* as shown in Last-Modified; -1: none */
    bool        strong;         /* the entity tag hides no change, */
    bool        strong_date;    /* nor does `modified_s` */
    unsigned    removed;        /* HTTP_REMOVE bits: not to be shown */
};

/* RFC 9110 section 13.2.2, steps 1 to 4: 0: go on, 304 or 412. */
unsigned http_precondition(const struct http_request *r, const struct http_validator *v, time_t now);

/* The same for what has no validators: only "*" can match (RFC 9110 section 13.1). */
static inline unsigned http_precondition_bare(const struct http_exchange *x)
{
    if ((x->request->seen & CONDITIONS) == 0)
        return 0;
    return http_precondition(x->request, &(struct http_validator){ .modified_s = -1 }, x->env->now_s);
}

/* Step 5: may the Range field be used? */
bool http_if_range(const struct http_request *r, const struct http_validator *v, time_t now);

#endif
