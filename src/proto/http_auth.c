/* SPDX-License-Identifier: BSD-2-Clause */
/* Basic authentication (RFC 7617): credentials are read from the request, and held against the user's hash by an
 * errand, since that takes its time.  What was found right is remembered for a while (core/verified.h).
 * Who is not known costs what a user costs: the hash of one of them is computed for nothing. */
#include "proto/http_internal.h"

#include <stdlib.h>

#include "base/password.h"
#include "base/random.h"
#include "core/verified.h"

enum {
    CREDENTIALS_MAX = 768,      /* bytes of user, colon and password */
    MARKED_MAX = CREDENTIALS_MAX + PASSWORD_HASH_MAX
};

struct auth_user {
    struct span name;
    const char *hash;
};

struct http_auth {
    uint64_t         key[2];    /* chooses whose hash is computed for who is not known */
    unsigned         count;
    struct auth_user users[];   /* by name */
};

/* ---- the users ---- */

static int user_compare(const void *one, const void *other)
{
    const struct auth_user *a = one, *b = other;
    size_t n = a->name.n < b->name.n ? a->name.n : b->name.n;
    int order = memcmp(a->name.p, b->name.p, n);
    return order != 0 ? order : (a->name.n > b->name.n) - (a->name.n < b->name.n);
}

struct http_auth *http_auth_new(const struct http_user *users, unsigned count)
{
    struct http_auth *a = calloc(1, sizeof *a + count * sizeof a->users[0]);
    if (a == NULL)
        return NULL;
    random_fill(a->key, sizeof a->key);
    a->count = count;
    for (unsigned i = 0; i < count; i++)
        a->users[i] = (struct auth_user){ span_of(users[i].name), users[i].hash };
    qsort(a->users, count, sizeof a->users[0], user_compare);
    return a;
}

void http_auth_free(struct http_auth *a)
{
    free(a);
}

static const struct auth_user *user_find(const struct http_auth *a, struct span name)
{
    const struct auth_user wanted = { .name = name };
    return bsearch(&wanted, a->users, a->count, sizeof wanted, user_compare);
}

/* ---- credentials ---- */

struct credentials {
    char        text[CREDENTIALS_MAX + 1];  /* "user\0password\0" */
    struct span user, password;
};

/* The value of a character of base64 (RFC 4648 section 4), -1: it is none. */
static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Padding must be there, and the bits that it leaves over must be zero: there is one text for the same bytes. */
static bool base64_decode(struct span s, char *to, size_t size, size_t *n)
{
    size_t padding = 0;
    uint32_t bits = 0;
    while (padding < 2 && s.n > padding && s.p[s.n - 1 - padding] == '=')
        padding++;
    if (s.n == 0 || s.n % 4 != 0 || s.n / 4 * 3 - padding > size)
        return false;
    *n = 0;
    for (size_t i = 0; i < s.n - padding; i++) {
        int value = base64_value(s.p[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        if (i % 4 != 0)
            to[(*n)++] = (char)(bits >> (6 - 2 * (i % 4)));
    }
    return (bits & (padding == 2 ? 15u : padding == 1 ? 3u : 0u)) == 0;
}

/* RFC 7617 section 2: no control bytes; the first colon ends the user. */
static bool credentials_split(struct credentials *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)c->text[i] < 0x20 || c->text[i] == 0x7f)
            return false;
    char *colon = n > 0 ? memchr(c->text, ':', n) : NULL;
    if (colon == NULL)
        return false;
    c->text[n] = '\0';
    *colon = '\0';
    c->user = (struct span){ c->text, (size_t)(colon - c->text) };
    c->password = (struct span){ colon + 1, n - c->user.n - 1 };
    return c->password.n <= PASSWORD_MAX;
}

/* False: there are none, or none that could be anybody's. */
static bool credentials_read(struct credentials *c, const struct http_request *r)
{
    struct span value = r->value[FIELD_AUTHORIZATION], scheme = SPAN("Basic");
    size_t n;
    if (!http_has(r, FIELD_AUTHORIZATION) || (r->repeated & FIELD_BIT(FIELD_AUTHORIZATION)) != 0 ||
        value.n <= scheme.n || strncasecmp(value.p, scheme.p, scheme.n) != 0 || value.p[scheme.n] != ' ')
        return false;
    value = span_skip(value, scheme.n);
    while (value.n > 0 && value.p[0] == ' ')
        value = span_skip(value, 1);
    return base64_decode(value, c->text, CREDENTIALS_MAX, &n) && credentials_split(c, n);
}

/* Stands for these credentials and the hash that they were held against. */
static struct verified_mark credentials_mark(const struct verified *v, const struct credentials *c, const char *hash)
{
    char bytes[MARKED_MAX];
    size_t text = c->user.n + 1 + c->password.n, n = strnlen(hash, PASSWORD_HASH_MAX);
    memcpy(bytes, c->text, text);
    memcpy(bytes + text, hash, n);
    struct verified_mark mark = verified_mark_of(v, (struct span){ bytes, text + n });
    explicit_bzero(bytes, text);
    return mark;
}

/* ---- the answer ---- */

unsigned http_auth_look(struct http_exchange *x, const struct http_auth *a)
{
    struct credentials c;
    struct verified *verified = x->env->verified;
    if (x->user.n > 0)
        return 0;               /* an errand has found out */
    if (a->count == 0)
        return 401;             /* there is not even a hash to compute */
    bool there = credentials_read(&c, x->request);
    const struct auth_user *user = there ? user_find(a, c.user) : NULL;
    if (user != NULL && verified != NULL &&
        verified_knows(verified, credentials_mark(verified, &c, user->hash), x->env->now_ms))
        x->user = user->name;
    explicit_bzero(&c, sizeof c);
    return there ? 0 : 401;
}

struct auth_errand {
    struct http_errand        base;
    const struct http_route  *route;
    const struct auth_user   *user;         /* NULL: nobody is called so */
    const char               *hash;
    bool                      right;
    struct credentials        given;
};

static struct auth_errand *auth_errand_of(struct errand *e)
{
    return (struct auth_errand *)(void *)e;
}

static void auth_work(struct errand *e)
{
    struct auth_errand *a = auth_errand_of(e);
    bool matches = password_matches(a->given.password.p, a->hash);
    a->right = matches && a->user != NULL;
}

static void auth_free(struct errand *e)
{
    explicit_bzero(e, sizeof(struct auth_errand));
    free(e);
}

static void auth_answer(struct http_exchange *x, struct http_errand *e)
{
    struct auth_errand *a = auth_errand_of(&e->errand);
    struct verified *verified = x->env->verified;
    if (!a->right) {
        http_exchange_adopt(x, a->route);
        http_reply_status(x, 401);
        return;
    }
    if (verified != NULL)
        verified_add(verified, credentials_mark(verified, &a->given, a->hash), x->env->now_ms);
    x->user = a->user->name;
    http_answer(x);
}

void http_auth_defer(struct http_exchange *x, const struct http_route *route)
{
    const struct http_auth *auth = route->auth;
    struct auth_errand *a = calloc(1, sizeof *a);
    if (a == NULL || !credentials_read(&a->given, x->request)) {
        free(a);
        http_reply_status(x, 503);
        return;
    }
    a->base.errand.work = auth_work;
    a->base.errand.free = auth_free;
    a->base.answer = auth_answer;
    a->route = route;
    a->user = user_find(auth, a->given.user);
    a->hash = a->user != NULL ? a->user->hash
                              : auth->users[random_hash(auth->key, a->given.user.p, a->given.user.n) % auth->count].hash;
    http_defer(x, &a->base);
}
