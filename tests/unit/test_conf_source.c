/* SPDX-License-Identifier: BSD-2-Clause */
/* The text of a configuration: its syntax, the files it may come from, and what they include. */
#include "test_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- a folder of its own for each test ---- */

static char folder[64];

static void folder_make(void)
{
    strcpy(folder, "/tmp/iomuxd-conf-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st;
    (void)kind;
    (void)ftw;
    return remove(path);
}

static void folder_remove(void)
{
    ck_assert_int_eq(chdir("/"), 0);
    nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void file_write(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static struct reading reading_of(const char *file)
{
    struct conf_options options = { .file = file };
    struct reading r = { .conf = NULL };
    FILE *to = open_memstream(&r.said, &r.said_size);

    ck_assert_ptr_nonnull(to);
    r.conf = conf_read(&options, to);
    fclose(to);
    return r;
}

static void file_refused(const char *file, const char *lines)
{
    struct reading r = reading_of(file);

    ck_assert_str_eq(r.said, lines);
    ck_assert_ptr_null(r.conf);
    reading_end(&r);
}

/* ---- syntax ---- */

START_TEST(syntax_complaints_say_what_is_wanted)
{
    static const struct { const char *text, *complaint; } all[] = {
        { "a", "1: syntax error: expected '=' behind the name of a setting before the end of the file" },
        { "a 5;", "1: syntax error at 5: expected '=' behind the name of a setting" },
        { "user \"x\";", "1: syntax error at \"x\": expected '=' behind the name of a setting" },
        { "\n\nuser = x;", "3: syntax error at x: expected a value; text needs quotes" },
        { "a = ;", "1: syntax error at ;: expected a value" },
        { "a = 1;;", "1: syntax error at ;: expected a setting" },
        { "a = 1 2", "1: syntax error at 2: expected ';' or a setting" },
        { "\"a\" = 1", "1: syntax error at \"a\": expected a setting" },
        { "a = { b = 1 )", "1: syntax error at ): expected ';', a setting or '}'" },
        { "a = {\n\n", "3: syntax error: expected a setting or '}' before the end of the file" },
        { "a = ( 1 2 )", "1: syntax error at 2: expected ',' or ')'" },
        { "a = ( 1, )", "1: syntax error at ): expected a value" },
        { "a = [ ( ) ]", "1: syntax error at (: expected a number, a string or a boolean: arrays [ ] hold"
                         " nothing else,"
          " lists ( ) do" },
        { "a = [ 1 )", "1: syntax error at ): expected ',' or ']'" },
        { "}", "1: syntax error at }: expected a setting" },
        { "a = 10s", "1: syntax error: 10s is not a number; text needs quotes" },
        { "a = 127.0.0.1:80", "1: syntax error: 127.0.0.1 is not a number; text needs quotes" },
        { "a = 1.2e", "1: syntax error: 1.2e is not a number; text needs quotes" },
        { "a = -", "1: syntax error: - is not a number" },
        { "a = 0x", "1: syntax error: 0x is not a number" },
        { "a = 99999999999999999999", "1: syntax error: 99999999999999999999 is too large a number" },
        { "a = 0xFFFFFFFFFFFFFFFFF", "1: syntax error: 0xFFFFFFFFFFFFFFFFF is too large a number" },
        { "a = 12x", "1: syntax error: 12x is not a number; text needs quotes" },
        { "a = 11111111111111111111111111111111111111111111111111111111111111111", "1: syntax error:"
          " 1111111111111111111111111111111111111111 is too long for a number" },
        { "a = 1e999", "1: syntax error: 1e999 is too large a number" },
        { "a = \"x\n\n", "1: syntax error: \" begins a string that has no end" },
        { "\na = 1; /* x\n\n", "2: syntax error: /* begins a comment that has no end" },
        { "a = \"x\\x00y\"", "1: syntax error: \\x00 cannot stand in a string" },
        { "a = $", "1: syntax error: $ means nothing here" },
        { "a = \x01", "1: syntax error: \\x01 means nothing here" },
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        char line[300];

        snprintf(line, sizeof(line), "t.conf:%s\n", all[i].complaint);
        refused(all[i].text, line);
    }
    refused("x @include \"y\"", "t.conf:1: syntax error: @ is only allowed in @include \"FILE\", first on"
                                " its line\n");
    refused("@include \"y\"", "t.conf:1: @include is not allowed here\n");
    refused("@include y", "t.conf:1: syntax error: @ needs a file name in quotes: @include \"FILE\"\n");
    refused("@include \"y", "t.conf:1: syntax error: @ names a file without a closing quote\n");
    refused("@includes \"y\"", "t.conf:1: syntax error: @ is only allowed in @include \"FILE\", first on its"
                               " line\n");
}
END_TEST

START_TEST(syntax_takes_all_that_libconfig_takes)
{
    struct reading r = accepted(
        "# comment\n// another\n/* and\na third */ workers : 2, user = \"a\" /* x */ \"b\"\n"
        "timeouts = { idle = +5, header = .5 body = 1. send = 1E1; drain = 0x10 }\r\n"
        "limits : { body_bytes = 5000000000; header_count = 5L requests = 7LL; connections = 0x10L }\f"
        "services = ({name=\"w\" protocol=\"http\" listen=[\"0\"] routes=({path=\"/\" root=\"/\""
        " dotfiles=TRUE})})#end",
        NULL);

    ck_assert_uint_eq(r.conf->workers, 2);
    ck_assert_str_eq(r.conf->user, "ab");
    ck_assert_uint_eq(r.conf->timeouts.idle_ms, 5000);
    ck_assert_uint_eq(r.conf->timeouts.header_ms, 500);
    ck_assert_uint_eq(r.conf->timeouts.drain_ms, 16000);
    ck_assert_uint_eq(r.conf->limits.body_bytes, UINT64_C(5000000000));
    ck_assert_uint_eq(r.conf->limits.requests, 7);
    ck_assert(r.conf->services[0].routes[0].dotfiles);
    reading_end(&r);
}
END_TEST

START_TEST(settings_that_stand_twice_are_named_with_their_path)
{
    refused("workers = 1;\nlog : { level = \"info\";\n level = \"warn\"; };\n" ECHO,
            "t.conf:3: log.level: is set twice, first at line 2\n");
    refused("workers = 1;\n\nworkers = 2;\n" ECHO, "t.conf:3: workers: is set twice, first at line 1\n");
    refused("services = ( { name = \"e\"; protocol = \"echo\"; listen = \"0\"; },\n"
            "{ name = \"f\"; protocol = \"http\"; listen = \"0\"; routes = (\n"
            "  { path = \"/\"; status = 404; },\n"
            "  { path = \"/x\"; respond : {\n"
            "      body = \"a\";\n"
            "      body = \"b\"; }; path = \"/y\"; } ); } );\n",
            "t.conf:6: services.[1].routes.[1].respond.body: is set twice, first at line 5\n"
            "t.conf:6: services.[1].routes.[1].path: is set twice, first at line 4\n");
}
END_TEST

START_TEST(settings_that_stand_twice_hide_nothing_else)
{
    refused("wokers = 1;\n"
            "log : { level = \"dbug\"; };\n"
            "log : { level = \"info\"; level = 5; target = [ 1, true ]; };\n"
            "timeouts : { idle = \"x\"; idle = 5, idle = 6 drain = 0 };\n"
            "services = ( { name = \"e\"; protocol = \"echo\"; listen = \"x\"; name = \"f\" } );\n"
            "services = ( ( { a = 1; a = 2; } ) )\n"
            "services = 5 user = \"\";\n",
            "t.conf:1: wokers: is no known setting; did you mean 'workers'?\n"
            "t.conf:2: log.level: must be \"error\", \"warn\", \"notice\", \"info\" or \"debug\", not"
            " \"dbug\"; did you mean 'debug'?\n"
            "t.conf:3: log: is set twice, first at line 2\n"
            "t.conf:3: log.level: is set twice, first at line 3\n"
            "t.conf:3: log.target.[1]: the elements of an array [ ] must be of one type; a list ( ) takes"
            " any\n"
            "t.conf:4: timeouts.idle: must be a number of seconds from 0.001 to 86400, not \"x\"\n"
            "t.conf:4: timeouts.idle: is set twice, first at line 4\n"
            "t.conf:4: timeouts.idle: is set twice, first at line 4\n"
            "t.conf:4: timeouts.drain: must be a number of seconds from 0.001 to 86400, not 0\n"
            "t.conf:5: services.[0].listen: \"x\": is neither a port from 0 to 65535 nor ADDRESS:PORT nor"
            " unix:/PATH\n"
            "t.conf:5: services.[0].name: is set twice, first at line 5\n"
            "t.conf:6: services: is set twice, first at line 5\n"
            "t.conf:6: services.[0].[0].a: is set twice, first at line 6\n"
            "t.conf:7: services: is set twice, first at line 5\n"
            "t.conf:7: user: must not be empty\n");
}
END_TEST

/* Every form of what may stand around the one that is left out: nothing else may be said. */
START_TEST(settings_that_stand_twice_may_end_in_any_way)
{
    static const char *const all[] = {
        "workers = 1 workers = 2 poll_interval = 0", "workers = 1, workers = 2, poll_interval = 0;",
        "workers = 1; workers = 2; poll_interval = 0;", "workers=1 workers=\"a\"poll_interval=0",
        "workers=1/**/workers=\"a\" /**/ \"b\"/**/poll_interval=0", "workers=1 workers=[]poll_interval=0",
        "workers = 1 workers = { a = 1; } ; poll_interval = 0", "workers:1 workers:({a=(1)},[2])poll_interval=0",
        "workers = 1 workers = 2 # x\n", "workers = 1; workers = 2 //", "workers = 1; workers = \"a\" \"b\"",
        "log : { } workers = 1; workers = 5000000000 log = 1;",
    };

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        char text[300], last[sizeof(text)];
        struct reading r;

        snprintf(text, sizeof(text), ECHO "%s", all[i]);
        r = reading_with(text, strlen(text), NULL, NULL);
        snprintf(last, sizeof(last), "t.conf:2: workers: is set twice, first at line 2\n%s",
                 strstr(text, "log") == NULL ? "" : "t.conf:2: log: is set twice, first at line 2\n");
        ck_assert_str_eq(r.said, last);
        reading_end(&r);
    }
}
END_TEST

START_TEST(settings_that_stand_twice_are_told_before_a_syntax_error)
{
    refused("workers = 1;\nworkers = 2;\nworkers = x;\n",
            "t.conf:2: workers: is set twice, first at line 1\n"
            "t.conf:3: workers: is set twice, first at line 1\n"
            "t.conf:3: syntax error at x: expected a value; text needs quotes\n");
    refused("workers = 1;\nworkers = {\n",
            "t.conf:2: workers: is set twice, first at line 1\n"
            "t.conf:3: syntax error: expected a setting or '}' before the end of the file\n");
}
END_TEST

START_TEST(names_in_other_groups_or_with_other_capitals_stand_once)
{
    struct reading r = accepted("log : { target = \"stderr\"; }; access_log : { target = \"off\"; };\n"
                                "services = ( { name = \"e\"; protocol = \"echo\"; listen = \"0\"; },\n"
                                "  { name = \"f\"; protocol = \"echo\"; listen = \"0\"; } );\n", NULL);

    reading_end(&r);
    refused(ECHO "workers = 2; Workers = 3; worker = 4; workersx = 5;\n",
            "t.conf:2: Workers: is no known setting; did you mean 'workers'?\n"
            "t.conf:2: worker: is no known setting; did you mean 'workers'?\n"
            "t.conf:2: workersx: is no known setting; did you mean 'workers'?\n");
}
END_TEST

START_TEST(arrays_of_several_types_are_refused_with_their_path)
{
    refused("wokers = 1; services = ( { name = \"e\"; protocol = \"echo\"; listen = [ \"0\",\n"
            "8080,\n\"x\", true ]; } );\nuser = [ 1, 5000000000 ];\ngroup = [ 1, 2 ];\n",
            "t.conf:1: wokers: is no known setting; did you mean 'workers'?\n"
            "t.conf:2: services.[0].listen.[1]: the elements of an array [ ] must be of one type; a list ( )"
            " takes any\n"
            "t.conf:3: services.[0].listen.[2]: \"x\": is neither a port from 0 to 65535 nor ADDRESS:PORT nor"
            " unix:/PATH\n"
            "t.conf:3: services.[0].listen.[3]: the elements of an array [ ] must be of one type; a list ( )"
            " takes any\n"
            "t.conf:4: user: must be a string, not a list ( )\n"
            "t.conf:5: group: must be a string, not an array [ ]\n");
    refused(ECHO "a = [ 1, 2.5 ]; b = [ 1, 0x2L, 3LL, -4 ]; c = [ true, FALSE, \"x\" \"y\" ];\n"
            "d = ( 1, \"x\", [ 1, 2 ], ( true, [ \"x\",\n1 ] ) );\n",
            "t.conf:2: a: is no known setting\n"
            "t.conf:2: a.[1]: the elements of an array [ ] must be of one type; a list ( ) takes any\n"
            "t.conf:2: b: is no known setting\n"
            "t.conf:2: c: is no known setting\n"
            "t.conf:2: c.[2]: the elements of an array [ ] must be of one type; a list ( ) takes any\n"
            "t.conf:3: d: is no known setting\n"
            "t.conf:4: d.[3].[1].[1]: the elements of an array [ ] must be of one type; a list ( ) takes"
            " any\n");
}
END_TEST

START_TEST(bad_escapes_are_on_their_own_line)
{
    refused("user = \"a\nb\n\\x00\";", "t.conf:3: syntax error: \\x00 cannot stand in a string\n");
}
END_TEST

START_TEST(elements_are_on_the_line_where_they_stand)
{
    refused("services = ( { name = \"a\"; protocol = \"echo\"; listen = (\n\"0\",\n\n\"x\"\n\n);\n} );\n",
            "t.conf:4: services.[0].listen.[1]: \"x\": is neither a port from 0 to 65535 nor ADDRESS:PORT nor"
            " unix:/PATH\n");
}
END_TEST

START_TEST(nesting_is_bounded)
{
    char text[600] = "a = ";

    memset(text + 4, '(', 500);
    refused(text, "t.conf:1: syntax error at (: expected at most 32 levels of nesting\n");
}
END_TEST

START_TEST(settings_of_a_group_are_bounded)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);

    ck_assert_ptr_nonnull(to);
    fputs("a = {\n", to);
    for (int i = 0; i < 1001; i++)
        fprintf(to, "x%d = 1;\n", i);
    fclose(to);
    refused(text, "t.conf:1002: syntax error at x1000: expected at most 1000 settings in one group\n");
    free(text);
}
END_TEST

START_TEST(a_text_with_zero_bytes_is_refused)
{
    static const char text[] = "workers = 1;\n\0" ECHO;
    struct reading r = reading_with(text, sizeof(text) - 1, NULL, NULL);

    ck_assert_str_eq(r.said, "t.conf:2: is not a text: there is a zero byte in this line\n");
    ck_assert_ptr_null(r.conf);
    reading_end(&r);
}
END_TEST

/* ---- files ---- */

START_TEST(files_that_cannot_be_read_are_named_with_the_reason)
{
    file_refused("/nonexistent/x.conf", "/nonexistent/x.conf: No such file or directory\n");
    file_refused(".", ".: is a folder, not a file\n");
    file_refused("/dev/zero", "/dev/zero: is not a regular file\n");
    ck_assert_int_eq(mkfifo("fifo", 0600), 0);
    file_refused("fifo", "fifo: is not a regular file\n");
    file_write("empty", "");
    file_refused("empty", "empty:1: services: is missing; iomuxd needs one service at least\n");
    file_write("secret", ECHO);
    ck_assert_int_eq(chmod("secret", 0), 0);
    if (geteuid() != 0)
        file_refused("secret", "secret: Permission denied\n");
}
END_TEST

START_TEST(files_that_are_too_long_are_not_read)
{
    file_write("long", ECHO);
    ck_assert_int_eq(truncate("long", 100 << 20), 0);
    file_refused("long", "long: is too long: a configuration has at most 1 MiB\n");
}
END_TEST

START_TEST(a_file_is_read_without_a_newline_at_its_end)
{
    struct reading r;

    file_write("f", ECHO "# end");
    r = reading_of("f");
    ck_assert_str_eq(r.said, "");
    ck_assert_ptr_nonnull(r.conf);
    ck_assert_str_eq(r.conf->file, "f");
    reading_end(&r);
}
END_TEST

/* ---- includes ---- */

START_TEST(includes_stand_in_for_their_line)
{
    struct reading r;

    ck_assert_int_eq(mkdir("d", 0700), 0);
    file_write("d/main", "workers = 3;\n  @include \"sub\" timeouts : {\n@include \"t\\\"x\"\n};\nuser ="
                         " \"u\";\n");
    file_write("d/sub", "# a comment without an end of line\n" ECHO "#");
    file_write("d/t\"x", "idle = 7");
    r = reading_of("d/main");
    ck_assert_str_eq(r.said, "");
    ck_assert_uint_eq(r.conf->timeouts.idle_ms, 7000);
    ck_assert_str_eq(r.conf->services[0].place.file, "d/sub");
    ck_assert_uint_eq(r.conf->services[0].place.line, 2);
    ck_assert_str_eq(r.conf->user_place.file, "d/main");
    ck_assert_uint_eq(r.conf->user_place.line, 5);
    reading_end(&r);
}
END_TEST

START_TEST(includes_by_absolute_path_work)
{
    char text[200];
    struct reading r;

    file_write("sub", ECHO);
    snprintf(text, sizeof(text), "@include \"%s/sub\"\n", folder);
    file_write("main", text);
    r = reading_of("main");
    ck_assert_str_eq(r.said, "");
    ck_assert_ptr_nonnull(r.conf);
    reading_end(&r);
}
END_TEST

START_TEST(complaints_name_the_included_file)
{
    file_write("main", "a = 1;\n@include \"one\"\nb = 1;\n" ECHO);
    file_write("one", "\nc = 1;\n@include \"two\"\nd = 1;\n");
    file_write("two", "\n\ne = 1;\n");
    file_refused("main", "main:1: a: is no known setting\n"
                         "one:2: c: is no known setting\n"
                         "two:3: e: is no known setting\n"
                         "one:4: d: is no known setting\n"
                         "main:3: b: is no known setting\n");
    file_write("two", "\nx y\n");
    file_refused("main", "two:2: syntax error at y: expected '=' behind the name of a setting\n");
    file_write("two", "\nc = 1;\n");
    file_refused("main", "main:1: a: is no known setting\n"
                         "one:2: c: is no known setting\n"
                         "two:2: c: is set twice, first at one:2\n"
                         "one:4: d: is no known setting\n"
                         "main:3: b: is no known setting\n");
}
END_TEST

START_TEST(settings_that_stand_twice_are_found_across_includes)
{
    file_write("main", "timeouts : { idle = 5;\n@include \"part\"\nidle = 0;\n};\n" ECHO
                       "log = {\n@include \"part\"\n} usr = 1;\n");
    file_write("part", "idle = 7; # x");
    file_refused("main", "part:1: timeouts.idle: is set twice, first at main:1\n"
                         "main:3: timeouts.idle: is set twice, first at line 1\n"
                         "part:1: log.idle: is no known setting\n"
                         "main:8: usr: is no known setting; did you mean 'user'?\n");
    /* The second one begins in one file and ends in another; what it includes is left out too. */
    file_write("main", "log : { };\n@include \"open\"\n@include \"close\"\n" ECHO "a = 1;\n");
    file_write("open", "log : {\n@include \"level\"\n");
    file_write("level", "level = 5 level = 6");
    file_write("close", "}\n;b = 1");
    file_refused("main", "open:1: log: is set twice, first at main:1\n"
                         "level:1: log.level: is set twice, first at line 1\n"
                         "close:2: b: is no known setting\n"
                         "main:5: a: is no known setting\n");
}
END_TEST

START_TEST(includes_of_what_is_left_out_count_towards_the_length)
{
    char name[16], line[32], text[2000] = "a = 1; a = {\n", comment[8192] = "#";
    struct reading r;

    memset(comment + 1, 'x', sizeof(comment) - 2);
    file_write("f0", comment);
    for (int i = 1; i <= 9; i++) {
        snprintf(line, sizeof(line), "@include \"f%d\"  \n", i - 1);
        for (size_t k = 0; k < 50; k++)
            strcpy(text + 13 + strlen(line) * k, line);
        snprintf(name, sizeof(name), "f%d", i);
        file_write(name, text + 13);
    }
    file_write("main", text);
    r = reading_of("main");
    ck_assert_ptr_nonnull(strstr(r.said, ": is too long: more than 1 MiB with what it includes\n"));
    ck_assert_ptr_nonnull(strstr(r.said, "main:1: a: is set twice, first at line 1\n"));
    reading_end(&r);
}
END_TEST

/* 1 MiB of names: none may be compared with all. */
START_TEST(files_full_of_names_are_read)
{
    char *text = NULL;
    size_t size;
    FILE *to = open_memstream(&text, &size);
    struct reading r;

    ck_assert_ptr_nonnull(to);
    for (int group = 0; group < 860; group++) {
        fprintf(to, "g%d={", group);
        for (int i = 0; i < 100; i++)
            fprintf(to, "setting%d=1 ", i);
        fputs("}\n", to);
    }
    fputs("g0 = 1; " ECHO, to);
    fclose(to);
    r = reading_with(text, size, NULL, NULL);
    ck_assert_uint_gt(size, 1000000);
    ck_assert_ptr_nonnull(strstr(r.said, ": g0: is set twice, first at line 1\n"));
    ck_assert_ptr_null(strstr(r.said, "too long"));
    reading_end(&r);
    free(text);
}
END_TEST

START_TEST(includes_that_cannot_be_read_are_refused)
{
    ck_assert_int_eq(mkdir("dir", 0700), 0);
    ck_assert_int_eq(mkfifo("fifo", 0600), 0);
    file_write("long", "");
    ck_assert_int_eq(truncate("long", 100 << 20), 0);
    file_write("self", "@include \"self\"\n");
    file_write("m", "\n@include \"missing\"\n");
    file_refused("m", "m:2: @include: cannot read \"missing\": No such file or directory\n");
    file_write("m", "@include \"dir\"\n");
    file_refused("m", "m:1: @include: cannot read \"dir\": is a folder, not a file\n");
    file_write("m", "@include \"fifo\"\n");
    file_refused("m", "m:1: @include: cannot read \"fifo\": is not a regular file\n");
    file_write("m", "@include \"/dev/zero\"\n");
    file_refused("m", "m:1: @include: cannot read \"/dev/zero\": is not a regular file\n");
    file_write("m", "@include \"long\"\n");
    file_refused("m", "m:1: @include: cannot read \"long\": is too long: a configuration has at most 1"
                      " MiB\n");
    file_write("m", "@include \"\"\n");
    file_refused("m", "m:1: @include: cannot read \"\": No such file or directory\n");
    file_refused("self", "self:1: @include: nested more than 10 deep; does a file include itself?\n");
}
END_TEST

START_TEST(includes_count_towards_the_length)
{
    FILE *f = fopen("big", "w");

    ck_assert_ptr_nonnull(f);
    for (int i = 0; i < 10000; i++)
        fputs("# sixty-four bytes of comment that mean nothing, line after line\n", f);
    ck_assert_int_eq(fclose(f), 0);
    file_write("m", "@include \"big\"\n@include \"big\"\n" ECHO);
    file_refused("m", "big:10001: is too long: more than 1 MiB with what it includes\n");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf_source");
    TCase *syntax = tcase_create("syntax"), *files = tcase_create("files");

    tcase_add_test(syntax, syntax_complaints_say_what_is_wanted);
    tcase_add_test(syntax, syntax_takes_all_that_libconfig_takes);
    tcase_add_test(syntax, settings_that_stand_twice_are_named_with_their_path);
    tcase_add_test(syntax, settings_that_stand_twice_hide_nothing_else);
    tcase_add_test(syntax, settings_that_stand_twice_may_end_in_any_way);
    tcase_add_test(syntax, settings_that_stand_twice_are_told_before_a_syntax_error);
    tcase_add_test(syntax, names_in_other_groups_or_with_other_capitals_stand_once);
    tcase_add_test(syntax, arrays_of_several_types_are_refused_with_their_path);
    tcase_add_test(syntax, bad_escapes_are_on_their_own_line);
    tcase_add_test(syntax, elements_are_on_the_line_where_they_stand);
    tcase_add_test(syntax, nesting_is_bounded);
    tcase_add_test(syntax, settings_of_a_group_are_bounded);
    tcase_add_test(syntax, a_text_with_zero_bytes_is_refused);
    suite_add_tcase(suite, syntax);
    tcase_add_checked_fixture(files, folder_make, folder_remove);
    tcase_add_test(files, files_that_cannot_be_read_are_named_with_the_reason);
    tcase_add_test(files, files_that_are_too_long_are_not_read);
    tcase_add_test(files, a_file_is_read_without_a_newline_at_its_end);
    tcase_add_test(files, includes_stand_in_for_their_line);
    tcase_add_test(files, includes_by_absolute_path_work);
    tcase_add_test(files, complaints_name_the_included_file);
    tcase_add_test(files, includes_that_cannot_be_read_are_refused);
    tcase_add_test(files, includes_count_towards_the_length);
    tcase_add_test(files, settings_that_stand_twice_are_found_across_includes);
    tcase_add_test(files, includes_of_what_is_left_out_count_towards_the_length);
    tcase_add_test(files, files_full_of_names_are_read);
    suite_add_tcase(suite, files);
    return suite_run(suite);
}
