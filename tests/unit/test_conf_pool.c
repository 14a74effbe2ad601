/* SPDX-License-Identifier: BSD-2-Clause */
/* Pools: what they have of their own and from outside, what is wrong with them, the one that nobody wrote. */
#include "test_conf.h"

#define THREE "services = ( { name = \"web\"; protocol = \"echo\"; listen = \"7\"; },\n" \
              "{ name = \"hello\"; protocol = \"greet\"; listen = \"8\"; },\n" \
              "{ name = \"clock\"; protocol = \"time\"; listen = \"9\"; } );\n"

#define OVERRIDES(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* The names of a pool's services, in their order. */
static void serves(const struct conf_pool *p, const char *names)
{
    char text[128] = "";

    for (unsigned i = 0; i < p->service_count; i++) {
        size_t n = strlen(text);

        snprintf(text + n, sizeof(text) - n, "%s%s", i > 0 ? " " : "", p->services[i]->name);
    }
    ck_assert_str_eq(text, names);
}

START_TEST(pool_main_has_everything_when_none_is_written)
{
    struct reading r = accepted("io_model = \"select\"; workers = 3;\n" THREE, NULL);
    const struct conf_pool *p = r.conf->pools;

    ck_assert_uint_eq(r.conf->pool_count, 1);
    ck_assert(r.conf->pool_is_implicit);
    ck_assert_str_eq(p->name, "main");
    ck_assert_str_eq(p->io_model, "select");
    ck_assert_uint_eq(p->workers, 3);
    serves(p, "web hello clock");
    reading_end(&r);
}
END_TEST

START_TEST(pool_main_follows_overrides)
{
    struct reading r = accepted(THREE, OVERRIDES("io_model=poll", "workers=7"));

    ck_assert_str_eq(r.conf->pools[0].io_model, "poll");
    ck_assert_uint_eq(r.conf->pools[0].workers, 7);
    reading_end(&r);
}
END_TEST

START_TEST(pool_reads_what_is_written)
{
    struct reading r = accepted(
        THREE "pools = ( { name = \"main\"; io_model = \"epoll\"; workers = 2;"
        " services = [ \"hello\", \"web\" ]; },\n"
        "{ name = \"trial_2-b\"; io_model = \"io_uring\"; workers = \"auto\";"
        " services = \"clock\"; } );\n", NULL);
    const struct conf_pool *p = r.conf->pools;

    ck_assert_uint_eq(r.conf->pool_count, 2);
    ck_assert(!r.conf->pool_is_implicit);
    ck_assert_str_eq(p[0].name, "main");
    ck_assert_str_eq(p[0].io_model, "epoll");
    ck_assert_uint_eq(p[0].workers, 2);
    ck_assert_uint_eq(p[0].place.line, 4);
    serves(&p[0], "hello web");
    ck_assert_str_eq(p[1].name, "trial_2-b");
    ck_assert_str_eq(p[1].io_model, "io_uring");
    ck_assert_uint_eq(p[1].workers, 0);
    ck_assert_str_eq(p[1].io_model_place.file, "t.conf");
    ck_assert_uint_eq(p[1].io_model_place.line, 5);
    serves(&p[1], "clock");
    ck_assert(conf_pool_serves(&p[0], &r.conf->services[1]));
    ck_assert(!conf_pool_serves(&p[0], &r.conf->services[2]));
    reading_end(&r);
}
END_TEST

START_TEST(pool_has_from_outside_what_it_does_not_say)
{
    struct reading r = accepted("pools = ( { name = \"a\"; },\n"
                                "{ name = \"b\"; workers = 1; io_model = \"aio\"; } );\n"
                                THREE "workers = 5; io_model = \"poll\";\n", NULL);
    const struct conf_pool *p = r.conf->pools;

    ck_assert_str_eq(p[0].io_model, "poll");
    ck_assert_ptr_null(p[0].io_model_place.file);
    ck_assert_uint_eq(p[0].workers, 5);
    serves(&p[0], "web hello clock");
    ck_assert_str_eq(p[1].io_model, "aio");
    ck_assert_uint_eq(p[1].workers, 1);
    serves(&p[1], "web hello clock");
    reading_end(&r);
}
END_TEST

START_TEST(pool_may_be_overridden_by_number_and_by_name)
{
    struct reading r = accepted(THREE "pools = ( { name = \"main\"; },\n"
                                "{ name = \"trial\"; workers = 1; } );\n",
                                OVERRIDES("pools.[0].io_model=select", "pools.trial.workers=4",
                                          "pools.trial.services=[\"web\"]"));

    ck_assert_str_eq(r.conf->pools[0].io_model, "select");
    ck_assert_str_eq(r.conf->pools[0].io_model_place.file, "-o pools.[0].io_model=select");
    ck_assert_uint_eq(r.conf->pools[1].workers, 4);
    serves(&r.conf->pools[1], "web");
    reading_end(&r);
}
END_TEST

START_TEST(pool_refuses_what_is_no_pool)
{
    refused(THREE "pools = 5;\n",
            "t.conf:4: pools: must be a list of pools ( { name = \"main\"; ... } ), not 5\n");
    refused(THREE "pools : { name = \"main\"; };\n",
            "t.conf:4: pools: must be a list of pools ( { name = \"main\"; ... } ), not a group { }\n");
    refused(THREE "pools = ( );\n", "t.conf:4: pools: must be from 1 to 100 pools, not 0\n");
    refused(THREE "pools = ( \"main\" );\n",
            "t.conf:4: pools.[0]: must be a pool { name = \"main\"; ... }, not \"main\"\n");
    refused_with(THREE, OVERRIDES("pools.trial.workers=2"),
                 "-o pools.trial.workers=2: pools: must be a list of pools ( { name = \"main\"; ... } ), not"
                 " a group { }\n");
}
END_TEST

START_TEST(pool_names_everything_that_is_wrong_at_once)
{
    refused(THREE "pools = (\n"
            "  { name = \"main\"; workers = 0; servces = \"web\"; services = [ \"wbe\", \"hello\" ]; },\n"
            "  { name = \"main\"; io_model = 3; services = [ \"web\", \"web\" ]; },\n"
            "  { name = \"a b\"; services = [ ]; },\n"
            "  { workers = 1025; services = ( 5 ); },\n"
            "  { name = \"a23456789012345678901234567890123\"; } );\n",
            "t.conf:5: pools.[0].workers: must be \"auto\" or a whole number from 1 to 1024, not 0\n"
            "t.conf:5: pools.[0].servces: is no known setting; did you mean 'services'?\n"
            "t.conf:5: pools.[0].services.[0]: must be the name of a service, not \"wbe\"; did you mean"
            " 'web'?\n"
            "t.conf:6: pools.[1].name: \"main\" is taken: each pool has a name of its own\n"
            "t.conf:6: pools.[1].io_model: must be a string, not 3\n"
            "t.conf:6: pools.[1].services.[1]: \"web\" is here twice\n"
            "t.conf:7: pools.[2].name: \"a b\" must be made of letters, digits, '-' and '_', at most"
            " 32 of them\n"
            "t.conf:7: pools.[2].services: needs one service at least\n"
            "t.conf:8: pools.[3].name: is missing; each pool has a name of its own, for the log\n"
            "t.conf:8: pools.[3].workers: must be \"auto\" or a whole number from 1 to 1024, not 1025\n"
            "t.conf:8: pools.[3].services.[0]: must be a string, not 5\n"
            "t.conf:9: pools.[4].name: \"a23456789012345678901234567890123\" must be made of letters, digits,"
            " '-' and '_', at most 32 of them\n");
}
END_TEST

START_TEST(pool_must_be_there_for_every_service)
{
    refused(THREE "pools = ( { name = \"a\"; services = \"hello\"; }, { name = \"b\"; workers = 0;\n"
            "services = \"hello\"; } );\n",
            "t.conf:1: services.[0]: \"web\" is in no pool, so nobody would serve it\n"
            "t.conf:3: services.[2]: \"clock\" is in no pool, so nobody would serve it\n"
            "t.conf:4: pools.[1].workers: must be \"auto\" or a whole number from 1 to 1024, not 0\n");
}
END_TEST

/* What is wrong with the services is said once, there. */
START_TEST(pool_says_nothing_about_services_that_could_not_be_read)
{
    refused("services = ( { name = \"\"; protocol = \"echo\"; listen = \"7\"; } );\n"
            "pools = ( { name = \"a\"; services = [ \"web\", \"x\" ]; } );\n",
            "t.conf:1: services.[0].name: must not be empty\n");
    refused("pools = ( { name = \"a\"; services = \"web\"; } );\n",
            "t.conf:1: services: is missing; iomuxd needs one service at least\n");
    refused("services = ( 5, { name = \"w\"; protocol = \"echo\"; listen = \"7\"; } );\n"
            "pools = ( { name = \"a\"; services = \"web\"; } );\n",
            "t.conf:1: services.[0]: must be a service { name = \"web\"; ... }, not 5\n");
}
END_TEST

static bool only_poll(const char *name, char *why, size_t why_size)
{
    snprintf(why, why_size, "it is no poll");
    return strcmp(name, "poll") == 0;
}

static void judged(const char *text, const char *lines)
{
    struct reading r = reading_with(text, strlen(text), NULL, only_poll);

    ck_assert_str_eq(r.said, lines);
    ck_assert((r.conf == NULL) == (*lines != '\0'));
    reading_end(&r);
}

START_TEST(pool_is_refused_for_a_model_that_cannot_run)
{
    judged("io_model = \"poll\";\n" THREE
           "pools = ( { name = \"a\"; },\n{ name = \"b\"; io_model = \"sigio\"; } );\n",
           "t.conf:6: pools.[1].io_model: \"sigio\" cannot be used: it is no poll\n");
}
END_TEST

START_TEST(pool_needs_the_default_model_only_if_it_names_none)
{
    static const char missing[] = "t.conf:1: io_model: is not set, and the default \"epoll\" cannot be used:"
                                  " it is no poll\n";

    judged(THREE, missing);
    judged(THREE "pools = ( { name = \"a\"; io_model = \"poll\"; }, { name = \"b\"; } );\n", missing);
    judged(THREE "pools = ( { name = \"a\"; io_model = \"poll\"; } );\n", "");
}
END_TEST

/* Printed, read again and printed again. */
static void comes_back(const struct conf *c, const char *part)
{
    char *once = printed(c), *twice;
    struct reading r = accepted(once, NULL);

    ck_assert_ptr_nonnull(strstr(once, part));
    twice = printed(r.conf);
    ck_assert_str_eq(once, twice);
    ck_assert(c->pool_is_implicit == r.conf->pool_is_implicit);
    reading_end(&r);
    free(once);
    free(twice);
}

START_TEST(pool_prints_and_reads_back)
{
    struct reading r = accepted("workers = 2;\n" THREE "pools = ( { name = \"a\"; workers = \"auto\"; },\n"
                                "{ name = \"b\"; io_model = \"select\"; services = \"clock\"; } );\n", NULL);

    comes_back(r.conf, "pools = (\n"
                       "    {\n"
                       "        name = \"a\";\n"
                       "        io_model = \"epoll\";\n"
                       "        workers = \"auto\";\n"
                       "        services = [ \"web\", \"hello\", \"clock\" ];\n"
                       "    },\n"
                       "    {\n"
                       "        name = \"b\";\n"
                       "        io_model = \"select\";\n"
                       "        workers = 2;\n"
                       "        services = [ \"clock\" ];\n"
                       "    }\n"
                       ");\n");
    reading_end(&r);
}
END_TEST

/* ... where the default cannot run, too. */
START_TEST(pool_prints_no_default_model_that_nobody_uses)
{
    struct reading r = accepted(THREE "pools = ( { name = \"a\"; io_model = \"poll\"; } );\n", NULL);
    char *once = printed(r.conf);

    comes_back(r.conf, "# io_model is not set, and each pool has its own\n");
    judged(once, "");
    free(once);
    reading_end(&r);
}
END_TEST

START_TEST(pool_that_nobody_wrote_is_not_printed)
{
    struct reading r = accepted(THREE, NULL);

    comes_back(r.conf, "# pools is not set\n");
    reading_end(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf_pool");
    TCase *tc = tcase_create("pools");

    tcase_add_test(tc, pool_main_has_everything_when_none_is_written);
    tcase_add_test(tc, pool_main_follows_overrides);
    tcase_add_test(tc, pool_reads_what_is_written);
    tcase_add_test(tc, pool_has_from_outside_what_it_does_not_say);
    tcase_add_test(tc, pool_may_be_overridden_by_number_and_by_name);
    tcase_add_test(tc, pool_refuses_what_is_no_pool);
    tcase_add_test(tc, pool_names_everything_that_is_wrong_at_once);
    tcase_add_test(tc, pool_must_be_there_for_every_service);
    tcase_add_test(tc, pool_says_nothing_about_services_that_could_not_be_read);
    tcase_add_test(tc, pool_is_refused_for_a_model_that_cannot_run);
    tcase_add_test(tc, pool_needs_the_default_model_only_if_it_names_none);
    tcase_add_test(tc, pool_prints_and_reads_back);
    tcase_add_test(tc, pool_prints_no_default_model_that_nobody_uses);
    tcase_add_test(tc, pool_that_nobody_wrote_is_not_printed);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
