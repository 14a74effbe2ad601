/* SPDX-License-Identifier: BSD-2-Clause */
/* Tests of core/access.c. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "core/access.h"
#include "core/access_line.h"

enum { BATCH = 64 * 1024 };

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

/* A file without a name, appended to as the daemon's is. */
static int log_file(void)
{
    char name[] = "/tmp/access-XXXXXX";
    int fd = mkostemp(name, O_APPEND);
    ck_assert_int_ne(fd, -1);
    unlink(name);
    return fd;
}

/* All that is in the file; the caller frees it. */
static char *file_text(int fd)
{
    struct stat st;
    ck_assert_int_eq(fstat(fd, &st), 0);
    char *text = malloc((size_t)st.st_size + 1);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(pread(fd, text, (size_t)st.st_size, 0), st.st_size);
    text[st.st_size] = '\0';
    return text;
}

static size_t lines_in(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == '\n';
    return n;
}

static void add(struct access_log *l, struct texts t)
{
    struct access *a = access_of(t);
    access_log_add(l, a, STARTED_US + 77);
    free(a);
}

static void check_line(const char *form, struct texts t, const char *want)
{
    int fd = log_file();
    struct access_log *l = access_log_new(fd, access_form_new(form), &source);
    ck_assert_ptr_nonnull(l);
    add(l, t);
    ck_assert_uint_eq(access_log_flush(l), 0);
    char *text = file_text(fd);
    ck_assert_str_eq(text, want);
    free(text);
    access_log_free(l);
    close(fd);
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
    int fd = log_file();
    struct access_log *l = access_log_new(fd, access_form_new("json"), &source);
    struct access *a = access_of(usual);
    access_log_add(l, a, STARTED_US - 1);
    access_log_flush(l);
    char *text = file_text(fd);
    ck_assert_ptr_nonnull(strstr(text, "\"duration_us\":0,"));
    free(text);
    free(a);
    access_log_free(l);
    close(fd);
}
END_TEST

START_TEST(access_gathers_lines_for_a_second)
{
    int fd = log_file();
    struct access_log *l = access_log_new(fd, access_form_new("combined"), &source);
    ck_assert_uint_eq(access_log_due(l), UINT64_MAX);
    add(l, usual);
    ck_assert_uint_eq(access_log_due(l), (STARTED_US + 77) / 1000 + 1000);
    uint64_t due = access_log_due(l);
    struct access *a = access_of(usual);
    access_log_add(l, a, STARTED_US + 900000);
    free(a);
    ck_assert_uint_eq(access_log_due(l), due);
    char *text = file_text(fd);
    ck_assert_str_eq(text, "");
    free(text);
    ck_assert_uint_eq(access_log_flush(l), 0);
    ck_assert_uint_eq(access_log_due(l), UINT64_MAX);
    text = file_text(fd);
    ck_assert_uint_eq(lines_in(text), 2);
    free(text);
    access_log_free(l);
    close(fd);
}
END_TEST

START_TEST(access_writes_by_itself_when_its_buffer_is_full)
{
    int fd = log_file();
    struct access_log *l = access_log_new(fd, access_form_new("json"), &source);
    for (int i = 0; i < 5000; i++)
        add(l, usual);
    char *text = file_text(fd);
    ck_assert_uint_gt(strlen(text), BATCH * 5);
    ck_assert_int_eq(text[strlen(text) - 1], '\n');
    free(text);
    ck_assert_uint_eq(access_log_flush(l), 0);
    text = file_text(fd);
    ck_assert_uint_eq(lines_in(text), 5000);
    free(text);
    access_log_free(l);
    close(fd);
}
END_TEST

START_TEST(access_takes_the_longest_record_of_the_worst_bytes)
{
    char *bytes = malloc(ACCESS_TEXT_MAX);
    memset(bytes, '\0', ACCESS_TEXT_MAX);
    struct texts t = { { bytes, ACCESS_METHOD_MAX }, { bytes, ACCESS_TARGET_MAX }, { bytes, ACCESS_VERSION_MAX },
                       { bytes, ACCESS_REFERER_MAX }, { bytes, ACCESS_AGENT_MAX }, { bytes, ACCESS_HOST_MAX },
                       { bytes, ACCESS_USER_MAX } };
    int fd = log_file();
    struct access_log *l = access_log_new(fd, access_form_new("json"), &source);
    struct access *a = access_of(t);
    char service[5000];
    memset(service, '\x01', sizeof service - 1);
    service[sizeof service - 1] = '\0';
    a->service = service;
    for (int i = 0; i < 10; i++)
        access_log_add(l, a, STARTED_US);
    ck_assert_uint_eq(access_log_flush(l), 0);
    char *text = file_text(fd);
    ck_assert_uint_eq(lines_in(text), 10);
    ck_assert_uint_gt(strlen(text), 10 * 6 * ACCESS_TEXT_MAX);
    free(text);
    free(a);
    free(bytes);
    access_log_free(l);
    close(fd);
}
END_TEST

/* Counts what is logged about the log. */
static void count_line(void *arg, enum log_level level, const struct log_about *about, struct span line)
{
    int *said = arg;
    (void)line;
    if (about->event != NULL && strcmp(about->event, "access-log-failed") == 0 && level == LOG_ERROR)
        said[0]++;
    if (about->event != NULL && strcmp(about->event, "access-log-works") == 0 && level == LOG_NOTICE)
        said[1]++;
}

START_TEST(access_counts_lines_that_a_full_disk_loses)
{
    int said[2] = { 0 };
    log_open(count_line, said, LOG_NOTICE);
    int fd = open("/dev/full", O_WRONLY | O_APPEND);
    ck_assert_int_ne(fd, -1);
    struct access_log *l = access_log_new(fd, access_form_new("combined"), &source);
    for (int i = 0; i < 3; i++)
        add(l, usual);
    ck_assert_uint_eq(access_log_flush(l), 3);
    ck_assert_uint_eq(access_log_flush(l), 0);
    add(l, usual);
    ck_assert_uint_eq(access_log_flush(l), 1);
    ck_assert_int_eq(said[0], 1);
    ck_assert_int_eq(said[1], 0);
    int good = log_file();
    access_log_reopen(l, good);
    add(l, usual);
    ck_assert_uint_eq(access_log_flush(l), 0);
    ck_assert_int_eq(said[0], 1);
    ck_assert_int_eq(said[1], 1);
    access_log_free(l);
    close(good);
    close(fd);
}
END_TEST

START_TEST(access_counts_lines_that_are_lost_between_flushes)
{
    int said[2] = { 0 };
    log_open(count_line, said, LOG_NOTICE);
    int fd = open("/dev/full", O_WRONLY | O_APPEND);
    struct access_log *l = access_log_new(fd, access_form_new("json"), &source);
    for (int i = 0; i < 5000; i++)
        add(l, usual);
    ck_assert_uint_eq(access_log_flush(l), 5000);
    ck_assert_int_eq(said[0], 1);
    access_log_free(l);
    close(fd);
}
END_TEST

static void limit_file_size(rlim_t bytes)
{
    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ bytes, RLIM_INFINITY });
}

/* Writes 4 lines and 1 line to a file that has room for `room` bytes, then 1 to the file without that limit;
 * returns how many were lost.  No assertion here: the test library writes files of its own. */
static uint64_t write_to_narrow_file(struct access_log *l, rlim_t room)
{
    struct access *a = access_of(usual);
    limit_file_size(room);
    for (int i = 0; i < 4; i++)
        access_log_add(l, a, STARTED_US);
    uint64_t lost = access_log_flush(l);
    access_log_add(l, a, STARTED_US);
    lost += access_log_flush(l);
    limit_file_size(RLIM_INFINITY);
    access_log_add(l, a, STARTED_US);
    lost += access_log_flush(l);
    free(a);
    return lost;
}

/* The file takes a part of a batch, then no more, then all again. */
START_TEST(access_file_has_whole_lines_only)
{
    int said[2] = { 0 };
    log_open(count_line, said, LOG_NOTICE);
    signal(SIGXFSZ, SIG_IGN);
    int fd = log_file();
    struct access_log *l = access_log_new(fd, access_form_new("combined"), &source);
    uint64_t lost = write_to_narrow_file(l, (rlim_t)_i);
    char *text = file_text(fd), *rest = text;
    const char *want = COMBINED_USUAL "\"curl/7.88.1\"\n";
    for (; *rest != '\0'; rest += strlen(want))
        ck_assert_msg(strncmp(rest, want, strlen(want)) == 0, "a torn line: %s", rest);
    ck_assert_uint_eq(lines_in(text) + lost, 6);
    ck_assert_uint_eq(lines_in(text), ((size_t)_i + strlen(want) - 1) / strlen(want) + 1);
    ck_assert_int_eq(said[0], 1);
    ck_assert_int_eq(said[1], 1);
    free(text);
    access_log_free(l);
    close(fd);
}
END_TEST

START_TEST(access_does_not_wait_for_a_pipe_that_nobody_reads)
{
    int said[2] = { 0 }, ends[2];
    log_open(count_line, said, LOG_NOTICE);
    ck_assert_int_eq(pipe(ends), 0);
    struct access_log *l = access_log_new(ends[1], access_form_new("json"), &source);
    uint64_t lost = 0;
    for (int i = 0; i < 3000; i++)
        add(l, usual);
    lost += access_log_flush(l);
    ck_assert_uint_gt(lost, 0);
    ck_assert_uint_lt(lost, 3000);
    ck_assert_int_eq(said[0], 1);
    access_log_free(l);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(access_reopen_leaves_gathered_lines_in_the_old_file)
{
    int old = log_file(), new = log_file();
    struct access_log *l = access_log_new(old, access_form_new("combined"), &source);
    add(l, usual);
    access_log_reopen(l, new);
    add(l, usual);
    add(l, usual);
    access_log_free(l);                 /* writes what is left */
    char *text = file_text(old);
    ck_assert_uint_eq(lines_in(text), 1);
    free(text);
    text = file_text(new);
    ck_assert_uint_eq(lines_in(text), 2);
    free(text);
    close(old);
    close(new);
}
END_TEST

/* The end of a line whose begin is in the old file is nothing for the new one. */
START_TEST(access_reopen_brings_no_torn_line_along)
{
    int said[2] = { 0 };
    log_open(count_line, said, LOG_NOTICE);
    signal(SIGXFSZ, SIG_IGN);
    int old = log_file(), new = log_file();
    struct access_log *l = access_log_new(old, access_form_new("combined"), &source);
    struct access *a = access_of(usual);
    access_log_add(l, a, STARTED_US);
    limit_file_size(50);
    access_log_flush(l);
    access_log_reopen(l, new);
    limit_file_size(RLIM_INFINITY);
    access_log_add(l, a, STARTED_US);
    ck_assert_uint_eq(access_log_flush(l), 1);
    char *text = file_text(new);
    ck_assert_str_eq(text, COMBINED_USUAL "\"curl/7.88.1\"\n");
    free(text);
    free(a);
    access_log_free(l);
    close(old);
    close(new);
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
    tcase_add_test(t, access_gathers_lines_for_a_second);
    tcase_add_test(t, access_writes_by_itself_when_its_buffer_is_full);
    tcase_add_test(t, access_takes_the_longest_record_of_the_worst_bytes);
    tcase_add_test(t, access_counts_lines_that_a_full_disk_loses);
    tcase_add_test(t, access_counts_lines_that_are_lost_between_flushes);
    tcase_add_loop_test(t, access_file_has_whole_lines_only, 0, 250);
    tcase_add_test(t, access_does_not_wait_for_a_pipe_that_nobody_reads);
    tcase_add_test(t, access_reopen_leaves_gathered_lines_in_the_old_file);
    tcase_add_test(t, access_reopen_brings_no_torn_line_along);
    tcase_add_test(t, access_free_takes_null);
    suite_add_tcase(s, t);
    SRunner *sr = srunner_create(s);
    srunner_run_all(sr, CK_ENV);
    int failed = srunner_ntests_failed(sr);
    srunner_free(sr);
    return failed != 0;
}
