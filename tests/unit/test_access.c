/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/access.c. */
#include <check.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "unit/access_tap.h"

static const uint64_t STARTED_US = 5000000;

static const struct access_source source = { .model = "poll", .worker = "main.0" };

/* A record's texts, in their order. */
struct texts {
    struct span method, target, version, referer, agent, host, user;
};

static const struct texts usual = {
    .method = { "GET", 3 },
    .target = { "/a?b=c", 6 },
    .version = { "HTTP/1.1", 8 },
    .referer = { "http://x/", 9 },
    .agent = { "curl/7.88.1", 11 },
    .host = { "example.org", 11 },
};

/* What the lines of all records here begin with. */
#define COMBINED "192.0.2.7 - - [22/Nov/2026:07:54:07 +0000] "
#define JSON     "{\"time\":\"2026-11-22T07:54:07.000Z\",\"service\":\"web\",\"model\":\"poll\"," \
                 "\"worker\":\"main.0\",\"peer\":\"192.0.2.7\",\"user\":\"\","

/* ... and the usual one goes on with. */
#define COMBINED_USUAL COMBINED "\"GET /a?b=c HTTP/1.1\" 200 1234 \"http://x/\" "
#define JSON_USUAL                                                                                     \
    JSON "\"method\":\"GET\",\"target\":\"/a?b=c\",\"version\":\"HTTP/1.1\",\"host\":\"example.org\"," \
         "\"status\":200,\"bytes\":1234,\"duration_us\":77,\"referer\":\"http://x/\","

static uint16_t text_put(struct access *a, size_t *n, struct span s)
{
    if (s.n > 0)
        memcpy(a->text + *n, s.p, s.n);
    *n += s.n;
    return (uint16_t)s.n;
}

static struct access *access_of(struct texts t)
{
    size_t n = 0, size = t.method.n + t.target.n + t.version.n + t.referer.n + t.agent.n + t.host.n +
                         t.user.n;
    struct access *a = malloc(sizeof *a + size);
    ck_assert_ptr_nonnull(a);
    *a = (struct access){
        .peer = { .family = AF_INET, .port = 5000, .address = { 192, 0, 2, 7 } },
        .when_s = 1795334047, .started_us = STARTED_US, .body_bytes = 1234, .service = "web", .status = 200,
    };
    a->method_n = text_put(a, &n, t.method);
    a->target_n = text_put(a, &n, t.target);
    a->version_n = text_put(a, &n, t.version);
    a->referer_n = text_put(a, &n, t.referer);
    a->agent_n = text_put(a, &n, t.agent);
    a->host_n = text_put(a, &n, t.host);
    a->user_n = text_put(a, &n, t.user);
    return a;
}

static void add(struct access_tap *tap, struct texts t)
{
    struct access *a = access_of(t);
    ck_assert(access_log_add(tap->log, a, STARTED_US + 77));
    free(a);
}

static void check_line(const char *form, struct texts t, const char *want)
{
    struct access_tap tap;
    tap_open(&tap, form, &source, TAP_RING);
    add(&tap, t);
    ck_assert_str_eq(tap_read(&tap), want);
    tap_close(&tap);
}

START_TEST(access_writes_combined_lines)
{
    check_line("combined", usual, COMBINED_USUAL "\"curl/7.88.1\"\n");
}
END_TEST

START_TEST(access_writes_json_lines)
{
    check_line("json", usual, JSON_USUAL "\"agent\":\"curl/7.88.1\"}\n");
}
END_TEST

START_TEST(access_writes_a_dash_for_what_is_empty)
{
    struct texts nothing = { 0 };
    check_line("combined", nothing, COMBINED "\"-\" 200 1234 \"-\" \"-\"\n");
    struct texts method = { .method = SPAN("GET") };
    check_line("combined", method, COMBINED "\"GET - -\" 200 1234 \"-\" \"-\"\n");
    check_line("json", nothing,
               JSON "\"method\":\"\","
               "\"target\":\"\",\"version\":\"\",\"host\":\"\",\"status\":200,\"bytes\":1234,"
               "\"duration_us\":77,\"referer\":\"\",\"agent\":\"\"}\n");
}
END_TEST

START_TEST(access_lets_nobody_forge_a_combined_line)
{
    struct texts t = usual;
    t.agent = SPAN("a\" \\ \n\r\t\0\x7f caf\xc3\xa9 \xff");
    check_line("combined", t,
               COMBINED_USUAL "\"a\\x22 \\x5c \\x0a\\x0d\\x09\\x00\\x7f caf\\xc3\\xa9 \\xff\"\n");
}
END_TEST

START_TEST(access_lets_nobody_forge_a_json_line)
{
    struct texts t = usual;
    t.agent = SPAN("a\" \\ \n\r\t\0\x7f caf\xc3\xa9 caf\xe9 \xff \xc2\x85 \xf0\x9f\x98\x80");
    check_line("json", t,
               JSON_USUAL "\"agent\":\"a\\\" \\\\ \\u000a\\u000d\\u0009\\u0000\\u007f "
               "caf\xc3\xa9 caf\\u00e9 \\u00ff \\u0085 \xf0\x9f\x98\x80\"}\n");
}
END_TEST

START_TEST(access_duration_is_never_negative)
{
    struct access_tap tap;
    struct access *a = access_of(usual);
    tap_open(&tap, "json", &source, TAP_RING);
    ck_assert(access_log_add(tap.log, a, STARTED_US - 1));
    ck_assert_ptr_nonnull(strstr(tap_read(&tap), "\"duration_us\":0,"));
    free(a);
    tap_close(&tap);
}
END_TEST

START_TEST(access_takes_the_longest_record_of_the_worst_bytes)
{
    char *bytes = malloc(ACCESS_TEXT_MAX);
    memset(bytes, '\0', ACCESS_TEXT_MAX);
    struct texts t = { { bytes, ACCESS_METHOD_MAX }, { bytes, ACCESS_TARGET_MAX }, { bytes, ACCESS_VERSION_MAX },
                       { bytes, ACCESS_REFERER_MAX }, { bytes, ACCESS_AGENT_MAX }, { bytes, ACCESS_HOST_MAX },
                       { bytes, ACCESS_USER_MAX } };
    struct access_tap tap;
    struct access *a = access_of(t);
    char service[5000];
    memset(service, '\x01', sizeof service - 1);
    service[sizeof service - 1] = '\0';
    a->service = service;
    tap_open(&tap, "json", &source, TAP_RING);
    for (int i = 0; i < 10; i++)
        ck_assert(access_log_add(tap.log, a, STARTED_US));
    ck_assert_uint_gt(strlen(tap_read(&tap)), 10 * 6 * ACCESS_TEXT_MAX);
    free(a);
    free(bytes);
    tap_close(&tap);
}
END_TEST

/* The bytes of one record, as they lie in a ring; returns how many. */
static size_t record_of(char bytes[RING_RECORD_MAX])
{
    struct access_tap tap;
    struct ring_record r;
    tap_open(&tap, "json", &source, TAP_RING);
    add(&tap, usual);
    ck_assert_int_eq(ring_take(&tap.reader, &r, bytes), 1);
    tap_close(&tap);
    return r.n;
}

START_TEST(access_reads_no_record_that_is_shorter_or_longer)
{
    _Alignas(16) static char bytes[RING_RECORD_MAX], copy[RING_RECORD_MAX];
    struct access_taken taken;
    size_t n = record_of(bytes);
    for (size_t i = 0; i < n + 20; i++) {
        memcpy(copy, bytes, sizeof copy);
        ck_assert_int_eq(access_read(&taken, copy, i), i == n);
    }
}
END_TEST

/* Whoever has taken over a worker may write anything; sanitizers look on. */
START_TEST(access_reads_any_bytes_without_harm)
{
    _Alignas(16) static char bytes[RING_RECORD_MAX], copy[RING_RECORD_MAX];
    struct access_form *form = access_form_new("json");
    char *line = malloc(ACCESS_LINE_MAX);
    struct access_taken taken;
    size_t n = record_of(bytes);
    for (size_t i = 0; i < n; i++) {
        for (int value = 0; value < 256; value += 51) {
            memcpy(copy, bytes, n);
            copy[i] = (char)value;
            if (!access_read(&taken, copy, n))
                continue;
            const struct access_source from = { taken.model, taken.worker };
            const struct access_facts facts = { taken.reply, &from, taken.duration_us };
            ck_assert_uint_lt((size_t)(access_line_put(line, form, &facts) - line), ACCESS_LINE_MAX);
        }
    }
    free(line);
    access_form_free(form);
}
END_TEST

START_TEST(access_says_that_there_is_no_room)
{
    struct access_tap tap;
    struct access *a = access_of(usual);
    unsigned put = 0, lines = 0;
    tap_open(&tap, "combined", &source, RING_SIZE_MIN);
    while (access_log_add(tap.log, a, STARTED_US))
        put++;
    ck_assert_uint_gt(put, 100);
    for (const char *text = tap_read(&tap); *text != '\0'; text++)
        lines += *text == '\n';
    ck_assert_uint_eq(lines, put);
    ck_assert(access_log_add(tap.log, a, STARTED_US));
    free(a);
    tap_close(&tap);
}
END_TEST

START_TEST(access_free_takes_null)
{
    access_log_free(NULL);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("access");
    TCase *t = tcase_create("access");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, access_writes_combined_lines);
    tcase_add_test(t, access_writes_json_lines);
    tcase_add_test(t, access_writes_a_dash_for_what_is_empty);
    tcase_add_test(t, access_lets_nobody_forge_a_combined_line);
    tcase_add_test(t, access_lets_nobody_forge_a_json_line);
    tcase_add_test(t, access_duration_is_never_negative);
    tcase_add_test(t, access_takes_the_longest_record_of_the_worst_bytes);
    tcase_add_test(t, access_reads_no_record_that_is_shorter_or_longer);
    tcase_add_test(t, access_reads_any_bytes_without_harm);
    tcase_add_test(t, access_says_that_there_is_no_room);
    tcase_add_test(t, access_free_takes_null);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
