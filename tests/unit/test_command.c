/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests of the control socket and their answers, over a real socket pair but without workers; and what gathers
 * errors and counters for them. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/command.h"
#include "daemon/master_state.h"
#include "daemon/status.h"

static struct master m;
static struct generation g;
static struct conf conf;
static struct conf_options again;
static struct worker_slot slots[1];
static struct conf_pool conf_pool = { .name = "main" };
static struct pool pool = { .conf = &conf_pool };
static struct control_client client;
static int far_end;

static void setup(void)
{
    int ends[2];

    memset(&m, 0, sizeof m);
    memset(&g, 0, sizeof g);
    again = (struct conf_options){ .file = "t.conf" };
    list_init(&m.generations);
    control_init(&m.control);
    survey_init(&m.surveys, command_surveyed, &m);
    ck_assert_int_eq(ledger_open(&m.ledger), 0);
    pool.model = model_find("poll");
    pool.workers = 1;
    slots[0] = (struct worker_slot){ .name = "main.0", .pool = &pool, .channel = -1, .ledger = -1 };
    g = (struct generation){ .number = 1, .phase = GENERATION_SERVING, .conf = &conf,
                             .pools = { .v = &pool, .count = 1, .workers = 1 },
                             .crew = { .v = slots, .count = 1, .ledger = &m.ledger } };
    list_init(&g.siblings);
    list_append(&m.generations, &g.siblings);
    m.again = &again;
    m.serving = &g;
    m.phase = MASTER_RUNNING;
    g.logger.level = LOG_INFO;
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    client = (struct control_client){ .state = CONTROL_READING, .fd = ends[0], .uid = geteuid(), .id = 1 };
    m.control.v[0] = client;
    far_end = ends[1];
}

static void teardown(void)
{
    close(far_end);
    control_close(&m.control);
    ledger_close(&m.ledger);
    survey_close(&m.surveys);
}

/* What comes back at once; NULL: nothing does. */
static json_t *answer_to(const char *line, size_t n)
{
    char text[65536];
    ssize_t got;
    json_t *answer;

    command_obey(&m, &m.control.v[0], (struct span){ line, n });
    got = recv(far_end, text, sizeof text, 0);
    if (got <= 0)
        return NULL;
    ck_assert_int_eq(text[got - 1], '\n');
    ck_assert_ptr_null(memchr(text, '\n', (size_t)got - 1));
    answer = json_loadb(text, (size_t)got, 0, NULL);
    ck_assert(json_is_object(answer));
    return answer;
}

static void refused_with(const char *line, const char *reason)
{
    json_t *answer = answer_to(line, strlen(line));

    ck_assert_ptr_nonnull(answer);
    ck_assert(json_is_false(json_object_get(answer, "ok")));
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(answer, "errors"), 0)), reason);
    json_decref(answer);
}

START_TEST(command_refuses_what_is_no_object)
{
    static const struct { const char *line; size_t n; } wrong[] = {
        { "", 0 }, { "status", 6 }, { "[]", 2 }, { "7", 1 }, { "null", 4 }, { "{\"a\":1,\"a\":2}", 13 },
        { "{", 1 }, { "\0\0\0", 3 }, { "\xff\xfe", 2 }, { "{\"command\":\"sta\xff\"}", 18 },
        { "{\"command\":\"status\"} x", 22 }, { "{\"command\":1e99999}", 19 }, { "{\"command\":\"a\\u0000b\"}", 22 }
    };
    json_t *answer = answer_to(wrong[_i].line, wrong[_i].n);

    ck_assert_ptr_nonnull(answer);
    ck_assert(json_is_false(json_object_get(answer, "ok")));
    ck_assert_uint_eq(json_array_size(json_object_get(answer, "errors")), 1);
    json_decref(answer);
}
END_TEST

START_TEST(command_survives_a_deep_request)
{
    char deep[1000];
    json_t *answer;

    memset(deep, '[', sizeof deep);
    answer = answer_to(deep, sizeof deep);
    ck_assert(json_is_false(json_object_get(answer, "ok")));
    json_decref(answer);
}
END_TEST

START_TEST(command_must_be_known)
{
    refused_with("{\"command\":\"sing\"}", "there is no such command");
}
END_TEST

START_TEST(command_must_be_there)
{
    refused_with("{\"command\":7}", "the request has no \"command\"");
}
END_TEST

static const struct { const char *line, *reason; } arguments[] = {
    { "{\"command\":\"drain\"}", "\"worker\" must be the name of a worker, such as \"main.0\"" },
    { "{\"command\":\"drain\",\"worker\":3}", "\"worker\" must be the name of a worker, such as \"main.0\"" },
    { "{\"command\":\"drain\",\"worker\":\"x\"}", "there is no worker \"x\"" },
    { "{\"command\":\"drain\",\"worker\":\"main.0\"}", "worker main.0 is not ready: there is nothing to drain" },
    { "{\"command\":\"log-level\",\"level\":\"loud\"}", "\"level\" must be error, warn, notice, info or debug" },
    { "{\"command\":\"log-level\"}", "\"level\" must be error, warn, notice, info or debug" },
    { "{\"command\":\"connections\",\"sort\":\"x\"}", "\"sort\" must be age, received, sent or bytes" },
    { "{\"command\":\"connections\",\"limit\":0}", "\"limit\" must be a number from 1 to 10000" },
    { "{\"command\":\"connections\",\"limit\":10001}", "\"limit\" must be a number from 1 to 10000" },
    { "{\"command\":\"connections\",\"limit\":\"5\"}", "\"limit\" must be a number from 1 to 10000" },
};

START_TEST(command_checks_its_arguments)
{
    refused_with(arguments[_i].line, arguments[_i].reason);
}
END_TEST

static const char *const changing[] = { "reload", "drain", "log-level", "reopen", "stop" };

START_TEST(command_that_changes_something_is_for_root_and_the_daemons_user)
{
    char line[64], reason[128];

    m.control.v[0].uid = 12345;
    snprintf(line, sizeof line, "{\"command\":\"%s\"}", changing[_i]);
    snprintf(reason, sizeof reason, "%s: only root and the user that iomuxd runs as may do this", changing[_i]);
    refused_with(line, reason);
}
END_TEST

static const char *const looking[] = { "status", "connections", "models", "version" };

START_TEST(command_that_looks_is_for_everybody_who_came_so_far)
{
    char line[64];
    json_t *answer;

    m.control.v[0].uid = 12345;
    snprintf(line, sizeof line, "{\"command\":\"%s\"}", looking[_i]);
    answer = answer_to(line, strlen(line));
    ck_assert_ptr_nonnull(answer);
    ck_assert(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
}
END_TEST

START_TEST(command_reload_waits_for_the_attempt_behind_the_one_under_way)
{
    static const char line[] = "{\"command\":\"reload\"}";
    char text[4096];
    ssize_t n;

    m.attempts = 4;
    ck_assert_ptr_null(answer_to(line, sizeof line - 1));
    ck_assert(m.reload_wanted);
    ck_assert_int_eq(m.control.v[0].state, CONTROL_WAITING);
    m.last = (struct reload_result){ .attempt = 4, .ok = true };
    control_reloaded(&m, 4);
    ck_assert_int_eq(recv(far_end, text, sizeof text, 0), -1);
    m.last = (struct reload_result){ .attempt = 5, .errors = strdup("first\nsecond\n") };
    control_reloaded(&m, 5);
    n = recv(far_end, text, sizeof text - 1, 0);
    ck_assert_int_gt(n, 0);
    text[n] = '\0';
    ck_assert_str_eq(text, "{\"ok\":false,\"took_ms\":0,\"errors\":[\"first\",\"second\"]}\n");
    reload_result_free(&m.last);
}
END_TEST

START_TEST(command_reload_is_refused_while_stopping)
{
    m.phase = MASTER_STOPPING;
    refused_with("{\"command\":\"reload\"}", "the daemon is stopping");
}
END_TEST

START_TEST(command_log_level_rules_at_once)
{
    static const char line[] = "{\"command\":\"log-level\",\"level\":\"debug\"}";
    json_t *answer = answer_to(line, sizeof line - 1);

    ck_assert(json_is_true(json_object_get(answer, "ok")));
    ck_assert(log_wants(LOG_DEBUG));
    ck_assert_int_eq(g.logger.level, LOG_DEBUG);
    json_decref(answer);
}
END_TEST

START_TEST(status_shows_workers_and_totals)
{
    json_t *s = status_whole(&m), *worker = json_array_get(json_object_get(s, "workers"), 0);

    ck_assert_str_eq(json_string_value(json_object_get(worker, "worker")), "main.0");
    ck_assert_str_eq(json_string_value(json_object_get(worker, "state")), "down");
    ck_assert_str_eq(json_string_value(json_object_get(s, "configuration")), "t.conf");
    ck_assert(json_is_null(json_object_get(s, "reload")));
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(s, "totals"), "accepted")), 0);
    json_decref(s);
}
END_TEST

/* ---- surveys ---- */

START_TEST(survey_brings_what_a_worker_writes_and_believes_nothing_else)
{
    struct survey *s = survey_new(&m.surveys, 2, CENSUS_BY_SENT, 3);
    struct survey_part part;
    struct census_row row = { .age_s = 1 }, back[3];
    unsigned count;

    ck_assert_ptr_nonnull(s);
    ck_assert_int_eq(survey_open(&part, s->fd, 2), -1);
    ck_assert_int_eq(survey_open(&part, s->fd, 1), 0);
    memset(row.service, 'x', sizeof row.service);
    for (row.sent = 0; row.sent < 5; row.sent++)
        census_add(&part.census, &row);
    ck_assert_uint_eq(survey_write(&part), s->id);
    ck_assert_uint_eq(survey_rows(s, 1, back, &count), 5);
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(strlen(back[0].service), CENSUS_NAME_SIZE - 1);
    ck_assert_uint_eq(survey_rows(s, 0, back, &count), 0);
    ck_assert_uint_eq(count, 0);
    ck_assert_int_eq(ftruncate(s->fd, 0), -1);
    survey_cancel(s);
}
END_TEST

START_TEST(survey_is_bounded_and_ends_in_time)
{
    struct survey *s[SURVEYS_MAX];

    for (unsigned i = 0; i < SURVEYS_MAX; i++) {
        s[i] = survey_new(&m.surveys, 1, CENSUS_BY_AGE, 1);
        ck_assert_ptr_nonnull(s[i]);
        s[i]->waiting = 1;
    }
    ck_assert_ptr_null(survey_new(&m.surveys, 1, CENSUS_BY_AGE, 1));
    ck_assert_int_eq(errno, EBUSY);
    ck_assert_uint_le(survey_due_ms(&m.surveys), clock_monotonic_ms() + SURVEY_MS);
    survey_expire(&m.surveys, clock_monotonic_ms() + SURVEY_MS + 1);
    ck_assert_uint_eq(survey_due_ms(&m.surveys), UINT64_MAX);
}
END_TEST

/* ---- reports and ledgers ---- */

START_TEST(report_keeps_lines_until_it_is_full)
{
    struct report *r = report_new();
    struct span line;
    size_t at = 0, n = 0;
    char big[1000];

    report_add_lines(r, "one\n\ntwo\nthree");
    ck_assert(report_next(r, &at, &line));
    ck_assert(span_equal(line, span_of("one")));
    ck_assert(report_next(r, &at, &line) && span_equal(line, span_of("two")));
    ck_assert(report_next(r, &at, &line) && span_equal(line, span_of("three")));
    ck_assert(!report_next(r, &at, &line));
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 100; i++)
        report_add(r, (struct span){ big, sizeof big });
    ck_assert(report_is_cut(r));
    for (at = 0; report_next(r, &at, &line); n++)
        ck_assert_uint_le(line.n, sizeof big);
    ck_assert_uint_eq(n, 3 + (REPORT_SIZE - 14) / (sizeof big + 1));
    report_free(r);
}
END_TEST

static int take_for(const char *worker, const char *pool_name, const char *model)
{
    struct ledger_owner who = { .generation = 1 };

    snprintf(who.worker, sizeof who.worker, "%s", worker);
    snprintf(who.pool, sizeof who.pool, "%s", pool_name);
    snprintf(who.model, sizeof who.model, "%s", model);
    return ledger_take(&m.ledger, &who);
}

static void count_in(struct metric_counts *total, uint64_t requests)
{
    metric_publish(total, &(struct metric_counts){ .requests = requests }, true);
}

START_TEST(ledger_slots_count_on_for_the_next_worker_of_the_name)
{
    struct metric_slot base, sum;
    int one = take_for("main.0", "main", "epoll"), two = take_for("main.1", "main", "epoll");

    ck_assert_int_ne(one, two);
    count_in(&m.ledger.slots[one].total, 5);
    m.ledger.slots[one].active = 7;
    ledger_put_back(&m.ledger, one);
    ck_assert_int_ne(take_for("main.0", "main", "poll"), one);
    ck_assert_int_eq(take_for("main.0", "main", "epoll"), one);
    ledger_read(&m.ledger, one, &base);
    count_in(&m.ledger.slots[one].total, 3);
    ledger_sum(&m.ledger, &sum);
    ck_assert_uint_eq(sum.total.requests, 8);
    ck_assert_uint_eq(sum.active, 0);
    ck_assert_uint_eq(ledger_since(&m.ledger, one, &base).total.requests, 3);
}
END_TEST

static uint64_t requests_of(const char *worker, const char *pool_name, const char *model, const char *service)
{
    static struct ledger_figures f;

    ledger_gather(&m.ledger, &(struct ledger_query){ worker, pool_name, model, service, -1 }, &f);
    ck_assert_uint_eq(histogram_count(&f.times.request), f.counts.requests > 0 ? 1 : 0);
    return f.counts.requests;
}

START_TEST(ledger_sums_by_worker_pool_model_and_service)
{
    int one = take_for("main.0", "main", "epoll"), two = take_for("trial.0", "trial", "poll");
    struct metric_part *web, *mail;
    char service[LEDGER_NAME_SIZE];

    ledger_serve(&m.ledger, one, "web");
    ledger_serve(&m.ledger, one, "web");
    ledger_serve(&m.ledger, two, "mail");
    ck_assert_ptr_null(ledger_part(&m.ledger, two, "web"));
    web = ledger_part(&m.ledger, one, "web");
    mail = ledger_part(&m.ledger, two, "mail");
    ck_assert_ptr_nonnull(web);
    ck_assert_ptr_nonnull(mail);
    ck_assert(!ledger_service(&m.ledger, 2, service));
    count_in(&web->total, 3);
    metric_time(&web->times.request, 50, 1, true);
    ck_assert_uint_eq(requests_of(NULL, NULL, NULL, NULL), 3);
    ck_assert_uint_eq(requests_of("main.0", NULL, NULL, NULL), 3);
    ck_assert_uint_eq(requests_of(NULL, "main", "epoll", NULL), 3);
    ck_assert_uint_eq(requests_of(NULL, NULL, NULL, "web"), 3);
    ck_assert_uint_eq(requests_of(NULL, "trial", NULL, NULL), 0);
    ck_assert_uint_eq(requests_of(NULL, "main", "poll", NULL), 0);
    ck_assert_uint_eq(requests_of(NULL, NULL, NULL, "mail"), 0);
}
END_TEST

/* Its connections have ended with it: nothing of it is open, idle or waiting. */
START_TEST(ledger_settles_what_a_dead_worker_had)
{
    int one = take_for("main.0", "main", "epoll");
    struct metric_counts c = { .accepted = 5, .closed = 2, .rested = 2, .bytes_queued = 9 };
    struct metric_slot sum;

    ledger_serve(&m.ledger, one, "web");
    metric_publish(&ledger_part(&m.ledger, one, "web")->total, &c, true);
    ledger_put_back(&m.ledger, one);
    ledger_sum(&m.ledger, &sum);
    ck_assert_uint_eq(sum.total.closed, 5);
    ck_assert_uint_eq(metric_idle(&sum.total) + metric_waiting_bytes(&sum.total), 0);
}
END_TEST

START_TEST(ledger_ends_somewhere)
{
    for (unsigned i = 0; i < LEDGER_ROOM; i++)
        ck_assert_int_eq(take_for("x", "main", "epoll"), (int)i);
    ck_assert_int_eq(take_for("x", "main", "epoll"), -1);
    ledger_put_back(&m.ledger, 77);
    ck_assert_int_eq(take_for("y", "main", "epoll"), 77);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("command");
    TCase *all = tcase_create("all");
    SRunner *runner = srunner_create(suite);
    int failed;

    tcase_add_checked_fixture(all, setup, teardown);
    tcase_add_loop_test(all, command_refuses_what_is_no_object, 0, 13);
    tcase_add_test(all, command_survives_a_deep_request);
    tcase_add_test(all, command_must_be_known);
    tcase_add_test(all, command_must_be_there);
    tcase_add_loop_test(all, command_checks_its_arguments, 0, sizeof arguments / sizeof *arguments);
    tcase_add_loop_test(all, command_that_changes_something_is_for_root_and_the_daemons_user, 0,
                        sizeof changing / sizeof *changing);
    tcase_add_loop_test(all, command_that_looks_is_for_everybody_who_came_so_far, 0,
                        sizeof looking / sizeof *looking);
    tcase_add_test(all, command_reload_waits_for_the_attempt_behind_the_one_under_way);
    tcase_add_test(all, command_reload_is_refused_while_stopping);
    tcase_add_test(all, command_log_level_rules_at_once);
    tcase_add_test(all, status_shows_workers_and_totals);
    tcase_add_test(all, survey_brings_what_a_worker_writes_and_believes_nothing_else);
    tcase_add_test(all, survey_is_bounded_and_ends_in_time);
    tcase_add_test(all, report_keeps_lines_until_it_is_full);
    tcase_add_test(all, ledger_slots_count_on_for_the_next_worker_of_the_name);
    tcase_add_test(all, ledger_sums_by_worker_pool_model_and_service);
    tcase_add_test(all, ledger_settles_what_a_dead_worker_had);
    tcase_add_test(all, ledger_ends_somewhere);
    suite_add_tcase(suite, all);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
