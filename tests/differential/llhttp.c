/* SPDX-License-Identifier: BSD-2-Clause */
/* What llhttp says about the same bytes, in the same form as verdict.c: a refusal is "refused".  Built by
 * tests/matrix/test_differential.py where llhttp's sources are installed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <llhttp.h>

struct state {
    char          method[64];
    size_t        method_n;
    unsigned long data;
    int           inside;       /* a message has begun and is not complete */
};

static int begin(llhttp_t *p)
{
    struct state *s = p->data;
    s->method_n = s->data = 0;
    s->inside = 1;
    return 0;
}

static int method(llhttp_t *p, const char *at, size_t n)
{
    struct state *s = p->data;
    for (; n > 0 && s->method_n < sizeof s->method - 1; n--)
        s->method[s->method_n++] = *at++;
    return 0;
}

static int body(llhttp_t *p, const char *at, size_t n)
{
    (void)at;
    ((struct state *)p->data)->data += n;
    return 0;
}

static int complete(llhttp_t *p)
{
    struct state *s = p->data;
    s->inside = 0;
    printf("%.*s:%lu ", (int)s->method_n, s->method, s->data);
    return p->method == HTTP_CONNECT || !llhttp_should_keep_alive(p) ? HPE_PAUSED : 0;
}

static void judge(const char *bytes, size_t n)
{
    struct state s = { .inside = 0 };
    llhttp_settings_t settings;
    llhttp_t parser;
    llhttp_settings_init(&settings);
    settings.on_message_begin = begin;
    settings.on_method = method;
    settings.on_body = body;
    settings.on_message_complete = complete;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &s;
    llhttp_errno_t error = llhttp_execute(&parser, bytes, n);
    if (error == HPE_OK)
        puts(s.inside ? "more" : "end");
    else
        puts(error == HPE_PAUSED ? "close" : error == HPE_PAUSED_UPGRADE ? "upgrade" : "refused");
}

int main(void)
{
    char digits[9] = "";
    while (fread(digits, 1, 8, stdin) == 8) {
        size_t n = strtoul(digits, NULL, 16);
        char *bytes = malloc(n + 1);
        if (bytes == NULL || fread(bytes, 1, n, stdin) != n)
            return 1;
        judge(bytes, n);
        free(bytes);
    }
    return 0;
}
