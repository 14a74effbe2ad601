/* SPDX-License-Identifier: BSD-2-Clause */
/* The settings of a route that say how files are found and shown: alias, try, autoindex, precompressed; and error
 * pages. */
#include "test_conf.h"

#include <unistd.h>

#define SITE(more) "services = ( { name = \"w\"; protocol = \"http\"; listen = \"0\"; routes = (\n" \
                   "{ path = \"/\"; " more "} ); } );\n"
#define ROOT(more) SITE("root = \"/\"; " more)

/* Reads, prints, and reads what was printed; both must print the same. */
static struct reading read_twice(const char *text)
{
    struct reading r = accepted(text, NULL);
    char *first = printed(r.conf), *second;
    struct reading again = accepted(first, NULL);

    second = printed(again.conf);
    ck_assert_str_eq(first, second);
    reading_end(&r);
    free(first);
    free(second);
    return again;
}

static const struct conf_route *route_of(const struct reading *r)
{
    return &r->conf->services[0].routes[0];
}

START_TEST(files_have_defaults)
{
    struct reading r = read_twice(ROOT(""));

    ck_assert_uint_eq(route_of(&r)->try_count, 0);
    ck_assert_uint_eq(route_of(&r)->precompressed_count, 0);
    ck_assert_int_eq(route_of(&r)->autoindex, CONF_AUTOINDEX_OFF);
    ck_assert_uint_eq(route_of(&r)->error_pages.count, 0);
    reading_end(&r);
}
END_TEST

START_TEST(alias_is_a_folder_as_root_is)
{
    struct reading r = read_twice(SITE("alias = \"/usr\"; index = \"a\"; dotfiles = true; direct_io = \"on\"; "));

    ck_assert_int_eq(route_of(&r)->kind, CONF_ROUTE_ALIAS);
    ck_assert_str_eq(route_of(&r)->alias, "/usr");
    ck_assert_ptr_null(route_of(&r)->root);
    ck_assert(route_of(&r)->dotfiles);
    reading_end(&r);
    refused(SITE("alias = \"/nonexistent\"; "),
            "t.conf:2: services.[0].routes.[0].alias: \"/nonexistent\": No such file or directory\n");
    refused(ROOT("alias = \"/\"; "),
            "t.conf:2: services.[0].routes.[0].alias: stands beside root: a route has exactly one of root, alias,"
            " respond, redirect and status\n");
}
END_TEST

START_TEST(try_is_a_list_of_paths_and_a_status)
{
    struct reading r = read_twice(ROOT("try = [ \"$path\", \"$path.html\", \"/x$path/\", \"/\", \"=410\" ]; "));

    ck_assert_uint_eq(route_of(&r)->try_count, 5);
    ck_assert_str_eq(route_of(&r)->try[2], "/x$path/");
    ck_assert_str_eq(route_of(&r)->try[4], "=410");
    reading_end(&r);
    r = read_twice(ROOT("try = \"/index.html\"; "));
    ck_assert_uint_eq(route_of(&r)->try_count, 1);
    reading_end(&r);
}
END_TEST

static const char *const bad_tries[] = {
    "index.html", "/a/../b", "/./a", "/a//b", "/a/..", "../a", "$uri", "/a$", "$path$path", "=200", "=4040", "=40", "=",
    "=x04", "a$path", "~",
};

START_TEST(try_refuses_what_is_no_path)
{
    char text[512], want[64];
    struct reading r;

    snprintf(text, sizeof(text), ROOT("try = [ \"$path\", \"%s\" ]; "), bad_tries[_i]);
    snprintf(want, sizeof(want), "t.conf:2: services.[0].routes.[0].try.[1]: \"%s\" must be ", bad_tries[_i]);
    r = reading_with(text, strlen(text), NULL, NULL);
    ck_assert_ptr_null(r.conf);
    ck_assert_msg(strncmp(r.said, want, strlen(want)) == 0, "%s", r.said);
    reading_end(&r);
}
END_TEST

START_TEST(try_refuses_what_stands_behind_a_status)
{
    refused(ROOT("try = [ \"=404\", \"/a\" ]; "),
            "t.conf:2: services.[0].routes.[0].try.[0]: \"=404\" ends the list: nothing behind it is tried\n");
    refused(ROOT("try = 5; "), "t.conf:2: services.[0].routes.[0].try: must be a list of paths such as"
                               " [ \"$path\", \"/index.html\" ], not 5\n");
    refused(SITE("status = 404; try = \"/a\"; alias = \"/\"; "),
            "t.conf:2: services.[0].routes.[0].status: stands beside alias: a route has exactly one of root, alias,"
            " respond, redirect and status\n");
    refused(SITE("status = 404; try = \"/a\"; precompressed = [ \"br\" ]; autoindex = true; "),
            "t.conf:2: services.[0].routes.[0].try: means nothing here: it is for a route with root or alias\n"
            "t.conf:2: services.[0].routes.[0].precompressed: means nothing here: it is for a route with root or"
            " alias\n"
            "t.conf:2: services.[0].routes.[0].autoindex: means nothing here: it is for a route with root or alias\n");
}
END_TEST

static const struct { const char *text; enum conf_autoindex value; } autoindexes[] = {
    { ROOT("autoindex = false; "), CONF_AUTOINDEX_OFF }, { ROOT("autoindex = true; "), CONF_AUTOINDEX_ON },
    { ROOT("autoindex = \"html\"; "), CONF_AUTOINDEX_HTML }, { ROOT("autoindex = \"json\"; "), CONF_AUTOINDEX_JSON },
};

START_TEST(autoindex_is_a_boolean_or_a_form)
{
    struct reading r = read_twice(autoindexes[_i].text);

    ck_assert_int_eq(route_of(&r)->autoindex, autoindexes[_i].value);
    reading_end(&r);
    refused(ROOT("autoindex = \"jsn\"; "), "t.conf:2: services.[0].routes.[0].autoindex: must be true, false, \"html\""
                                           " or \"json\", not \"jsn\"; did you mean 'json'?\n");
    refused(ROOT("autoindex = 1; "), "t.conf:2: services.[0].routes.[0].autoindex: must be true, false, \"html\" or"
                                     " \"json\", not 1\n");
}
END_TEST

START_TEST(precompressed_is_a_list_of_codings_each_once)
{
    struct reading r = read_twice(ROOT("precompressed = [ \"gzip\", \"br\" ]; "));

    ck_assert_uint_eq(route_of(&r)->precompressed_count, 2);
    ck_assert_int_eq(route_of(&r)->precompressed[0], CONF_CODING_GZIP);
    ck_assert_int_eq(route_of(&r)->precompressed[1], CONF_CODING_BR);
    reading_end(&r);
    refused(ROOT("precompressed = ( \"br\", \"gzp\", \"br\", 5 ); "),
            "t.conf:2: services.[0].routes.[0].precompressed.[1]: must be \"br\", \"zstd\" or \"gzip\", not \"gzp\";"
            " did you mean 'gzip'?\n"
            "t.conf:2: services.[0].routes.[0].precompressed.[2]: \"br\" stands there twice\n"
            "t.conf:2: services.[0].routes.[0].precompressed.[3]: must be a string, not 5\n");
    refused(ROOT("precompressed = true; "), "t.conf:2: services.[0].routes.[0].precompressed: must be a list such as"
                                            " [ \"br\", \"zstd\", \"gzip\" ], not true\n");
}
END_TEST

START_TEST(error_pages_are_files_for_statuses)
{
    struct reading r = read_twice(
        "services = ( { name = \"w\"; protocol = \"http\"; listen = \"0\";\n"
        "error_pages = ( { status = [ 500, 502, 503 ]; file = \"/etc/passwd\"; } );\n"
        "routes = ( { path = \"/\"; root = \"/\"; error_pages = ( { status = 404; file = \"/etc/hostname\"; },\n"
        "{ status = ( 403 ); file = \"/etc/passwd\"; } ); } ); } );\n");
    const struct conf_error_pages *all = &r.conf->services[0].error_pages, *own = &route_of(&r)->error_pages;

    ck_assert_uint_eq(all->count, 1);
    ck_assert_uint_eq(all->v[0].status_count, 3);
    ck_assert_uint_eq(all->v[0].statuses[2], 503);
    ck_assert_str_eq(all->v[0].file, "/etc/passwd");
    ck_assert_uint_eq(own->count, 2);
    ck_assert_uint_eq(own->v[0].statuses[0], 404);
    ck_assert_uint_eq(own->v[1].statuses[0], 403);
    reading_end(&r);
}
END_TEST

START_TEST(error_pages_refuse_what_cannot_be_served)
{
    char name[] = "/tmp/test_conf_files.XXXXXX", text[512], want[512];
    int fd = mkstemp(name);

    refused(ROOT("error_pages = (\n"
                 "{ status = 200; file = \"/nonexistent\"; },\n"
                 "{ status = [ 404, 600 ]; },\n"
                 "{ status = [ ]; file = \"/\"; },\n"
                 "{ file = \"/etc/passwd\"; status = [ 503, 404 ]; fille = 1; },\n"
                 "5 ); "),
            "t.conf:3: services.[0].routes.[0].error_pages.[0].status: must be a status from 400 to 599, not 200\n"
            "t.conf:3: services.[0].routes.[0].error_pages.[0].file: \"/nonexistent\": No such file or directory\n"
            "t.conf:4: services.[0].routes.[0].error_pages.[1].file: is missing; such as file ="
            " \"/srv/errors/404.html\"\n"
            "t.conf:4: services.[0].routes.[0].error_pages.[1].status.[1]: must be a status from 400 to 599, not 600\n"
            "t.conf:5: services.[0].routes.[0].error_pages.[2].status: must be a status such as 404, or from 1 to 200"
            " of them [ 500, 502 ], not an array [ ]\n"
            "t.conf:5: services.[0].routes.[0].error_pages.[2].file: \"/\" is not a regular file\n"
            "t.conf:6: services.[0].routes.[0].error_pages.[3].status: 404 is taken: the page in line 4 is for it"
            " too\n"
            "t.conf:6: services.[0].routes.[0].error_pages.[3].fille: is no known setting; did you mean 'file'?\n"
            "t.conf:7: services.[0].routes.[0].error_pages.[4]: must be a page { status = 404; file ="
            " \"/srv/errors/404.html\"; }, not 5\n");
    ck_assert_int_eq(ftruncate(fd, CONF_ERROR_PAGE_MAX), 0);
    snprintf(text, sizeof(text), ROOT("error_pages = ( { status = 404; file = \"%s\"; } ); "), name);
    struct reading r = accepted(text, NULL);
    reading_end(&r);
    ck_assert_int_eq(ftruncate(fd, CONF_ERROR_PAGE_MAX + 1), 0);
    snprintf(want, sizeof(want), "t.conf:2: services.[0].routes.[0].error_pages.[0].file: \"%s\" is too large: an error"
                                 " page has at most 1048576 bytes\n", name);
    refused(text, want);
    close(fd);
    unlink(name);
}
END_TEST

START_TEST(error_pages_are_for_http)
{
    refused("services = ( { name = \"e\"; protocol = \"echo\"; listen = \"0\"; error_pages = ( ); } );\n",
            "t.conf:1: services.[0].error_pages: means nothing here: it is for protocol \"http\"\n");
    refused(ROOT("error_pages = 5; "), "t.conf:2: services.[0].routes.[0].error_pages: must be a list of pages"
                                       " ( { status = 404; file = \"/srv/errors/404.html\"; } ), not 5\n");
}
END_TEST

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

int main(void)
{
    Suite *s = suite_create("conf_files");
    TCase *t = tcase_create("conf_files");
    tcase_add_test(t, files_have_defaults);
    tcase_add_test(t, alias_is_a_folder_as_root_is);
    tcase_add_test(t, try_is_a_list_of_paths_and_a_status);
    tcase_add_loop_test(t, try_refuses_what_is_no_path, 0, COUNT(bad_tries));
    tcase_add_test(t, try_refuses_what_stands_behind_a_status);
    tcase_add_loop_test(t, autoindex_is_a_boolean_or_a_form, 0, COUNT(autoindexes));
    tcase_add_test(t, precompressed_is_a_list_of_codings_each_once);
    tcase_add_test(t, error_pages_are_files_for_statuses);
    tcase_add_test(t, error_pages_refuse_what_cannot_be_served);
    tcase_add_test(t, error_pages_are_for_http);
    suite_add_tcase(s, t);
    return suite_run(s);
}
